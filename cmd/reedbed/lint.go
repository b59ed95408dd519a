package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/stage"
)

type lintCmd struct{}

// Run checks the configuration, every stage (header, SQL, inputs, windows,
// columns and what it promises), and every contract. It finds all problems at
// once and changes nothing.
func (lintCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	_, problems, err := node.Lint(ctx, node.Options{Project: project})
	if err != nil {
		return err
	}
	if found := badFiles(g, problems, exitFailed); len(found) > 0 {
		return found
	}
	if g.JSON {
		return json.NewEncoder(term.out).Encode(map[string]any{"project": project.Config.Name, "errors": []string{}})
	}
	_, err = fmt.Fprintf(term.out, "%s: no problems\n", filepath.Join(g.Dir, config.FileName))
	return err
}

// badFiles words what is wrong with a project's files.
func badFiles(g *globals, problems []stage.Problem, exit int) failures {
	var found failures
	for _, p := range problems {
		code := "stage"
		if strings.HasPrefix(p.File, "contracts/") {
			code = "contract"
		}
		found = append(found, &failure{Code: code, What: p.What, At: placeOf(g.Dir, p), Fix: p.Fix, exit: exit})
	}
	return found
}
