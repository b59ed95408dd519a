package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/examples"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/simulate"
	"github.com/reedbed/reedbed/web"
)

type demoCmd struct {
	For    time.Duration `help:"Stop after this long and say what happened."`
	Listen string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on."`
	Folder string        `name:"dir" placeholder:"DIR" help:"Where to make the project; a temporary folder by default."`
	Rate   float64       `default:"500" help:"Live events per second."`
	Loss   simulate.Loss `placeholder:"VERSION=SHARE[,SHARE]" help:"Events of an application that never arrive: lost in flight, and dropped by clients. Such as 2026.11=2%,1%."`
}

const (
	demoHistory     = 12_000 // events of the days before, so that there is something to see at once
	demoHistoryRate = 4_000  // how fast they are sent
	demoSettle      = 2 * time.Minute
)

// summary is what happened, as `demo --json` ends with. Delivered counts every
// copy of every event that was answered; Acknowledged is the sum of the three.
type summary struct {
	Delivered         int64  `json:"delivered"`
	Acknowledged      int64  `json:"acknowledged"`
	Loaded            int64  `json:"loaded"`
	Quarantined       int64  `json:"quarantined"`
	DuplicatesRemoved int64  `json:"duplicates_removed"`
	Converged         bool   `json:"converged"`
	URL               string `json:"url"`
}

// Run makes the example project, runs it, and sends it listeners.
func (c demoCmd) Run(ctx context.Context, g *globals, term terminal) error {
	folder, done, err := c.project(g, term)
	if err != nil {
		return err
	}
	defer done()
	project, err := config.Load(folder, os.Environ(), map[string]string{"listen": c.Listen})
	if err != nil {
		return err
	}
	node.SaveMemory()
	n, err := node.Open(ctx, node.Options{Project: project, Log: g.logger(term)})
	if err != nil {
		return err
	}
	s, err := c.show(ctx, g, term, n)
	if err := errors.Join(err, n.Close()); err != nil {
		return err
	}
	return s.print(g, term)
}

// project makes the example's folder and returns how to clean up after it.
func (c demoCmd) project(g *globals, term terminal) (folder string, done func(), err error) {
	folder, done = c.Folder, func() {}
	if folder == "" {
		if folder, err = os.MkdirTemp("", "reedbed-demo-"); err != nil {
			return "", done, err
		}
		done = func() { _ = os.RemoveAll(folder) }
	}
	if err := requireEmpty(folder); err != nil {
		return "", done, err
	}
	template, err := fs.Sub(examples.FS, "plays")
	if err != nil {
		return "", done, err
	}
	return folder, done, copyInto(folder, template, g.logger(term))
}

// show runs the node and the traffic, and sums up when the traffic has ended.
func (c demoCmd) show(ctx context.Context, g *globals, term terminal, n *node.Node) (summary, error) {
	url, err := n.Listen(ctx)
	if err != nil {
		return summary{}, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(run, func() { c.greet(g, term, url) }) }()
	traffic, cut := context.WithCancel(ctx)
	defer cut()
	sent := make(chan simulate.Report, 1)
	failed := make(chan error, 1)
	go func() {
		report, err := simulate.Run(traffic, simulationClient(), url, c.traffic(), nil)
		if err != nil && traffic.Err() == nil {
			failed <- err
			return
		}
		sent <- report
	}()
	select {
	case report := <-sent:
		s, err := sumUp(run, n, report, url)
		stop()
		return s, errors.Join(err, <-ended)
	case err := <-failed:
		stop()
		return summary{}, errors.Join(err, <-ended)
	case err := <-ended:
		return summary{}, err
	}
}

func (c demoCmd) traffic() simulate.Config {
	s := simulate.Default()
	s.Rate, s.For, s.Loss = c.Rate, c.For, c.Loss
	s.History = simulate.History{Events: demoHistory, Span: 36 * time.Hour, Rate: demoHistoryRate}
	return s
}

func (c demoCmd) greet(g *globals, term terminal, url string) {
	out := term.out
	if g.JSON {
		out = term.err
	}
	fmt.Fprintf(out, "listening on %s\nready\n\n  Open %s to watch listeners, a spam attack and the pipeline,\n"+
		"  and %s/try to be a listener yourself: it carries the tracker.\n", url, url, url)
	if c.For == 0 {
		fmt.Fprintln(out, "  Press Ctrl+C to stop.")
	}
}

// sumUp waits until everything that was acknowledged is counted and computed.
func sumUp(ctx context.Context, n *node.Node, report simulate.Report, url string) (summary, error) {
	ctx, cancel := context.WithTimeout(ctx, demoSettle)
	defer cancel()
	if err := n.Settle(ctx); err != nil {
		return summary{}, fmt.Errorf("wait for convergence: %w", err)
	}
	status, err := n.Status(ctx)
	if err != nil {
		return summary{}, err
	}
	return newSummary(report, status, url), nil
}

func newSummary(report simulate.Report, s web.Status, url string) summary {
	return summary{
		Delivered: int64(report.Delivered), Acknowledged: s.Totals.Acknowledged, Loaded: s.Totals.Loaded,
		Quarantined: s.Totals.Quarantined, DuplicatesRemoved: s.Totals.DuplicatesRemoved, Converged: s.Converged, URL: url,
	}
}

// print says what happened and fails if the figures do not add up.
func (s summary) print(g *globals, term terminal) error {
	if g.JSON {
		if err := json.NewEncoder(term.out).Encode(s); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(term.out, `
  delivered            %8d   events sent and answered, every copy
  acknowledged         %8d   on stable storage
    loaded             %8d   each counted once
    quarantined        %8d   kept whole, with the reason
    duplicates removed %8d
  converged            %8t

`, s.Delivered, s.Acknowledged, s.Loaded, s.Quarantined, s.DuplicatesRemoved, s.Converged)
	}
	if s.Acknowledged != s.Loaded+s.Quarantined+s.DuplicatesRemoved {
		return &failure{Code: "does_not_add_up", What: "acknowledged is not loaded + quarantined + duplicates removed", exit: exitFailed}
	}
	if !s.Converged {
		return &failure{Code: "not_converged", What: "something is still stale", Fix: "see: reedbed status", exit: exitFailed}
	}
	return nil
}
