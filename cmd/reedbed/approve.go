package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/node"
)

type approveCmd struct {
	What string `arg:"" name:"partition" placeholder:"DATASET@PARTITION" help:"What is held, such as plays@2026-11-22T03."`
	For  string `placeholder:"STAGE" help:"The stage for which alone it is held."`
	Why  string `placeholder:"TEXT" help:"Why it is good as it is, for whoever reads the record."`
}

// Run lets a held version pass.
func (c approveCmd) Run(ctx context.Context, g *globals, term terminal) error {
	ref, err := dataset.ParseReference(c.What)
	if err != nil || ref.Version != 0 {
		return wrongUse(fmt.Sprintf("%q names no partition", c.What), "write DATASET@PARTITION, such as plays@2026-11-22T03; `reedbed status` lists what is held")
	}
	if c.Why == "" {
		return wrongUse("an approval needs a reason", `add --why "..."`)
	}
	o, err := g.node(term)
	if err != nil {
		return err
	}
	h, err := node.Approve(ctx, o, node.Approval{Reference: ref, Approval: dataset.Approval{Actor: actor(), Reason: c.Why, For: c.For}})
	if err != nil {
		return err
	}
	return g.say(term, h, fmt.Sprintf("version %d of %s@%s is approved and goes to %s\n", h.Version, h.Dataset, h.Partition, cmp.Or(c.For, "readers")))
}
