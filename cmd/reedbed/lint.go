package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/node"
)

type lintCmd struct{}

// Run checks the configuration and every stage: header, SQL, inputs, windows
// and columns. It finds all problems at once and changes nothing.
func (lintCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	problems, err := node.Lint(ctx, node.Options{Project: project})
	if err != nil {
		return err
	}
	var found failures
	for _, p := range problems {
		at := filepath.Join(g.Dir, p.File)
		if p.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, p.Line)
		}
		found = append(found, &failure{Code: "stage", What: p.What, At: at, Fix: p.Fix, exit: exitFailed})
	}
	if len(found) > 0 {
		return found
	}
	if g.JSON {
		return json.NewEncoder(term.out).Encode(map[string]any{"project": project.Config.Name, "errors": []string{}})
	}
	_, err = fmt.Fprintf(term.out, "%s: no problems\n", filepath.Join(g.Dir, config.FileName))
	return err
}
