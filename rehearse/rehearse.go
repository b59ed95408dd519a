// Package rehearse tries stages on rows that people wrote down: a case gives
// rows of a stage's inputs, the engine computes the stage, and what comes out is
// held against the rows expected.
//
// It knows cases, rows and differences. It never reads a catalog or a dataset on
// record, never prints, and never decides what a stage means.
package rehearse

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// Engine computes stages and reads rows back.
type Engine interface {
	// Build computes one output; its files belong to the caller.
	Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error)
	// Report writes the rows of one SELECT to w.
	Report(ctx context.Context, job engine.QueryJob, w io.Writer) (engine.QueryResult, error)
}

// Project is what cases are about: stages whose SQL binds.
type Project struct {
	Stages  []*stage.Stage
	Columns map[string][]dataset.Column // of every dataset the stages read or make
	Sides   map[string]engine.Table     // side inputs, as the engine reads them
	Broken  []string                    // stages that do not bind: their cases are passed over
}

// Options of a run. Limits are those of each case.
type Options struct {
	Project Project
	Engine  Engine
	Limits  engine.Limits
	// Only names the stages whose cases are run; all when empty.
	Only []string
}

// Report is the outcome of a run.
type Report struct {
	Results []Result
	// Untested are the stages, of those asked for, without a case.
	Untested []string
}

// Result is the outcome of one case. It passed if Failure is nil and there are
// no Differences.
type Result struct {
	Stage       string         `json:"stage"`
	Case        string         `json:"case"`
	File        string         `json:"file"`
	Line        int            `json:"line"`
	Took        time.Duration  `json:"-"`
	Failure     *stage.Problem `json:"failure,omitempty"` // the stage could not be computed
	Differences []Difference   `json:"differences,omitempty"`
}

// Passed reports that the case came out as expected.
func (r Result) Passed() bool { return r.Failure == nil && len(r.Differences) == 0 }

// Run tries the cases of all files, one after another. The problems are cases
// that are wrong in themselves, which are left out; the rest is run.
func Run(ctx context.Context, o Options, files []File) (Report, []stage.Problem, error) {
	trials, problems := plan(o.Project, files)
	var report Report
	tested := map[string]bool{}
	for _, t := range trials {
		tested[t.stage.Name] = true
		if !o.asks(t.stage.Name) {
			continue
		}
		result, found, err := o.try(ctx, t)
		problems = append(problems, found...)
		if err != nil {
			return report, problems, err
		}
		if len(found) == 0 {
			report.Results = append(report.Results, result)
		}
	}
	for _, s := range o.Project.Stages {
		if !tested[s.Name] && o.asks(s.Name) {
			report.Untested = append(report.Untested, s.Name)
		}
	}
	return report, problems, nil
}

func (o Options) asks(name string) bool { return len(o.Only) == 0 || slices.Contains(o.Only, name) }

// try runs one case. Problems say that its rows are no rows of their datasets.
func (o Options) try(ctx context.Context, t trial) (Result, []stage.Problem, error) {
	r := Result{Stage: t.stage.Name, Case: t.name, File: t.file, Line: t.line}
	began := time.Now()
	h := t.stage.Header
	built, err := o.Engine.Build(ctx, engine.BuildJob{
		SQL: t.stage.SQL, Tables: t.tables, Rejects: h.Rejects, OrderBy: h.Key, Equal: h.Equal,
		Start: t.partition.Start(), End: t.partition.End(), Limits: o.Limits,
	})
	r.Took = time.Since(began)
	if err != nil {
		r.Failure, err = failureOf(t.stage, err)
		if r.Failure == nil {
			return r, nil, err
		}
		// Text that is no value of its column fails only when the SQL meets it.
		problems, err := o.misfits(ctx, t)
		return r, problems, err
	}
	defer removeOutputs(built)
	var problems []stage.Problem
	for _, side := range []struct {
		want *expectation
		out  *engine.Output
	}{{t.expect, &built.Output}, {t.rejected, built.Rejected}} {
		if side.want == nil {
			continue
		}
		differences, found, err := o.compare(ctx, t, side.want, side.out)
		if err != nil {
			return r, problems, err
		}
		r.Differences = append(r.Differences, differences...)
		problems = append(problems, found...)
	}
	r.Took = time.Since(began)
	return r, problems, nil
}

// failureOf words an error that the stage is to blame for, or passes it on.
func failureOf(s *stage.Stage, err error) (*stage.Problem, error) {
	p := &stage.Problem{File: s.File}
	e, isSQL := errors.AsType[*engine.SQLError](err)
	switch {
	case isSQL:
		p.What, p.Fix = e.Message, e.Hint
		if e.Line > 0 {
			p.Line = s.SQLLine + e.Line - 1
		}
	case errors.Is(err, engine.ErrLimit), errors.Is(err, engine.ErrDeadline), errors.Is(err, engine.ErrWorkerDied):
		p.What, p.Fix = err.Error(), "let the case give fewer rows, or the SQL do less"
	default:
		return nil, err
	}
	return p, nil
}

// misfits finds the given rows that cannot be read as what their columns hold.
func (o Options) misfits(ctx context.Context, t trial) ([]stage.Problem, error) {
	var out []stage.Problem
	for _, table := range t.tables {
		found, err := o.probe(ctx, t, table, t.lines[table.Name])
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// probe reads written rows one by one and gives a problem for each that the
// engine cannot read.
func (o Options) probe(ctx context.Context, t trial, table engine.Table, lines []int) ([]stage.Problem, error) {
	var out []stage.Problem
	rows := table.Rows
	for i := range rows {
		table.Rows = rows[i : i+1]
		_, err := o.read(ctx, table)
		e, isSQL := errors.AsType[*engine.SQLError](err)
		switch {
		case isSQL:
			out = append(out, stage.Problem{
				File: t.file, Line: lines[i], What: "a row of " + table.Name + ": " + reason(e.Message),
				Fix: "write values of the columns' types: " + describe(table.Columns, table.Rows[0]),
			})
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

// describe lists the columns a row names, with their types.
func describe(columns []dataset.Column, cells []*string) string {
	var out []string
	for i, c := range columns {
		if cells[i] != nil {
			out = append(out, c.Name+" "+c.Type)
		}
	}
	return strings.Join(out, ", ")
}

// reason is what a conversion error says, without the names of ours in it.
func reason(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	line, _, _ = strings.Cut(line, " when casting from source column")
	return line
}
