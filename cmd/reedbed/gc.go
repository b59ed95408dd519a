package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/reedbed/reedbed/node"
)

type gcCmd struct {
	DryRun bool `help:"Say what would be removed, and remove nothing."`
}

// Run collects garbage at once. A running node does it by itself, every hour.
func (c gcCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	done, err := node.CollectGarbage(ctx, o, node.GC{DryRun: c.DryRun})
	if err != nil {
		return err
	}
	return g.say(term, done, gcInWords(done))
}

func gcInWords(c node.Collected) string {
	var b strings.Builder
	lose, are := "lost", "were"
	if c.DryRun {
		lose, are = "would lose", "would be"
	}
	fmt.Fprintf(&b, "%d old versions %s their files (%d bytes); %d files %s removed\n", c.Versions, lose, c.Bytes, c.Removed, are)
	if c.Waiting > 0 {
		fmt.Fprintf(&b, "%d files go as soon as nobody can be reading them any more\n", c.Waiting)
	}
	return b.String()
}
