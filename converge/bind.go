package converge

import (
	"context"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// Bound is what a project's files say, as far as they are right.
type Bound struct {
	Stages  []*stage.Stage              // upstream first, without those that have problems
	Columns map[string][]dataset.Column // of every dataset those can read or make
	Sides   map[string]engine.Table     // side inputs, as the engine reads them
}

// Bind reads a project's files and binds each stage against the columns of its
// inputs, as Deploy would, without a catalog and without changing anything.
func Bind(ctx context.Context, e Engine, sem stage.Semantics, builtins []dataset.Spec, p Project) (Bound, []stage.Problem, error) {
	d, out, err := bindFiles(ctx, e, sem, builtins, p)
	return out, d.problems, err
}

// Lint checks a project's stages and contracts as Deploy would, without a catalog
// behind it and without changing anything. It also returns what datasets are held
// to, as far as that is right.
func Lint(ctx context.Context, e Engine, sem stage.Semantics, builtins []dataset.Spec, p Project) (Promises, []stage.Problem, error) {
	d, _, err := bindFiles(ctx, e, sem, builtins, p)
	if err != nil {
		return Promises{}, d.problems, err
	}
	out, err := d.promises(ctx, p)
	return out, d.problems, err
}

func bindFiles(ctx context.Context, e Engine, sem stage.Semantics, builtins []dataset.Spec, p Project) (*deployment, Bound, error) {
	d := (&Converger{o: Options{Engine: e, Semantics: sem}}).newDeployment()
	out := Bound{Columns: d.columns, Sides: map[string]engine.Table{}}
	known := stage.Known{}
	for _, spec := range builtins {
		known[spec.Name], d.columns[spec.Name] = spec.Grain, spec.Columns
	}
	for _, name := range d.sideFiles(p.Data) {
		side := sideTable(p, name)
		res, err := e.Describe(ctx, "SELECT * FROM "+name, []engine.Table{side})
		if err != nil {
			d.problem("data/"+name+".csv", 0, err.Error(), "correct the file")
			continue
		}
		known[name], d.columns[name], out.Sides[name] = dataset.None, res, side
	}
	if err := d.takeSchemas(p, known, out.Sides); err != nil {
		return d, out, err
	}
	files, problems := stage.ReadFolder(p.Stages, "stages")
	d.problems = append(d.problems, problems...)
	sorted, problems := stage.Order(files, known)
	d.problems = append(d.problems, problems...)
	d.feeds = feedsCompleteness(sorted)
	for _, s := range sorted {
		b, found, err := d.bind(ctx, s)
		if err != nil {
			return d, out, err
		}
		if b != nil {
			out.Stages, d.bound = append(out.Stages, s), append(d.bound, *b)
		}
		d.problems = append(d.problems, found...)
	}
	return d, out, nil
}
