package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/web"
)

type statusCmd struct{}

// Run prints what is on record and what is under way.
func (statusCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	var s web.Status
	client, err := node.Connect(ctx, project)
	switch {
	case err == nil:
		s, err = client.Status(ctx)
	case errors.Is(err, node.ErrNotRunning):
		s, err = node.StatusAtRest(ctx, node.Options{Project: project, Log: g.logger(term)})
	}
	if errors.Is(err, node.ErrNothingYet) { // a project that never ran is as computed as it can be
		s, err = web.Status{Converged: true, Version: node.Version()}, nil
	}
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(term.out).Encode(s)
	}
	return printStatus(term, s)
}

func printStatus(term terminal, s web.Status) error {
	fmt.Fprintln(term.out, inWords(s))
	fmt.Fprintf(term.out, "journal: %d events, %d loaded; %d duplicates removed, %d in quarantine\n\n",
		s.Journal.End, s.Journal.Loaded, s.Totals.DuplicatesRemoved, s.Quarantine.Rows)
	w := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "dataset\trows\tpartitions\topen\tfresh\tstale\trunning\tdeferred\twaived\tfailed\t")
	for _, d := range s.Datasets {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			d.Name, d.Rows, d.Partitions, d.Open, d.Fresh, d.Stale, d.Running, d.Deferred, d.Waived, d.Failed)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range s.Problems {
		fmt.Fprintf(term.out, "\nproblem: %s\n", p.Error())
	}
	for _, f := range s.Failures {
		fmt.Fprintf(term.out, "\nfailed %d times: %s@%s: %s\n", f.Attempts, f.Dataset, f.Partition, f.Error)
	}
	return nil
}

func inWords(s web.Status) string {
	if s.Converged {
		return "converged: nothing is stale and nothing runs"
	}
	var waiting, failed int64
	for _, d := range s.Datasets {
		waiting += d.Stale + d.Running + d.Deferred
		failed += d.Failed
	}
	return fmt.Sprintf("not converged: %d events to load, %d partitions to compute, %d failed", s.Journal.End-s.Journal.Loaded, waiting, failed)
}
