package converge

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/enrich/schema"
	"github.com/reedbed/reedbed/stage"
)

// schemasFolder is where a project's schemas are. All of them are one side input.
const schemasFolder = "schemas"

// schemaFiles reads the schemas of a project. Files with problems are left out;
// there says that there are any, right or wrong.
func (d *deployment) schemaFiles(folder fs.FS) (files []schema.File, there bool, err error) {
	if folder == nil {
		return nil, false, nil
	}
	files, wrong, err := schema.Read(folder)
	if err != nil {
		return nil, false, err
	}
	there = len(files)+len(wrong) > 0
	wrong = append(wrong, schema.NewSet(files).Mistakes()...)
	for _, m := range wrong {
		d.problem(path.Join(schemasFolder, m.Path), m.Line, m.What, m.Fix)
		files = slices.DeleteFunc(files, func(f schema.File) bool { return f.Path() == m.Path })
	}
	return files, there, nil
}

// schemasTable is the schemas as a table the engine can read.
func schemasTable(files []schema.File) engine.Table {
	t := engine.Table{Name: dataset.Schemas, Columns: []dataset.Column{
		{Name: "event", Type: "VARCHAR"}, {Name: "version", Type: "VARCHAR"}, {Name: "schema", Type: "VARCHAR"},
	}}
	for _, f := range files {
		text := f.Compact()
		t.Rows = append(t.Rows, []*string{&f.Event, &f.Version, &text})
	}
	return t
}

// readSchemas adds the project's schemas to the side inputs of a set.
func (d *deployment) readSchemas(ctx context.Context, p Project, before sqlite.Deployed, def *definitions) error {
	files, there, err := d.schemaFiles(p.Schemas)
	if err != nil || !there {
		return err
	}
	old := schemasOf(before)
	s := sideInput{SideInput: dataset.SideInput{Files: map[string]string{}}}
	for _, f := range files {
		s.Files[path.Join(schemasFolder, f.Path())] = Digest([]byte(f.Text))
	}
	if old.Version != 0 && maps.Equal(s.Files, old.Files) {
		def.sides = append(def.sides, sideInput{SideInput: sideOnRecord(old)})
		return nil
	}
	s.Digest = digestOf(s.Files)
	s.Spec = dataset.Spec{Name: dataset.Schemas, Kind: dataset.Side, Grain: dataset.None, HashScheme: d.c.o.HashScheme}
	if why, err := d.c.o.Catalog.Conflict(ctx, s.Spec); why != nil || err != nil {
		return cmp.Or(err, why)
	}
	res, err := d.c.o.Engine.Build(ctx, engine.BuildJob{SQL: "SELECT * FROM " + dataset.Schemas, Tables: []engine.Table{schemasTable(files)}, Limits: d.c.o.Limits})
	if err != nil {
		return err
	}
	s.output, s.Spec.Columns = &res.Output, res.Output.Columns
	s.File = strings.Join(shortList(changedFiles(old.Files, s.Files)), ", ")
	if old.Version != 0 && old.Rows == res.Output.Rows && old.Hash == res.Output.Hash {
		s.Version, s.output = old.Version, nil
		err = os.Remove(res.Output.Path)
	}
	def.sides = append(def.sides, s)
	return err
}

// schemasOf is the schemas as deployed.
func schemasOf(set sqlite.Deployed) sqlite.Side {
	i := slices.IndexFunc(set.Sides, func(s sqlite.Side) bool { return s.Spec.Name == dataset.Schemas })
	if i < 0 {
		return sqlite.Side{}
	}
	return set.Sides[i]
}

// digestOf identifies the bytes of several files by theirs.
func digestOf(files map[string]string) string {
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&all, "%s %s\n", files[name], name)
	}
	return Digest([]byte(all.String()))
}

// changedFiles lists the files of two sets, with their digests, that differ.
func changedFiles(was, is map[string]string) []string {
	all := maps.Clone(is)
	for name := range was {
		all[name] = ""
	}
	maps.DeleteFunc(all, func(name, _ string) bool { return was[name] == is[name] })
	return slices.Sorted(maps.Keys(all))
}

// shortList cuts a list for a line of text.
func shortList(names []string) []string {
	const most = 3
	if len(names) <= most {
		return names
	}
	return append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
}

// compareSchemas says which schemas changed.
func (d *proposal) compareSchemas(s sideInput) {
	old := schemasOf(d.before)
	same := s.Version != 0 && s.Version == old.Version
	d.changed[dataset.Schemas] = !same
	for _, file := range changedFiles(old.Files, s.Files) {
		c := Change{FileChange: dataset.FileChange{File: file}, Dataset: dataset.Schemas, Recomputes: !same}
		switch {
		case old.Files[file] == "":
			c.Changes = []string{"new schema"}
		case s.Files[file] == "":
			c.Changes = []string{"the file is gone"}
		case same:
			c.Changes = []string{"the file is written otherwise, the schema is the same"}
		default:
			c.Changes = []string{"the schema changed"}
		}
		d.plan.Changes = append(d.plan.Changes, c)
	}
}

// datasetOf is the dataset that a file of a project makes.
func datasetOf(file string) string {
	if strings.HasPrefix(file, schemasFolder+"/") {
		return dataset.Schemas
	}
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}

// takeSchemas makes the project's schemas known to Bind.
func (d *deployment) takeSchemas(p Project, known stage.Known, sides map[string]engine.Table) error {
	files, there, err := d.schemaFiles(p.Schemas)
	if err != nil || !there {
		return err
	}
	table := schemasTable(files)
	known[table.Name], d.columns[table.Name], sides[table.Name] = dataset.None, table.Columns, table
	return nil
}
