package main

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/collect"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/node"
)

// doorServer is the product's front door on its journal, wired as the node
// wires it, and nothing else: loading is measured on its own. What was
// acknowledged is released at once and segments are used again without a
// grace, so that the first second shows what a server does after it has run
// for longer than the grace. release closes the journal.
func doorServer(dir string) (s *http.Server, release func() error, err error) {
	node.SaveMemory() // as `reedbed up` does
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	root, err := disk.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, nil, err
	}
	j, err := journal.Open(root, journal.Options{Grace: -1, Log: log})
	if err != nil {
		return nil, nil, err
	}
	ticks := time.NewTicker(100 * time.Millisecond)
	go func() {
		for range ticks.C {
			j.Release(j.Durable())
		}
	}()
	d, err := collect.New(collect.Options{
		Journal:  j,
		Sources:  []collect.Source{{Name: "player", Keys: []string{"demo"}, Origins: []string{"https://player.example"}}},
		Log:      log,
		Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, nil, err
	}
	return collect.Server(d.Handler()), func() error {
		ticks.Stop()
		return j.Close()
	}, nil
}
