package converge

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// Applied is what came of a change of definitions.
type Applied struct {
	// ID is the record's; 0 says that the set was deployed already.
	ID   int64 `json:"apply"`
	Plan Plan  `json:"plan"`
}

// Apply deploys a project's files, all or nothing: with anything wrong in them it
// changes nothing and gives *Refused.
func (c *Converger) Apply(ctx context.Context, p Project, actor string) (Applied, error) {
	return c.revise(ctx, dataset.Application{Action: dataset.Apply, Actor: actor, GitRevision: p.GitRevision}, func(d *proposal) (err error) {
		d.def, err = d.fromFolder(ctx, p, d.before)
		return err
	})
}

// revise deploys what take gathers unless something is wrong with it.
func (c *Converger) revise(ctx context.Context, a dataset.Application, take func(*proposal) error) (out Applied, err error) {
	c.deploying.Lock()
	defer c.deploying.Unlock()
	d, err := c.propose(ctx, PlanOptions{}, take)
	defer d.def.discard()
	out.Plan = d.plan
	if err != nil {
		return out, err
	}
	if len(d.plan.Refusals) > 0 {
		return out, &Refused{d.plan}
	}
	for _, x := range d.plan.Changes {
		a.Changes = append(a.Changes, x.FileChange)
	}
	a.Predicted = d.plan.predicted()
	done, err := d.put(ctx, d.def, d.set, a)
	out.ID = done.ID
	return out, err
}

// Rollback puts earlier revisions back: of the stages named the one before what
// is deployed, or revision `to` if that is not 0; without names the whole set as
// it was before the last apply, or as the apply `to` had it. What was computed
// from the same inputs then is on record and not computed again.
func (c *Converger) Rollback(ctx context.Context, stages []string, to int64, actor string) (Applied, error) {
	a := dataset.Application{Action: dataset.Rollback, Actor: actor}
	if len(stages) > 0 {
		return c.revise(ctx, a, func(d *proposal) (err error) {
			d.def, err = d.withEarlier(ctx, stages, to)
			return err
		})
	}
	before, err := c.o.Catalog.Deployed(ctx)
	if err != nil {
		return Applied{}, err
	}
	a.Restores = cmp.Or(to, before.Previous)
	if a.Restores == 0 {
		return Applied{}, &dataset.Refusal{
			Code: "nothing_earlier", What: "there is no earlier set of definitions to go back to", Fix: "see what is on record: reedbed rollback --list",
		}
	}
	return c.revise(ctx, a, func(d *proposal) error {
		target, err := c.o.Catalog.DeployedBy(ctx, a.Restores)
		if errors.Is(err, sqlite.ErrNoApply) {
			return &dataset.Refusal{Code: "no_such_apply", What: fmt.Sprintf("there is no apply %d", to), Fix: "see what is on record: reedbed rollback --list"}
		}
		d.def = d.fromRecord(target)
		return err
	})
}

// withEarlier is what is deployed, with earlier revisions of the named stages.
func (d *proposal) withEarlier(ctx context.Context, stages []string, to int64) (definitions, error) {
	set := d.before
	set.Stages = slices.Clone(set.Stages)
	for _, name := range stages {
		f, err := d.earlier(ctx, name, to)
		if err != nil {
			return definitions{}, err
		}
		i := slices.IndexFunc(set.Stages, func(s sqlite.Definition) bool { return s.Name == name })
		if i < 0 { // its file was gone
			set.Stages = append(set.Stages, f)
			continue
		}
		set.Stages[i] = f
	}
	return d.fromRecord(set), nil
}

// earlier finds the revision of a stage to go back to.
func (d *proposal) earlier(ctx context.Context, name string, to int64) (f sqlite.Definition, err error) {
	all, err := d.c.o.Catalog.Revisions(ctx, name)
	if err != nil {
		return f, err
	}
	if len(all) == 0 {
		return f, &dataset.Refusal{
			Code: "not_a_stage", What: name + " is no stage that was ever deployed",
			Fix: "name a stage; built-in datasets cannot be rolled back, and side inputs go back with the whole set: reedbed rollback",
		}
	}
	current, deployed := d.old[name]
	want := all[0].ID // of a stage whose file is gone, the last one
	if deployed {
		want = current.Previous
	}
	for _, f := range all {
		if to != 0 && f.Revision == to || to == 0 && f.ID == want {
			return f, nil
		}
	}
	return f, &dataset.Refusal{
		Code: "no_such_revision", What: fmt.Sprintf("%s has no such earlier revision", name), Fix: "see its revisions: reedbed rollback --list " + name,
	}
}

// definitions are the texts and side inputs of a set, wherever they come from.
type definitions struct {
	stages   []*stage.Stage
	problems []stage.Problem // of files that do not parse
	sides    []sideInput
	// contracts are what consumers hold datasets to; contractTexts the files, as written.
	contracts     []*contract.File
	contractTexts map[string]string
	// gitRevision is the commit the files are of; origins are those of texts on
	// record, and revisions their definitions, by stage.
	gitRevision string
	origins     map[string]string
	revisions   map[string]int64
}

// sideInput is a side input of a set. output is new content that is not in the
// store yet; its file belongs to whoever holds it.
type sideInput struct {
	dataset.SideInput
	output *engine.Output
}

// discard removes content that was not adopted.
func (def definitions) discard() {
	for _, s := range def.sides {
		if s.output != nil {
			_ = os.Remove(s.output.Path) // adopted, or swept at the next start
		}
	}
}

// fromFolder reads a project's files. Problems of side inputs, which are then
// left out, go to d.
func (d *deployment) fromFolder(ctx context.Context, p Project, before sqlite.Deployed) (def definitions, err error) {
	def.gitRevision = p.GitRevision
	def.stages, def.problems = stage.ReadFolder(p.Stages, "stages")
	for _, name := range d.sideFiles(p.Data) {
		s, err := d.readSide(ctx, p, name, before)
		if ctx.Err() != nil {
			return def, ctx.Err()
		}
		if err != nil {
			d.problem("data/"+name+".csv", 0, err.Error(), "correct the file; the version loaded before stays")
			continue
		}
		def.sides = append(def.sides, s)
	}
	texts, err := contractFiles(p.Contracts)
	if err != nil {
		return def, err
	}
	d.takeContracts(&def, texts)
	return def, d.readSchemas(ctx, p, before, &def)
}

// contractFiles reads the contracts of consumers: texts by file.
func contractFiles(folder fs.FS) (map[string]string, error) {
	texts := map[string]string{}
	if folder == nil {
		return texts, nil
	}
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		texts[path.Join("contracts", file)] = string(text)
	}
	return texts, nil
}

// takeContracts adds contracts to a set. A file that is wrong, or in another
// format than ours, holds nobody to anything and is a problem of its owner.
func (d *deployment) takeContracts(def *definitions, texts map[string]string) {
	def.contractTexts = texts
	for _, file := range slices.Sorted(maps.Keys(texts)) {
		text := []byte(texts[file])
		if contract.IsODCS(text) {
			continue
		}
		f, problems := contract.Parse(file, text)
		for _, p := range problems {
			d.problem(p.File, p.Line, p.What, p.Fix)
		}
		if f != nil {
			def.contracts = append(def.contracts, f)
		}
	}
}

// readSide describes a side file. Only bytes that are not those of the deployed
// file are read by the engine, and only rows that are not the deployed ones are
// new content.
func (d *deployment) readSide(ctx context.Context, p Project, name string, before sqlite.Deployed) (s sideInput, err error) {
	text, err := fs.ReadFile(p.Data, name+".csv")
	if err != nil {
		return s, err
	}
	digest := Digest(text)
	var old sqlite.Side
	for _, o := range before.Sides {
		if o.Spec.Name == name {
			old = o
		}
	}
	if old.Version != 0 && old.Digest == digest {
		return sideInput{SideInput: sideOnRecord(old)}, nil
	}
	s.Spec = dataset.Spec{Name: name, Kind: dataset.Side, Grain: dataset.None, HashScheme: d.c.o.HashScheme}
	if why, err := d.c.o.Catalog.Conflict(ctx, s.Spec); why != nil || err != nil {
		return s, cmp.Or(err, why)
	}
	res, err := d.c.o.Engine.Build(ctx, engine.BuildJob{SQL: "SELECT * FROM " + name, Tables: []engine.Table{sideTable(p, name)}, Limits: d.c.o.Limits})
	if err != nil {
		return s, err
	}
	s.output, s.Spec.Columns = &res.Output, res.Output.Columns
	s.File, s.Digest = "data/"+name+".csv", digest
	if old.Version != 0 && old.Rows == res.Output.Rows && old.Hash == res.Output.Hash {
		s.Version, s.output = old.Version, nil
		return s, os.Remove(res.Output.Path)
	}
	return s, nil
}

// Digest identifies the bytes of a side file.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// sideOnRecord is a side input as it was deployed.
func sideOnRecord(s sqlite.Side) dataset.SideInput {
	return dataset.SideInput{Spec: s.Spec, File: s.File, Digest: s.Digest, Files: s.Files, Version: s.Version}
}

// fromRecord takes the definitions of a set on record.
func (d *deployment) fromRecord(set sqlite.Deployed) definitions {
	def := definitions{origins: map[string]string{}, revisions: map[string]int64{}}
	for _, f := range set.Stages {
		s, problems := stage.Parse(f.Name, f.File, f.Text())
		def.problems = append(def.problems, problems...)
		if s != nil {
			def.stages = append(def.stages, s)
		}
		def.origins[f.Name], def.revisions[f.Name] = f.GitRevision, f.ID
	}
	for _, s := range set.Sides {
		def.sides = append(def.sides, sideInput{SideInput: sideOnRecord(s)})
	}
	d.takeContracts(&def, set.Contracts)
	return def
}

// adoptSides moves new content of side inputs into the store.
func (c *Converger) adoptSides(sides []sideInput) ([]dataset.SideInput, error) {
	var out []dataset.SideInput
	for _, s := range sides {
		if s.output != nil {
			object, err := c.o.Store.Adopt(s.output.Path, "parquet")
			if err != nil {
				return nil, fmt.Errorf("keep %s: %w", s.File, err)
			}
			s.Segment = &dataset.NewSegment{
				Dataset: s.Spec.Name, Partition: dataset.Whole, Object: object.ID, Rows: s.output.Rows, Bytes: object.Bytes, Hash: s.output.Hash,
			}
		}
		out = append(out, s.SideInput)
	}
	return out, nil
}
