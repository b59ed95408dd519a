package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/node"
)

type pinCmd struct {
	Stage   string `arg:"" optional:"" help:"Stage that reads the input."`
	Input   string `arg:"" optional:"" placeholder:"INPUT[@PARTITION]" help:"INPUT for all of it, or INPUT@PARTITION."`
	Version int64  `placeholder:"N" help:"Version of the partition; what is promoted now if left out."`
	Now     bool   `help:"As it is now; the same as leaving --version out."`
	Reason  string `placeholder:"TEXT" help:"Why, for whoever reads the list."`
	List    bool   `help:"List the pins that stand."`
	Remove  int64  `placeholder:"ID" help:"Remove a pin: the stage reads what everybody reads."`
}

// Run sets, lists or removes pins.
func (c pinCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	switch {
	case c.List:
		all, err := node.Pins(ctx, o)
		if err != nil {
			return err
		}
		return g.list(term, all, func(w *tabwriter.Writer) { tabulatePins(w, all) })
	case c.Remove != 0:
		p, err := node.Unpin(ctx, o, node.Removal{ID: c.Remove, Actor: actor()})
		if err != nil {
			return err
		}
		return g.say(term, p, fmt.Sprintf("pin %d is removed: %s reads %s as everybody does; %d partitions of it differ\n", p.ID, p.Stage, p.Input, p.Apart))
	}
	ask, err := c.pin()
	if err != nil {
		return err
	}
	p, err := node.Pin(ctx, o, ask)
	if err != nil {
		return err
	}
	return g.say(term, p, fmt.Sprintf("pin %d: %s reads %s\n", p.ID, p.Stage, pinInWords(p)))
}

func (c pinCmd) pin() (p dataset.Pin, err error) {
	switch {
	case c.Stage == "" || c.Input == "":
		return p, wrongUse("name a stage and one of its inputs, or ask for --list or --remove ID", "reedbed pin --help")
	case c.Reason == "":
		return p, wrongUse("a pin needs a reason", `add --reason "..."`)
	case c.Now && c.Version != 0:
		return p, wrongUse("--now and --version ask for different things", "leave one of them out")
	}
	name, partition, one := strings.Cut(c.Input, "@")
	p = dataset.Pin{Stage: c.Stage, Input: name, Version: c.Version, Reason: c.Reason, Actor: actor()}
	if one {
		p.Partition, err = dataset.ParsePartition(partition)
	}
	if err != nil {
		return p, wrongUse(err.Error(), "write INPUT@PARTITION, such as plays@2026-11-22T03")
	}
	return p, nil
}

func tabulatePins(w *tabwriter.Writer, all []dataset.Pin) {
	fmt.Fprintln(w, "id\tstage\treads\tdifferent\tsince\tby\treason")
	for _, p := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", p.ID, p.Stage, pinInWords(p), p.Apart, p.At.Format(time.DateOnly), p.Actor, p.Reason)
	}
}

func pinInWords(p dataset.Pin) string {
	switch {
	case p.Partition == "":
		return fmt.Sprintf("%s as of %s", p.Input, p.At.Format(time.RFC3339))
	case p.Version == 0:
		return fmt.Sprintf("%s@%s as absent", p.Input, p.Partition)
	}
	return fmt.Sprintf("%s@%s/%d", p.Input, p.Partition, p.Version)
}
