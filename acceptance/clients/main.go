// Command clients runs client libraries of others, unmodified and in the
// versions their lock files pin, against the real server while the way to it
// fails, and prints for each what it sent, what is stored and what it dropped
// by its own documented rules. It exits 1 if a row does not add up.
//
// It knows how the clients are called and what they are documented to do. It
// must never look into a part of the pipeline: it asks the server.
//
// `make acceptance` installs the clients first; the programs that call them are
// under drivers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"
)

// longestRow ends a client that waits for ever.
const longestRow = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	only := flag.String("only", "", "clients to run, with commas; all if empty")
	events := flag.Int("events", 200, "events each client sends under each fault")
	atOnce := flag.Int("at-once", 4, "rows at the same time")
	ifThere := flag.Bool("if-there", false, "say so and be content where the clients cannot be installed")
	flag.Parse()
	err := run(ctx, *only, *events, *atOnce)
	if missing, ok := errors.AsType[*missing](err); ok && *ifThere {
		fmt.Println("clients of others are not tried here:", missing)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, events, atOnce int) (err error) {
	dir, err := os.MkdirTemp("", "reedbed-clients-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rows, err := plan(only)
	if err != nil {
		return err
	}
	programs, err := build(ctx, dir, rows)
	if err != nil {
		return err
	}
	defer programs.browser.close()
	s, err := up(ctx, programs.reedbed, dir, programs.browser.origin(), rows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	runAll(ctx, rows, programs, s, events, atOnce)
	if err := s.settle(ctx); err != nil {
		return err
	}
	counted, err := s.count(ctx)
	if err != nil {
		return err
	}
	return report(rows, counted)
}

// row is one client under one fault, and what came of it.
type row struct {
	client client
	fault  fault
	passed ledger
	told   told
	err    error // of the driver
}

// name is also the row's source and write key.
func (r *row) name() string {
	return strings.ReplaceAll(r.client.name, "-", "_") + "_" + r.fault.name
}

// plan makes the rows of the clients that are wanted.
func plan(only string) ([]*row, error) {
	var rows []*row
	var names []string
	for _, c := range clients() {
		names = append(names, c.name)
		if only != "" && !slices.Contains(strings.Split(only, ","), c.name) {
			continue
		}
		var err error
		if c.version, err = c.pinned(); err != nil {
			return nil, err
		}
		for _, f := range faults() {
			rows = append(rows, &row{client: c, fault: f})
		}
	}
	for name := range strings.SplitSeq(only, ",") {
		if name != "" && !slices.Contains(names, name) {
			return nil, fmt.Errorf("-only: no client %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return rows, nil
}

func runAll(ctx context.Context, rows []*row, p programs, s *server, events, atOnce int) {
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, r := range rows {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, longestRow)
			defer cancel()
			r.err = r.run(ctx, p, s, events)
		})
	}
	all.Wait()
}

// run puts a failing way of its own between the client and the server.
func (r *row) run(ctx context.Context, p programs, s *server, events int) error {
	way, err := newWay(ctx, s.url, r.fault, &r.passed)
	if err != nil {
		return err
	}
	defer way.Close()
	if strings.HasSuffix(r.client.name, "-web") {
		r.told, err = p.browser.drive(ctx, r.client, way.URL, r.name(), events, &r.passed)
	} else {
		r.told, err = p.drive(ctx, r.client, way.URL, r.name(), events)
	}
	return err
}
