package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/reedbed/reedbed/config"
)

type lintCmd struct{}

// Run checks the configuration. Problems are errors, all of them at once.
func (lintCmd) Run(g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(term.out).Encode(map[string]any{"project": project.Config.Name, "errors": []string{}})
	}
	_, err = fmt.Fprintf(term.out, "%s: no problems\n", filepath.Join(g.Dir, config.FileName))
	return err
}
