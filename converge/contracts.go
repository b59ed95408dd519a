package converge

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// subjects are the datasets of the set as contracts can speak of them.
func (d *deployment) subjects() contract.Subjects {
	out := contract.Subjects{}
	for name, columns := range d.columns {
		out[name] = contract.Subject{Name: name, Columns: columns, Timed: name == dataset.Raw || name == dataset.Quarantine}
	}
	for _, b := range d.bound {
		s := subject(b.stage, b.columns)
		out[s.Name] = s
		if b.hasRejects {
			rejected := out[s.Name+"_rejected"]
			rejected.Owner, rejected.Timed = s.Owner, s.Timed
			out[rejected.Name] = rejected
		}
	}
	return out
}

func subject(s *stage.Stage, columns []dataset.Column) contract.Subject {
	out := contract.Subject{
		Name: s.Name, Owner: s.Header.Owner, Columns: columns, Inputs: s.InputNames(), Stage: true, Timed: s.Header.Partition != dataset.None,
	}
	for _, m := range s.Header.Fingerprint.Measures {
		out.Measures = append(out.Measures, m.Name)
	}
	return out
}

// checkPromises finds what is wrong with what a stage promises of these columns,
// and wants its fingerprints to hold.
func (d *deployment) checkPromises(ctx context.Context, s *stage.Stage, columns []dataset.Column) ([]stage.Problem, error) {
	if s.Header.Contract.Empty() && len(s.Header.Fingerprint.Measures)+len(s.Header.Fingerprint.Entropy) == 0 {
		return nil, nil
	}
	known := contract.Subjects{s.Name: subject(s, columns)}
	for _, name := range s.InputNames() {
		known[name] = contract.Subject{Name: name, Columns: d.columns[name]}
	}
	c := s.Contract()
	found := append(c.Validate(known), s.Header.Fingerprint.Validate(s.File, columns)...)
	if d.feeds[s.Name] && s.Name != dataset.Completeness {
		found = append(found, circular(c, known[s.Name])...)
	}
	if len(found) > 0 {
		return found, nil
	}
	asked := questions(c.Rules())
	for _, m := range s.Header.Fingerprint.Measures {
		asked = append(asked, question{
			what: "fingerprint.measures." + m.Name, line: m.Line, sql: "SELECT count(*) + (\n" + m.SQL + "\n)::DOUBLE FROM " + s.Name,
			fix: "write an aggregate over the rows, such as avg(played_ms)",
		})
	}
	return d.bindQuestions(ctx, s.File, asked, d.questionTables(c.Rules(), columns))
}

// checkContracts finds what consumers rely on that the set does not give them.
func (d *deployment) checkContracts(ctx context.Context, files []*contract.File) ([]stage.Problem, error) {
	var out []stage.Problem
	known := d.subjects()
	for _, f := range files {
		if name := d.hindered(f); name != "" {
			out = append(out, stage.Problem{File: f.Path, Line: 1, What: name + " cannot run", Fix: stage.MendFirst})
			continue
		}
		found := f.Validate(known)
		for _, c := range f.Contracts {
			if len(found) > 0 {
				break // what follows from it says nothing more
			}
			r := c.Rules()
			problems, err := d.bindQuestions(ctx, f.Path, questions(r), d.questionTables(r, d.columns[c.Dataset]))
			if err != nil {
				return nil, err
			}
			found = append(found, problems...)
			if d.feeds[f.Consumer] {
				found = append(found, circular(c, known[c.Dataset])...)
			}
		}
		out = append(out, found...)
	}
	return append(out, sameNames(files)...), nil
}

// hindered names a stage that a contract is about and whose file is wrong, "" if
// there is none: what could be said of it would only follow from that.
func (d *deployment) hindered(f *contract.File) string {
	names := []string{f.Consumer}
	for _, c := range f.Contracts {
		names = append(names, strings.TrimSuffix(c.Dataset, "_rejected"))
	}
	for _, name := range names {
		wrong := func(p stage.Problem) bool { return p.File == "stages/"+name+".sql" }
		if slices.ContainsFunc(d.problems, wrong) && !slices.ContainsFunc(d.bound, func(b bound) bool { return b.stage.Name == name }) {
			return name
		}
	}
	return ""
}

// sameNames finds files of one name, which nobody could tell apart.
func sameNames(files []*contract.File) []stage.Problem {
	var out []stage.Problem
	first := map[string]string{}
	for _, f := range files {
		if other, taken := first[f.Name]; taken {
			out = append(out, stage.Problem{File: f.Path, Line: 1, What: "the name " + f.Name + " is that of " + other, Fix: "give it another `name:`"})
			continue
		}
		first[f.Name] = f.Path
	}
	return out
}

// question is SQL of a contract that the engine must be able to bind.
type question struct {
	what, sql, fix string
	line           int
}

// questions are what the rules ask, as queries of one value.
func questions(r contract.Rules) []question {
	var out []question
	needs := r.Needs()
	for _, x := range r.List {
		if x.Asks.SQL == "" {
			continue
		}
		q := question{what: x.ID, line: x.Line, sql: x.Asks.SQL, fix: "the rows are in a table called " + r.Contract.Dataset + "; try the SELECT in any DuckDB shell"}
		switch {
		case slices.Contains(needs.Violations, x.Asks):
			q.sql, q.fix = "SELECT count_if("+q.sql+"\n) FROM "+r.Contract.Dataset, "compare with values of the column's type"
		case slices.Contains(needs.Counts, x.Asks):
			q.sql, q.fix = "SELECT "+q.sql+" FROM "+r.Contract.Dataset, "compare with values of the column's type"
		}
		out = append(out, q)
	}
	return out
}

// questionTables are what the questions of a contract can read.
func (d *deployment) questionTables(r contract.Rules, columns []dataset.Column) []engine.Table {
	tables := []engine.Table{{Name: r.Contract.Dataset, Columns: columns}}
	for _, name := range r.Needs().Reads {
		if name != r.Contract.Dataset {
			tables = append(tables, engine.Table{Name: name, Columns: d.columns[name]})
		}
	}
	return tables
}

// bindQuestions tries all at once and, if that fails, one by one.
func (d *deployment) bindQuestions(ctx context.Context, file string, all []question, tables []engine.Table) ([]stage.Problem, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var parts []string
	for _, q := range all {
		parts = append(parts, "(\n"+q.sql+"\n)")
	}
	if _, err := d.c.o.Engine.Describe(ctx, "SELECT "+strings.Join(parts, ",\n"), tables); err == nil {
		return nil, nil
	}
	var out []stage.Problem
	for _, q := range all {
		_, err := d.c.o.Engine.Describe(ctx, "SELECT (\n"+q.sql+"\n)", tables)
		e, isSQL := errors.AsType[*engine.SQLError](err)
		switch {
		case err == nil:
		case isSQL:
			out = append(out, stage.Problem{File: file, Line: q.line, What: q.what + ": " + e.Message, Fix: q.fix})
		case errors.Is(err, engine.ErrNotSelect):
			out = append(out, stage.Problem{File: file, Line: q.line, What: q.what + ": " + err.Error(), Fix: q.fix})
		default:
			return nil, err
		}
	}
	return out, nil
}

// Promises is what datasets are held to by a project's files, as far as they are right.
type Promises struct {
	Subjects contract.Subjects
	Produced []contract.Contract // by stages, upstream first
	Consumed []*contract.File
	Others   []string // files in another format, which hold nobody to anything
}

// About are the contracts of a dataset, its producer's first.
func (p Promises) About(name string) []contract.Contract {
	var out []contract.Contract
	for _, c := range p.Produced {
		if c.Dataset == name {
			out = append(out, c)
		}
	}
	for _, f := range p.Consumed {
		for _, c := range f.Contracts {
			if c.Dataset == name {
				out = append(out, c)
			}
		}
	}
	return out
}

// promises gathers what the bound stages and the files of contracts/ say, and adds
// what is wrong with those to the problems.
func (d *deployment) promises(ctx context.Context, p Project) (out Promises, err error) {
	texts, err := contractFiles(p.Contracts)
	if err != nil {
		return out, err
	}
	var def definitions
	d.takeContracts(&def, texts)
	found, err := d.checkContracts(ctx, def.contracts)
	if err != nil {
		return out, err
	}
	d.problems = append(d.problems, found...)
	out.Subjects = d.subjects()
	for _, b := range d.bound {
		if c := b.stage.Contract(); !c.Terms.Empty() {
			out.Produced = append(out.Produced, c)
		}
	}
	for _, f := range def.contracts {
		if !slices.ContainsFunc(found, func(p stage.Problem) bool { return p.File == f.Path }) {
			out.Consumed = append(out.Consumed, f)
		}
	}
	for file, text := range texts {
		if contract.IsODCS([]byte(text)) {
			out.Others = append(out.Others, file)
		}
	}
	slices.Sort(out.Others)
	return out, nil
}
