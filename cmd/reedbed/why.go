package main

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/web"
)

type whyCmd struct {
	What string `arg:"" name:"partition" placeholder:"DATASET@PARTITION[/VERSION]" help:"DATASET@PARTITION, such as plays@2026-11-22T03, or one version of it: plays@2026-11-22T03/4."`
}

// Run says how a partition is, and what brought it about.
func (c whyCmd) Run(ctx context.Context, g *globals, term terminal) error {
	ref, err := dataset.ParseReference(c.What)
	if err != nil {
		return wrongUse(err.Error(), "write DATASET@PARTITION, such as plays@2026-11-22T03 or royalties@2026-11-22/2")
	}
	o, err := g.node(term)
	if err != nil {
		return err
	}
	a, err := node.Why(ctx, o, ref)
	if err != nil {
		return err
	}
	return g.say(term, a, web.Explain(a))
}
