package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

const startBacklog = 1 << 30

// startUp measures how long a start with a large backlog takes to acknowledge
// its first event. Every round starts from nothing loaded, and all but the
// first after a kill.
func (b *bench) startUp() ([]row, error) {
	if _, err := b.program(); err != nil {
		return nil, err
	}
	dir, err := b.init("started", "empty")
	if err != nil {
		return nil, err
	}
	b.seed++
	var done filled
	fill := filling{Journal: filepath.Join(dir, ".reedbed", "journal"), Bytes: startBacklog, Seed: b.seed, Source: "web"}
	if err := call("fill", fill, &done); err != nil {
		return nil, fmt.Errorf("fill a journal: %w", err)
	}
	var took, others []float64
	before := readClock(b.dir)
	for range min(b.rounds, 3) {
		if err := forget(dir); err != nil {
			return nil, err
		}
		clock, ours := readClock(b.dir), ownCPU()
		seconds, err := b.firstAnswer(dir)
		if err != nil {
			return nil, err
		}
		took = append(took, seconds)
		others = append(others, readClock(b.dir).others(clock, ownCPU()-ours))
	}
	figure := spreadOf(took)
	return []row{{
		what: "start with 1 GB not loaded: first answer", figure: figure.String() + " s", goal: "< 2 s", met: figure.median < 2,
		noisy: spreadOf(others).median > tooBusy, others: spreadOf(others).median, flush: readClock(b.dir).flushRate(before),
		notes: []string{fmt.Sprintf("%d events, %d MB in the journal; every start but the first follows a kill", done.Events, done.Bytes>>20)},
	}}, nil
}

// firstAnswer starts the program, waits for a 2xx and kills it.
func (b *bench) firstAnswer(dir string) (seconds float64, err error) {
	begun := time.Now()
	r, err := b.up(dir)
	if err != nil {
		return 0, err
	}
	defer r.kill()
	if _, err := r.do(http.MethodPost, "/v1/events", nil, []byte(`{"name":"First"}`)); err != nil {
		return 0, err
	}
	return time.Since(begun).Seconds(), nil
}
