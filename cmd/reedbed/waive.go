package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/node"
)

type waiveCmd struct {
	Dataset string `arg:"" optional:"" help:"Stage whose partitions stay as they are."`
	From    string `placeholder:"PARTITION" help:"First partition, such as 2026-11-22T03 or 2026-11-22; from the beginning if left out."`
	To      string `placeholder:"PARTITION" help:"Last partition, included; the newest there is now if left out."`
	Reason  string `placeholder:"TEXT" help:"Why, for whoever reads the list."`
	List    bool   `help:"List the waivers that stand."`
	Remove  int64  `placeholder:"ID" help:"Remove a waiver: what it held back is computed."`
}

// Run records, lists or removes waivers.
func (c waiveCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	switch {
	case c.List:
		all, err := node.Waivers(ctx, o)
		if err != nil {
			return err
		}
		return g.list(term, all, func(w *tabwriter.Writer) { tabulateWaivers(w, all) })
	case c.Remove != 0:
		w, err := node.Unwaive(ctx, o, node.Removal{ID: c.Remove, Actor: actor()})
		if err != nil {
			return err
		}
		return g.say(term, w, fmt.Sprintf("waiver %d of %s is removed; what it held back is due\n", w.ID, w.Dataset))
	}
	ask, err := c.waiver()
	if err != nil {
		return err
	}
	w, err := node.Waive(ctx, o, ask)
	if err != nil {
		return err
	}
	return g.say(term, w, fmt.Sprintf("waiver %d: %s of %s stay as they are; %d would be computed\n", w.ID, rangeInWords(w), w.Dataset, w.Holding))
}

func (c waiveCmd) waiver() (w dataset.Waiver, err error) {
	if c.Dataset == "" {
		return w, wrongUse("name a dataset, or ask for --list or --remove ID", "reedbed waive --help")
	}
	if c.Reason == "" {
		return w, wrongUse("a waiver needs a reason", `add --reason "..."`)
	}
	w = dataset.Waiver{Dataset: c.Dataset, Reason: c.Reason, Actor: actor()}
	if w.First, err = partitionOrNone("--from", c.From); err != nil {
		return w, err
	}
	w.Last, err = partitionOrNone("--to", c.To)
	return w, err
}

func partitionOrNone(flag, text string) (dataset.Partition, error) {
	if text == "" {
		return "", nil
	}
	p, err := dataset.ParsePartition(text)
	if err != nil {
		return "", wrongUse(flag+": "+err.Error(), "reedbed status lists datasets; partitions are named by their start in UTC")
	}
	return p, nil
}

func tabulateWaivers(w *tabwriter.Writer, all []dataset.Waiver) {
	fmt.Fprintln(w, "id\tdataset\tpartitions\theld back\tsince\tby\treason")
	for _, x := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", x.ID, x.Dataset, rangeInWords(x), x.Holding, x.At.Format(time.DateOnly), x.Actor, x.Reason)
	}
}

func rangeInWords(w dataset.Waiver) string {
	switch {
	case w.Version != 0:
		return fmt.Sprintf("%s on version %d", w.Last, w.Version)
	case w.First == "" && w.Last == dataset.Whole:
		return "all"
	case w.First == "":
		return "up to " + string(w.Last)
	case w.First == w.Last:
		return string(w.Last)
	}
	return fmt.Sprintf("%s to %s", w.First, w.Last)
}

// actor is who gives the order, for the record.
func actor() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// wrongUse is a command line that parses and means nothing.
func wrongUse(what, fix string) error {
	return &failure{Code: "usage", What: what, Fix: fix, exit: exitUsage}
}

// node says how to reach or open the project the global flags name.
func (g *globals) node(term terminal) (node.Options, error) {
	project, err := g.project(nil)
	return node.Options{Project: project, Log: g.logger(term)}, err
}

// say prints what was done, in words or as JSON.
func (g *globals) say(term terminal, what any, words string) error {
	if g.JSON {
		return json.NewEncoder(term.out).Encode(what)
	}
	_, err := fmt.Fprint(term.out, words)
	return err
}

// list prints a table, or all of it as JSON.
func (g *globals) list(term terminal, all any, tabulate func(*tabwriter.Writer)) error {
	if g.JSON {
		return json.NewEncoder(term.out).Encode(all)
	}
	w := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', 0)
	tabulate(w)
	return w.Flush()
}
