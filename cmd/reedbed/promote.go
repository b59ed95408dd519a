package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/node"
)

type promoteCmd struct {
	Version string `arg:"" name:"version" placeholder:"DATASET@PARTITION/VERSION" help:"DATASET@PARTITION/VERSION, such as plays@2026-11-22T03/4."`
	Reason  string `required:"" placeholder:"TEXT" help:"Why, for whoever reads the list of waivers."`
}

// Run sends the readers of one partition to an older version.
func (c promoteCmd) Run(ctx context.Context, g *globals, term terminal) error {
	m, err := c.promotion()
	if err != nil {
		return err
	}
	o, err := g.node(term)
	if err != nil {
		return err
	}
	w, err := node.Promote(ctx, o, m)
	if err != nil {
		return err
	}
	return g.say(term, w, fmt.Sprintf("%s@%s: readers see version %d from now on; it stays so until `reedbed waive --remove %d`\n",
		m.Dataset, m.Partition, m.Version, w.ID))
}

func (c promoteCmd) promotion() (m dataset.Promotion, err error) {
	name, rest, at := strings.Cut(c.Version, "@")
	partition, version, slash := strings.Cut(rest, "/")
	if !at || !slash {
		return m, wrongUse(fmt.Sprintf("%q does not name a version", c.Version), "write DATASET@PARTITION/VERSION, such as plays@2026-11-22T03/4")
	}
	m = dataset.Promotion{Dataset: name, Reason: c.Reason, Actor: actor()}
	if m.Partition, err = dataset.ParsePartition(partition); err != nil {
		return m, wrongUse(err.Error(), "write DATASET@PARTITION/VERSION, such as plays@2026-11-22T03/4")
	}
	if m.Version, err = strconv.ParseInt(version, 10, 64); err != nil || m.Version < 1 {
		return m, wrongUse(fmt.Sprintf("%q is not the number of a version", version), "numbers begin at 1")
	}
	return m, nil
}
