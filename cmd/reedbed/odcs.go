package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/node"
)

type contractExportCmd struct {
	File string `arg:"" help:"Whose contract, such as contracts/royalties.yaml or stages/plays.sql."`
	ODCS bool   `name:"odcs" required:"" help:"Write the Open Data Contract Standard, version 3.1."`
}

// Run writes a contract in which nothing is wrong to the standard output.
func (c contractExportCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	promises, problems, err := node.Lint(ctx, node.Options{Project: project})
	if err != nil {
		return err
	}
	good, problems, err := contractCheckCmd{Files: []string{c.File}}.only(g.Dir, checkedFiles(promises), nil, problems)
	if err != nil {
		return err
	}
	if found := badFiles(g, problems, exitCheck); len(found) > 0 {
		return found
	}
	for _, f := range promises.Consumed {
		if f.Path == good[0].File {
			_, err = term.raw.Write(f.ODCS())
		}
	}
	for _, x := range promises.Produced {
		if x.File == good[0].File {
			_, err = term.raw.Write(x.ODCS())
		}
	}
	return err
}

type contractImportCmd struct {
	File string `arg:"" help:"The document."`
	Name string `placeholder:"NAME" help:"Write contracts/NAME.yaml; the name of the contract if left out."`
}

// notInNames are characters that a contract's file has none of in its name.
var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// Run writes a new file of contracts/ and says what of the document is not in it.
func (c contractImportCmd) Run(_ context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	made, problems := contract.ImportODCS(c.File, text)
	if made == nil {
		return notTakenOver(problems)
	}
	name := cmp.Or(c.Name, strings.Trim(notInNames.ReplaceAllString(strings.ToLower(made.Name), "_"), "_"), "contract")
	if filepath.Base(name) != name {
		return &failure{Code: "usage", What: fmt.Sprintf("%q is no name of a file in contracts/", name), Fix: "use a-z, 0-9 and _", exit: exitUsage}
	}
	file := filepath.Join(project.Dir, "contracts", name+".yaml")
	if err := writeNew(file, made.Text); err != nil {
		return err
	}
	left := append([]contract.Problem{}, made.Left...)
	var words strings.Builder
	fmt.Fprintf(&words, "wrote %s; check it: reedbed contract check\n", filepath.Join(g.Dir, "contracts", name+".yaml"))
	for _, p := range left {
		fmt.Fprintf(&words, "  %s\n", p.Error())
	}
	return g.say(term, struct {
		File string             `json:"file"`
		Left []contract.Problem `json:"left_out"`
	}{"contracts/" + name + ".yaml", left}, words.String())
}

func notTakenOver(problems []contract.Problem) error {
	var out failures
	for _, p := range problems {
		at := p.File
		if p.Line > 0 {
			at = fmt.Sprintf("%s:%d", p.File, p.Line)
		}
		out = append(out, &failure{Code: "odcs", What: p.What, At: at, Fix: p.Fix, exit: exitCheck})
	}
	return out
}

// writeNew writes a file that must not be there.
func writeNew(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return &failure{Code: "exists", What: path + " is there already", Fix: "remove it, or write another file: --name NAME", exit: exitFailed}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
