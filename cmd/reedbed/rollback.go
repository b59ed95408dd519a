package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/node"
)

type rollbackCmd struct {
	Stages []string `arg:"" optional:"" help:"Stages to put back; all that the last apply changed, side inputs included, if none is named."`
	To     int64    `placeholder:"REVISION" help:"Revision of the one stage named, or without a stage the apply whose definitions to put back."`
	List   bool     `help:"List the revisions of the stages named, or the applies."`
	Wait   bool     `help:"Wait until everything is computed, and say what came of it."`
}

// Run puts earlier definitions back. What was computed from the same inputs then
// is still on record and is not computed again.
func (c rollbackCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	if c.List {
		return c.list(ctx, g, term, o)
	}
	done, err := node.Rollback(ctx, o, node.RollbackRequest{Stages: c.Stages, To: c.To, Actor: actor()})
	if err != nil {
		return asRefusals(err)
	}
	return g.revised(ctx, term, o, done, c.Wait)
}

// revision is a revision of a stage, as it is listed.
type revision struct {
	Stage       string    `json:"stage"`
	Revision    int64     `json:"revision"`
	At          time.Time `json:"at"`
	GitRevision string    `json:"git_revision,omitempty"`
}

func (c rollbackCmd) list(ctx context.Context, g *globals, term terminal, o node.Options) error {
	if len(c.Stages) == 0 {
		all, err := node.Applies(ctx, o, 100)
		if err != nil {
			return err
		}
		return g.list(term, all, func(w *tabwriter.Writer) {
			fmt.Fprintln(w, "apply\tat\tby\twhat\tgit\tfiles")
			for _, a := range all {
				what := string(a.Action)
				if a.Restores != 0 {
					what = fmt.Sprintf("%s to apply %d", what, a.Restores)
				}
				var files []string
				for _, f := range a.Changes {
					files = append(files, f.File)
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.At.Format(time.RFC3339), a.Actor, what, a.GitRevision, strings.Join(files, ", "))
			}
		})
	}
	all := []revision{}
	for _, name := range c.Stages {
		found, err := node.Revisions(ctx, o, name)
		if err != nil {
			return err
		}
		for _, f := range found {
			all = append(all, revision{f.Name, f.Revision, f.DeployedAt, f.GitRevision})
		}
	}
	return g.list(term, all, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "stage\trevision\tdeployed at\tgit")
		for _, r := range all {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", r.Stage, r.Revision, r.At.Format(time.RFC3339), r.GitRevision)
		}
	})
}
