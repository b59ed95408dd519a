package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/node"
)

type verifyCmd struct {
	Dataset string  `arg:"" optional:"" help:"Dataset to verify; all of them if left out."`
	Sample  int     `default:"20" placeholder:"N" help:"Partitions to look at, spread over datasets and time."`
	All     bool    `help:"Look at every partition and every file on record."`
	Seed    *uint64 `placeholder:"NUMBER" help:"Look at the same partitions as a run that printed this seed."`
}

// Run verifies, and exits with 3 when something is wrong.
func (c verifyCmd) Run(ctx context.Context, g *globals, term terminal) error {
	if c.Sample < 1 {
		return wrongUse(fmt.Sprintf("a sample of %d says nothing", c.Sample), "leave --sample out, or name at least 1")
	}
	o, err := g.node(term)
	if err != nil {
		return err
	}
	ask := converge.Verification{Dataset: c.Dataset, Sample: c.Sample, All: c.All, Seed: uint64(rand.Uint32())}
	if c.Seed != nil {
		ask.Seed = *c.Seed
	}
	v, err := node.Verify(ctx, o, ask)
	if err != nil {
		return err
	}
	if g.JSON {
		err = json.NewEncoder(term.out).Encode(v)
	} else {
		printVerified(term, v)
	}
	if err != nil || len(v.Wrong) == 0 {
		return err
	}
	return &failure{
		Code: "verify", What: fmt.Sprintf("%d of what was looked at is not as it was recorded", len(v.Wrong)),
		Fix:  "restore damaged files from a backup; a stage that gives other rows is named in `reedbed status`",
		exit: exitCheck,
	}
}

func printVerified(term terminal, v converge.Verified) {
	fmt.Fprintf(term.out, "seed %d: %d partitions, %d computed again, %d files read\n", v.Seed, v.Partitions, v.Recomputed, v.Files)
	if v.Keys > 0 {
		fmt.Fprintf(term.out, "%d trace keys derived anew\n", v.Keys)
	}
	for _, list := range []struct {
		word string
		of   []converge.Finding
	}{{"skipped", v.Skipped}, {"wrong", v.Wrong}} {
		for _, f := range list.of {
			place := ""
			if f.Dataset != "" {
				place = fmt.Sprintf("%s@%s: ", f.Dataset, f.Partition)
			}
			fmt.Fprintf(term.out, "%s (%s): %s%s\n", list.word, f.Kind, place, f.What)
		}
	}
	if len(v.Wrong) == 0 {
		fmt.Fprintln(term.out, "nothing is wrong")
	}
}
