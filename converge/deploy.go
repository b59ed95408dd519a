package converge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// Project is where a project's definitions are.
type Project struct {
	Stages    fs.FS // the stages folder
	Data      fs.FS // the data folder: small side inputs
	Contracts fs.FS // what teams expect of others' datasets; nil: nothing
	Schemas   fs.FS // JSON Schemas of events; nil: none
	// DataDir is the absolute path of Data, for the engine to read.
	DataDir string
	// GitRevision is the commit the files are of, "" if that is not known.
	GitRevision string
}

// Deploy puts a project's files to work as far as they are right, for a project
// that has nothing to lose: its first start. A file with problems does not stop
// the others: the stage as it was deployed before goes on running where it can,
// otherwise it and what depends on it pause. The problems say which and why.
func (c *Converger) Deploy(ctx context.Context, p Project) ([]stage.Problem, error) {
	c.deploying.Lock()
	defer c.deploying.Unlock()
	d := c.newDeployment()
	before, err := c.o.Catalog.Deployed(ctx)
	if err != nil {
		return nil, err
	}
	def, err := d.fromFolder(ctx, p, before)
	defer def.discard()
	if err != nil {
		return d.problems, err
	}
	for _, s := range before.Sides { // a file that is wrong or gone: what was loaded stays
		if !slices.ContainsFunc(def.sides, func(x sideInput) bool { return x.Spec.Name == s.Spec.Name }) {
			def.sides = append(def.sides, sideInput{SideInput: sideOnRecord(s)})
		}
	}
	err = d.deploy(ctx, def, before, dataset.Application{Action: dataset.First, Actor: self, GitRevision: p.GitRevision})
	return d.problems, err
}

// self is the actor of what nobody ordered.
const self = "reedbed"

// Resume goes on with what is deployed, of which no file is needed. Its problems
// are stages that this release cannot run.
func (c *Converger) Resume(ctx context.Context) ([]stage.Problem, error) {
	c.deploying.Lock()
	defer c.deploying.Unlock()
	before, err := c.o.Catalog.Deployed(ctx)
	if err != nil {
		return nil, err
	}
	d := c.newDeployment()
	err = d.deploy(ctx, d.fromRecord(before), before, dataset.Application{Action: dataset.Upgrade, Actor: self})
	return d.problems, err
}

// deploy puts to work what can run of def.
func (d *deployment) deploy(ctx context.Context, def definitions, before sqlite.Deployed, a dataset.Application) error {
	known, err := d.known(ctx, def.sides)
	if err != nil {
		return err
	}
	set, err := d.read(ctx, def, known, before)
	if err != nil {
		return err
	}
	_, err = d.put(ctx, def, set, a)
	return err
}

// put makes set, which is bound, what runs.
func (d *deployment) put(ctx context.Context, def definitions, set map[string]*deployed, a dataset.Application) (out sqlite.Applied, err error) {
	a.Stages, a.Paused, a.Contracts = d.deployments(set, def), d.paused, def.contractTexts
	if a.Sides, err = d.c.adoptSides(def.sides); err != nil {
		return out, err
	}
	if out, err = d.c.o.Catalog.Apply(ctx, a); err != nil {
		return out, fmt.Errorf("deploy: %w", err)
	}
	for name, s := range set {
		s.gitRevision = out.GitRevisions[name]
	}
	if err := d.c.o.Catalog.KeepVerdicts(ctx, slices.Collect(maps.Keys(d.stored))); err != nil {
		return out, fmt.Errorf("deploy: %w", err)
	}
	d.c.mu.Lock()
	d.c.stages, d.c.stored, d.c.fresh = set, d.stored, d.fresh
	d.c.mu.Unlock()
	d.c.Wake()
	return out, nil
}

// deployment is one Deploy at work.
type deployment struct {
	c        *Converger
	columns  map[string][]dataset.Column // of every dataset that can be read
	depths   map[string]int
	feeds    map[string]bool // what Completeness is computed from
	problems []stage.Problem
	paused   []string
	bound    []bound               // upstream first
	stored   map[string]storedGate // by dataset that no stage computes
	fresh    []freshness
}

// bound is a stage whose SQL parses, reads what its header says and binds.
type bound struct {
	stage      *stage.Stage
	identity   []byte
	ast        string // of the SQL
	columns    []dataset.Column
	analysis   stage.Analysis
	rowWise    string
	hasRejects bool
}

func (d *deployment) problem(file string, line int, what, fix string) {
	d.problems = append(d.problems, stage.Problem{File: file, Line: line, What: what, Fix: fix})
}

func (c *Converger) newDeployment() *deployment {
	return &deployment{c: c, columns: map[string][]dataset.Column{}}
}

// known gathers the datasets stages can read that are not stages.
func (d *deployment) known(ctx context.Context, sides []sideInput) (stage.Known, error) {
	on, err := d.c.o.Catalog.Datasets(ctx)
	if err != nil {
		return nil, err
	}
	known := stage.Known{}
	for _, x := range on {
		if x.Spec.Kind == dataset.Builtin {
			known[x.Spec.Name], d.columns[x.Spec.Name] = x.Spec.Grain, x.Spec.Columns
		}
	}
	for _, s := range sides {
		known[s.Spec.Name], d.columns[s.Spec.Name] = dataset.None, s.Spec.Columns
	}
	return known, nil
}

func (d *deployment) sideFiles(data fs.FS) []string {
	if data == nil {
		return nil
	}
	files, err := fs.Glob(data, "*.csv")
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range files {
		name := strings.TrimSuffix(f, ".csv")
		if !stage.ValidName(name) || stage.Reserved(name) {
			d.problem(path.Join("data", f), 0, fmt.Sprintf("%q cannot name a side input", name),
				"name the file with a-z, 0-9 and _, beginning with a letter; raw, quarantine, schemas and names that end in _rejected are taken")
			continue
		}
		names = append(names, name)
	}
	return names
}

func sideTable(p Project, name string) engine.Table {
	return engine.Table{Name: name, Files: []string{filepath.Join(p.DataDir, name+".csv")}, Format: "csv"}
}

// read binds each stage against its inputs.
func (d *deployment) read(ctx context.Context, def definitions, known stage.Known, before sqlite.Deployed) (map[string]*deployed, error) {
	texts := map[string]sqlite.Definition{}
	for _, f := range before.Stages {
		texts[f.Name] = f
	}
	d.problems = append(d.problems, def.problems...)
	files := append(slices.Clone(def.stages), d.fallBack(def.stages, def.problems, texts)...)
	sorted, problems := stage.Order(files, known)
	d.problems = append(d.problems, problems...)
	d.depths, d.feeds = stage.Depths(sorted), feedsCompleteness(sorted)
	set := map[string]*deployed{}
	for _, s := range sorted {
		x, err := d.bindOrKeep(ctx, s, texts)
		if err != nil {
			return nil, err
		}
		if x != nil {
			set[s.Name] = x
		}
	}
	for _, s := range files {
		if set[s.Name] == nil {
			d.paused = append(d.paused, s.Name)
		}
	}
	d.setGates(set, def.contracts)
	found, err := d.checkContracts(ctx, def.contracts)
	d.problems = append(d.problems, found...)
	return set, err
}

// setGates gives each stage what judges its versions. What a contract says of
// columns that are not there is a problem found elsewhere.
func (d *deployment) setGates(set map[string]*deployed, files []*contract.File) {
	about := map[string][]contract.Contract{}
	for _, f := range files {
		if f.Consumer != "" && set[f.Consumer] == nil {
			continue // there is nobody to be kept from anything
		}
		for _, c := range f.Contracts {
			about[c.Dataset] = append(about[c.Dataset], c)
		}
	}
	for name, x := range set {
		x.gate = newGate(x.stage, x.columns, about[name])
		x.compares = map[string][]dataset.Column{}
		for _, other := range x.gate.needs.Reads {
			x.compares[other] = d.columns[other]
		}
	}
	setArrived(set, d.feeds)
	d.setStored(set, about)
	d.fresh = freshnessOf(set, about)
}

// fallBack returns the deployed text of files that no longer parse.
func (d *deployment) fallBack(files []*stage.Stage, problems []stage.Problem, texts map[string]sqlite.Definition) []*stage.Stage {
	var out []*stage.Stage
	for _, p := range problems {
		name := strings.TrimSuffix(path.Base(p.File), ".sql")
		has := func(s *stage.Stage) bool { return s.Name == name }
		if slices.ContainsFunc(files, has) || slices.ContainsFunc(out, has) {
			continue
		}
		if f, ok := texts[name]; ok {
			if s, _ := stage.Parse(name, p.File, f.Text()); s != nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// bindOrKeep binds a stage; if its file is wrong, the text deployed before.
func (d *deployment) bindOrKeep(ctx context.Context, s *stage.Stage, texts map[string]sqlite.Definition) (*deployed, error) {
	b, problems, err := d.bindUnlessTaken(ctx, s)
	if err != nil {
		return nil, err
	}
	d.problems = append(d.problems, problems...)
	if b == nil {
		f, ok := texts[s.Name]
		if !ok {
			return nil, nil //nolint:nilnil // a stage that cannot run is no error of ours
		}
		old, _ := stage.Parse(s.Name, s.File, f.Text())
		if old == nil || old.SQL == s.SQL {
			return nil, nil //nolint:nilnil // as above
		}
		if b, _, err = d.bind(ctx, old); b == nil || err != nil {
			return nil, err
		}
	}
	return d.runnable(*b), nil
}

// runnable takes up a bound stage as it is to run.
func (d *deployment) runnable(b bound) *deployed {
	d.bound = append(d.bound, b)
	x := &deployed{stage: b.stage, identity: b.identity, driver: b.rowWise, columns: b.columns}
	for _, name := range b.stage.InputNames() {
		in := input{name: name, window: b.stage.Window(name), columns: d.columns[name]}
		in.seen, in.all = b.analysis.Sees(name, in.columns)
		x.inputs = append(x.inputs, in)
	}
	return x
}

// bindUnlessTaken binds a stage whose name no other kind of dataset ever had.
func (d *deployment) bindUnlessTaken(ctx context.Context, s *stage.Stage) (*bound, []stage.Problem, error) {
	why, err := d.c.o.Catalog.Conflict(ctx, dataset.Spec{Name: s.Name, Kind: dataset.Computed, Grain: s.Header.Partition})
	if err != nil {
		return nil, nil, err
	}
	if why != nil {
		return nil, []stage.Problem{{File: s.File, Line: s.Line("partition"), What: why.Error(), Fix: "rename the file; meanwhile the stage goes on as it was deployed"}}, nil //nolint:nilerr // the file is wrong, not the run
	}
	return d.bind(ctx, s)
}

// bind checks a stage's SQL with the engine. Problems are the author's; an
// error is ours (no worker, no time).
func (d *deployment) bind(ctx context.Context, s *stage.Stage) (*bound, []stage.Problem, error) {
	parsed, err := d.c.o.Engine.Parse(ctx, s.SQL)
	if err != nil {
		return sqlProblem(s, s.SQLLine, "", err)
	}
	a, err := stage.Analyse(parsed.AST)
	if err != nil {
		return sqlProblem(s, s.SQLLine, "", err)
	}
	rejectsAST := ""
	if s.Header.Rejects != "" {
		if a, rejectsAST, err = d.analyseRejects(ctx, s, a); err != nil {
			return sqlProblem(s, s.Line("rejects"), "rejects: ", err)
		}
	}
	if problems := append(s.CheckTables(a), s.CheckSteady(a)...); len(problems) > 0 {
		return nil, problems, nil
	}
	var tables []engine.Table
	for _, name := range s.InputNames() {
		cols, ok := d.columns[name]
		if !ok {
			return nil, []stage.Problem{{File: s.File, What: "input " + name + " cannot run", Fix: stage.MendFirst}}, nil
		}
		tables = append(tables, engine.Table{Name: name, Columns: cols})
	}
	columns, err := d.c.o.Engine.Describe(ctx, s.SQL, tables)
	if err != nil {
		return sqlProblem(s, s.SQLLine, "", err)
	}
	if rejectsAST != "" {
		if _, err := d.c.o.Engine.Describe(ctx, "SELECT ("+s.Header.Rejects+"\n) FROM ("+s.SQL+"\n)", tables); err != nil {
			return sqlProblem(s, s.Line("rejects"), "rejects: ", err)
		}
	}
	if problems, err := d.checkPromises(ctx, s, columns); len(problems) > 0 || err != nil {
		return nil, problems, err
	}
	d.columns[s.Name] = columns
	b := &bound{stage: s, ast: parsed.AST, columns: columns, analysis: a, rowWise: driverOf(s, a), hasRejects: rejectsAST != ""}
	if b.hasRejects {
		d.columns[s.Name+"_rejected"] = rejectedColumns(columns)
	}
	b.identity = s.CodeIdentity(a, parsed.AST, rejectsAST, columns, d.c.o.Semantics)
	return b, nil, nil
}

// analyseRejects parses the rejects rule and adds what it says to a.
func (d *deployment) analyseRejects(ctx context.Context, s *stage.Stage, a stage.Analysis) (stage.Analysis, string, error) {
	parsed, err := d.c.o.Engine.Parse(ctx, "SELECT (\n"+s.Header.Rejects+"\n)")
	if err != nil {
		return a, "", err
	}
	a, err = a.WithRejects(parsed.AST)
	return a, parsed.AST, err
}

// sqlProblem words an engine error as a problem of the file, or passes it on
// when the SQL is not to blame.
func sqlProblem(s *stage.Stage, line int, prefix string, err error) (*bound, []stage.Problem, error) {
	p := stage.Problem{File: s.File, Line: line}
	e, isSQL := errors.AsType[*engine.SQLError](err)
	switch {
	case isSQL:
		p.What, p.Fix = prefix+e.Message, e.Hint
		if e.Line > 0 && prefix == "" {
			p.Line = line + e.Line - 1
		}
	case errors.Is(err, engine.ErrNotSelect):
		p.What, p.Fix = prefix+err.Error(), "a stage file holds one SELECT"
	default:
		return nil, nil, err
	}
	if p.Fix == "" {
		p.Fix = "run the SELECT in any DuckDB shell to try a correction"
	}
	return nil, []stage.Problem{p}, nil
}

// driverOf names the input that a row-wise stage follows row by row, "" when the
// stage is not row-wise: exactly one input is cut by time, is read with `same`
// and drives the query.
func driverOf(s *stage.Stage, a stage.Analysis) string {
	driver := ""
	for _, name := range s.InputNames() {
		switch w := s.Window(name); {
		case w.Kind == dataset.Latest || w.Kind == dataset.AsOf:
		case w == dataset.Same && driver == "":
			driver = name
		default:
			return ""
		}
	}
	if driver == "" || s.Header.Partition == dataset.None || !a.RowWise(driver) {
		return ""
	}
	return driver
}

// deployments words what is bound for the catalog.
func (d *deployment) deployments(set map[string]*deployed, def definitions) []dataset.Deployment {
	var out []dataset.Deployment
	for _, b := range d.bound {
		x := dataset.Deployment{
			Spec: dataset.Spec{
				Name: b.stage.Name, Kind: dataset.Computed, Grain: b.stage.Header.Partition, Owner: b.stage.Header.Owner,
				Columns: b.columns, HashScheme: d.c.o.HashScheme,
			},
			CodeIdentity: b.identity, SQL: b.stage.SQL, Header: b.stage.HeaderText, File: b.stage.File, GitRevision: cmp.Or(def.origins[b.stage.Name], def.gitRevision),
			Definition: def.revisions[b.stage.Name],
			Allowance:  b.stage.Allowance(), Interval: b.stage.Debounce(), RowWise: b.rowWise != "", Depth: d.depths[b.stage.Name],
			Release: b.stage.Header.Release,
		}
		g := set[b.stage.Name].gate
		if x.Gate = g.onRecord(); x.Gate != nil {
			x.Closes, x.Completes = g.closes, g.completes()
		}
		if set[b.stage.Name].gate.comparing.every > 0 {
			x.ComparesFrom = comparesFrom
		}
		if b.hasRejects {
			r := x.Spec
			r.Name, r.Kind, r.Columns = r.Name+"_rejected", dataset.Rejected, rejectedColumns(b.columns)
			x.Rejected = &r
		}
		for _, in := range set[b.stage.Name].inputs {
			x.Edges = append(x.Edges, dataset.Edge{Input: in.name, Window: in.window})
		}
		out = append(out, x)
	}
	return out
}

// onRecord identifies what judges the stage, as the catalog keeps it; nil if nothing does.
func (g gate) onRecord() []byte {
	if !g.judges() {
		return nil
	}
	return g.by
}

// rejectedColumns are the columns of refused rows: the stage's own, and why.
func rejectedColumns(columns []dataset.Column) []dataset.Column {
	return append(slices.Clone(columns), dataset.Column{Name: engine.ReasonColumn, Type: "VARCHAR"})
}
