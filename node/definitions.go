package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

// Definitions are the files of a project that say what is computed, on their way
// to whoever runs the project.
type Definitions struct {
	// Files by their path in the project: stages/x.sql, data/y.csv,
	// schemas/event/1-0-0.json, contracts/z.yaml.
	Files map[string][]byte `json:"files"`
	// GitRevision is the commit they are of, "-dirty" behind it when they are not
	// all as committed; empty outside a repository.
	GitRevision string `json:"git_revision"`
}

// definitionFiles are the files definitions consist of, as patterns by folder. A
// schema outside of its event's folder is one, so that somebody says it is wrong.
func definitionFiles() map[string][]string {
	return map[string][]string{"stages": {"*.sql"}, "data": {"*.csv"}, "schemas": {"*.json", "*/*.json"}, "contracts": {"*.yaml"}}
}

// isDefinitionFile reports whether a path is one of the patterns' and leads
// nowhere else.
func isDefinitionFile(name string) bool {
	folder, file, _ := strings.Cut(name, "/")
	return path.Clean(name) == name && filepath.IsLocal(filepath.FromSlash(name)) &&
		slices.ContainsFunc(definitionFiles()[folder], func(pattern string) bool {
			matches, err := path.Match(pattern, file)
			return matches && err == nil
		})
}

// ReadDefinitions reads the definitions in a folder. A folder without stages/ is
// refused: deploying it by mistake would take every stage away.
func ReadDefinitions(dir string) (Definitions, error) {
	out := Definitions{Files: map[string][]byte{}, GitRevision: gitRevision(dir)}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return out, err
	}
	defer root.Close() // opened for reading
	if info, err := root.Stat("stages"); err != nil || !info.IsDir() {
		return out, &dataset.Refusal{
			Code: "no_definitions", What: dir + " has no folder stages", Fix: "name the folder that holds stages/, data/, schemas/ and contracts/: --from FOLDER",
		}
	}
	for folder, patterns := range definitionFiles() {
		for _, pattern := range patterns {
			names, err := fs.Glob(root.FS(), folder+"/"+pattern)
			if err != nil {
				return out, err
			}
			for _, name := range names {
				if out.Files[name], err = fs.ReadFile(root.FS(), name); err != nil {
					return out, err
				}
			}
		}
	}
	return out, nil
}

// gitRevision is the commit a folder's definitions are of, as Definitions says.
func gitRevision(dir string) string {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output() //nolint:noctx // ends by itself
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	args := []string{"status", "--porcelain", "--"}
	for folder := range definitionFiles() {
		args = append(args, folder)
	}
	if changed, err := git(args...); err != nil || changed != "" {
		return commit + "-dirty"
	}
	return commit
}

// place puts definitions into a folder of our own, for the engine to read, and
// hands it to fn.
func (n *Node) place(def Definitions, fn func(converge.Project) error) (err error) {
	dir, err := os.MkdirTemp(n.project.WorkDir(), "definitions-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for folder := range definitionFiles() {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			return err
		}
	}
	for name, text := range def.Files {
		if !isDefinitionFile(name) {
			return &dataset.Refusal{
				Code: "not_a_definition", What: fmt.Sprintf("%q is no file of definitions", name),
				Fix: "send files such as stages/x.sql, data/y.csv, schemas/event/1-0-0.json and contracts/z.yaml",
			}
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, 0o600)); err != nil {
			return err
		}
	}
	return withDefinitions(dir, func(p converge.Project) error {
		p.GitRevision = def.GitRevision
		return fn(p)
	})
}

// withDefinitions opens a folder's stages, side inputs and contracts for fn.
// Names in them cannot lead out of the folder, whose path is absolute.
func withDefinitions(dir string, fn func(converge.Project) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() // opened for reading
	p := converge.Project{DataDir: filepath.Join(dir, "data")}
	for folder, into := range map[string]*fs.FS{"stages": &p.Stages, "data": &p.Data, "schemas": &p.Schemas, "contracts": &p.Contracts} {
		if *into, err = fs.Sub(root.FS(), folder); err != nil {
			return err
		}
	}
	return fn(p)
}

// PlanRequest asks what deploying definitions would do.
type PlanRequest struct {
	Definitions
	Sample int `json:"sample"` // partitions of each changed stage to try
}

// ApplyRequest asks that definitions be deployed.
type ApplyRequest struct {
	Definitions
	Actor string `json:"actor"`
}

// RollbackRequest asks that earlier definitions be put back. To is a revision of
// the one stage named, or without stages an apply; 0 is the one before.
type RollbackRequest struct {
	Stages []string `json:"stages"`
	To     int64    `json:"to"`
	Actor  string   `json:"actor"`
}

func (n *Node) plan(ctx context.Context, r PlanRequest) (out converge.Plan, err error) {
	err = n.place(r.Definitions, func(p converge.Project) (err error) {
		out, err = n.converger.Plan(ctx, p, converge.PlanOptions{Sample: r.Sample})
		return err
	})
	return out, err
}

// planOwn plans what the project's own folder holds.
func (n *Node) planOwn(ctx context.Context) (converge.Plan, error) {
	def, err := ReadDefinitions(n.project.Dir)
	if err != nil {
		return converge.Plan{}, err
	}
	return n.plan(ctx, PlanRequest{Definitions: def})
}

func (n *Node) apply(ctx context.Context, r ApplyRequest) (out converge.Applied, err error) {
	err = n.place(r.Definitions, func(p converge.Project) (err error) {
		out, err = n.converger.Apply(ctx, p, r.Actor)
		return err
	})
	return out, n.revised(err)
}

func (n *Node) rollback(ctx context.Context, r RollbackRequest) (converge.Applied, error) {
	if r.To != 0 && len(r.Stages) > 1 {
		return converge.Applied{}, &dataset.Refusal{
			Code: "several_stages", What: "a revision is one stage's, and several are named", Fix: "roll them back one by one, or without --to",
		}
	}
	out, err := n.converger.Rollback(ctx, r.Stages, r.To, r.Actor)
	return out, n.revised(err)
}

// revised notes what a change of definitions means for the node, and words a
// refusal for whoever asked.
func (n *Node) revised(err error) error {
	if err == nil {
		n.problems.set("stages", nil)
		n.compareFiles(context.Background())
		return nil
	}
	refused, ok := errors.AsType[*converge.Refused](err)
	if !ok {
		return err
	}
	detail, failed := json.Marshal(refused.Plan)
	if failed != nil {
		return failed
	}
	return &dataset.Refusal{
		Code: "refused", What: refused.Error(), Fix: "see what is wrong with reedbed plan; what was deployed goes on", Detail: detail,
	}
}

// begin puts the project's definitions to work: at the first start its files, as
// far as they are right; later what is deployed, whatever the files say. With
// Options.Apply the files are deployed if nothing in them is wrong.
func (n *Node) begin(ctx context.Context) error {
	deployed, err := n.catalog.Deployed(ctx)
	if err != nil {
		return err
	}
	if deployed.Apply == 0 {
		return n.deployFirst(ctx)
	}
	problems, err := n.converger.Resume(ctx)
	n.problems.set("stages", problems)
	for _, p := range problems {
		n.log.Error("deployed stage", "problem", p.Error())
	}
	n.deployed.Store(err == nil)
	if err != nil {
		return err
	}
	if n.applyFiles {
		return n.applyOwn(ctx)
	}
	n.compareFiles(ctx)
	return nil
}

// deployFirst deploys the project's files as far as they are right. Files with
// problems are logged and kept for Problems; they stop nothing.
func (n *Node) deployFirst(ctx context.Context) error {
	var found []stage.Problem
	err := withDefinitions(n.project.Dir, func(p converge.Project) (err error) {
		p.GitRevision = gitRevision(n.project.Dir)
		found, err = n.converger.Deploy(ctx, p)
		return err
	})
	n.problems.set("stages", found)
	for _, p := range found {
		n.log.Error("stage file", "problem", p.Error())
	}
	n.deployed.Store(err == nil)
	return err
}

// applyOwn deploys the project's own files. Those that are wrong are no reason
// not to start: what was deployed goes on.
func (n *Node) applyOwn(ctx context.Context) error {
	def, err := ReadDefinitions(n.project.Dir)
	if err != nil {
		return err
	}
	_, err = n.apply(ctx, ApplyRequest{Definitions: def, Actor: "reedbed up --apply"})
	refusal, refused := errors.AsType[*dataset.Refusal](err)
	if !refused {
		return err
	}
	var plan converge.Plan
	if err := json.Unmarshal(refusal.Detail, &plan); err != nil {
		return err
	}
	var problems []stage.Problem
	for _, r := range plan.Refusals {
		problems = append(problems, r.Problem)
		n.log.Error("nothing was deployed", "problem", r.Error())
	}
	n.problems.set("stages", problems)
	n.compareFiles(ctx)
	return nil
}

// compareFiles notes as problems which of the project's files are not what is
// deployed, byte by byte. A project without a folder of stages has its
// definitions elsewhere.
func (n *Node) compareFiles(ctx context.Context) {
	var found []stage.Problem
	def, err := ReadDefinitions(n.project.Dir)
	if err == nil {
		found, err = n.differences(ctx, def)
	}
	if _, none := errors.AsType[*dataset.Refusal](err); err != nil && !none {
		n.log.Warn("the project's files could not be compared with what is deployed", "err", err)
	}
	n.problems.set("files", found)
	for _, p := range found {
		n.log.Warn("not deployed", "problem", p.Error())
	}
}

func (n *Node) differences(ctx context.Context, def Definitions) ([]stage.Problem, error) {
	deployed, err := n.catalog.Deployed(ctx)
	if err != nil {
		return nil, err
	}
	var out []stage.Problem
	differs := func(file, what string) {
		out = append(out, stage.Problem{File: file, What: what, Fix: "see `reedbed plan`, deploy with `reedbed apply`"})
	}
	seen := map[string]bool{}
	for _, f := range deployed.Stages {
		seen[f.File] = true
		switch text, there := def.Files[f.File]; {
		case !there:
			differs(f.File, "is deployed and no longer there")
		case !isDefinition(f, string(text)):
			differs(f.File, "differs from what is deployed")
		}
	}
	for file, digest := range sideDigests(deployed.Sides) {
		seen[file] = true
		switch text, there := def.Files[file]; {
		case !there:
			differs(file, "is deployed and no longer there")
		case digest != converge.Digest(text):
			differs(file, "differs from what is deployed")
		}
	}
	for file, before := range deployed.Contracts {
		seen[file] = true
		switch text, there := def.Files[file]; {
		case !there:
			differs(file, "is deployed and no longer there")
		case before != string(text):
			differs(file, "differs from what is deployed")
		}
	}
	wrong := n.problems.files("stages")
	for file := range def.Files {
		if !seen[file] && !slices.Contains(wrong, file) {
			differs(file, "is not deployed")
		}
	}
	slices.SortFunc(out, func(a, b stage.Problem) int { return cmp.Compare(a.File, b.File) })
	return out, nil
}

// sideDigests are the digests of the files that side inputs are made of.
func sideDigests(sides []sqlite.Side) map[string]string {
	out := map[string]string{}
	for _, s := range sides {
		if s.Spec.Name == dataset.Schemas {
			maps.Copy(out, s.Files)
			continue
		}
		out[s.File] = s.Digest
	}
	return out
}

// isDefinition reports whether a file is a revision on record; blanks around the
// SQL are not kept.
func isDefinition(f sqlite.Definition, text string) bool {
	s, _ := stage.Parse(f.Name, f.File, text)
	return s != nil && s.HeaderText == f.Header && s.SQL == f.SQL
}
