package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/node"
)

type upCmd struct {
	Listen string `placeholder:"HOST:PORT" help:"Address to listen on, instead of the configured one."`
	Apply  bool   `help:"Deploy the project's files first, unless something in them is wrong."`
}

// Run runs a project until a signal ends it.
func (c upCmd) Run(ctx context.Context, g *globals, term terminal) error {
	read := func() (config.Project, error) { return g.project(overrides("listen", c.Listen)) }
	project, err := read()
	if err != nil {
		return err
	}
	node.SaveMemory()
	n, err := node.Open(ctx, node.Options{Project: project, Log: g.logger(term), Apply: c.Apply, Reload: read})
	if err != nil {
		return err
	}
	return errors.Join(runNode(ctx, n, term), n.Close())
}

func runNode(ctx context.Context, n *node.Node, term terminal) error {
	url, err := n.Listen(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.out, "listening on %s\n", url)
	return n.Run(ctx, func() { fmt.Fprintln(term.out, "ready") })
}

// overrides are settings a flag gives; an empty flag gives none.
func overrides(path, value string) map[string]string {
	if value == "" {
		return nil
	}
	return map[string]string{path: value}
}
