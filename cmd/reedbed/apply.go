package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/node"
)

type applyCmd struct {
	From string `placeholder:"FOLDER" help:"Folder with stages/, data/, schemas/ and contracts/; the project's own if left out."`
	Wait bool   `help:"Wait until everything is computed, and set what was predicted against what came of it."`
}

// Run deploys definitions, all or nothing. What must be recomputed is, by whoever
// runs the project.
func (c applyCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	def, err := g.definitions(c.From)
	if err != nil {
		return err
	}
	done, err := node.Apply(ctx, o, node.ApplyRequest{Definitions: def, Actor: actor()})
	if err != nil {
		return asRefusals(err)
	}
	return g.revised(ctx, term, o, done, c.Wait)
}

// revised says what was deployed and, if asked, waits for what follows from it.
func (g *globals) revised(ctx context.Context, term terminal, o node.Options, done converge.Applied, wait bool) error {
	words := appliedInWords(done)
	if !wait || done.ID == 0 {
		return g.say(term, done, words)
	}
	if !g.JSON && !g.Quiet {
		fmt.Fprint(term.err, words)
	}
	if err := node.Settle(ctx, o); err != nil {
		return fmt.Errorf("wait for convergence: %w", err)
	}
	score, err := node.Score(ctx, o, done.ID)
	if err != nil {
		return err
	}
	return g.say(term, struct {
		converge.Applied
		Score sqlite.Score `json:"score"`
	}{done, score}, scoreInWords(score))
}

func appliedInWords(done converge.Applied) string {
	if done.ID == 0 {
		return "nothing to deploy: these definitions are what is deployed\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apply %d: %d files\n", done.ID, len(done.Plan.Changes))
	for _, c := range done.Plan.Changes {
		fmt.Fprintf(&b, "  %s: %s\n", c.File, strings.Join(c.Changes, "; "))
	}
	for _, c := range done.Plan.Contracts {
		for _, p := range c.Broken {
			fmt.Fprintf(&b, "  broken promise, tell %s (%s): %s\n", c.Owner, c.Name, p.Error())
		}
	}
	fmt.Fprintf(&b, "at most %d partitions are recomputed, about %s; see reedbed plan --last\n", done.Plan.Total.Partitions, seconds(done.Plan.Estimate))
	return b.String()
}
