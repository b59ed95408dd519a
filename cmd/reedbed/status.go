package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/dataset/sqlite"
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
	fmt.Fprintf(term.out, "journal: %d events, %d loaded; %d duplicates removed, %d in quarantine\n",
		s.Journal.End, s.Journal.Loaded, s.Totals.DuplicatesRemoved, s.Quarantine.Rows)
	fmt.Fprintf(term.out, "%s\n\n", web.CompleteInWords(s.Completeness, time.Now()))
	w := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	tabulateStates(w, s.Datasets)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range s.Problems {
		fmt.Fprintf(term.out, "\nproblem: %s\n", p.Error())
	}
	for _, f := range s.Failures {
		fmt.Fprintf(term.out, "\nfailed %d times: %s@%s: %s\n", f.Attempts, f.Dataset, f.Partition, f.Error)
	}
	for _, a := range s.Anomalies {
		fmt.Fprintf(term.out, "\nunusual since %s: %s\n%s\n", a.Since.Format(time.DateTime), a.Title(), a.Detail())
	}
	for _, l := range s.Late {
		fmt.Fprintf(term.out, "\nlate: %s: %s (%s, of %s)\n", l.Dataset, l.Words(), l.At, l.Owner)
	}
	for _, h := range s.Holds {
		fmt.Fprintf(term.out, "\nheld since %s: %s", h.Since.Format(time.DateTime), web.ExplainHold(h))
	}
	for _, x := range s.Warnings {
		fmt.Fprintf(term.out, "\nwarning: %s\n", web.WarningWords(x))
	}
	return nil
}

// tabulateStates writes a line for each dataset.
func tabulateStates(w io.Writer, all []sqlite.DatasetStatus) {
	columns := web.StateColumns(all)
	fmt.Fprint(w, "dataset\t")
	for _, c := range columns {
		fmt.Fprint(w, c.Name, "\t")
	}
	fmt.Fprintln(w)
	for i, d := range all {
		fmt.Fprint(w, d.Name, "\t")
		for _, c := range columns {
			fmt.Fprint(w, c.Counts[i], "\t")
		}
		fmt.Fprintln(w)
	}
}

func inWords(s web.Status) string {
	var waiting, failed, waived, held int64
	for _, d := range s.Datasets {
		waived, held = waived+d.Waived, held+d.Held
		waiting += d.Stale + d.Running + d.Deferred
		failed += d.Failed
	}
	if s.Converged {
		words := "converged: nothing is stale"
		if waived > 0 {
			words += fmt.Sprintf(" but by consent (%d waived)", waived)
		}
		if held > 0 {
			words += fmt.Sprintf(" but what is held (%d)", held)
		}
		if waived > 0 || held > 0 {
			words += ","
		}
		return words + " and nothing runs"
	}
	return fmt.Sprintf("not converged: %d events to load, %d partitions to compute, %d failed", s.Journal.End-s.Journal.Loaded, waiting, failed)
}
