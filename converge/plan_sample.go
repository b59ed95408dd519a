package converge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// Sample compares what a partition is by what is deployed with what it would be by
// what is planned: each with its code and its side inputs, from the same versions
// of all other inputs.
type Sample struct {
	Dataset   string `json:"dataset"`
	Partition string `json:"partition"`
	// Files are the changed files that the planned side is made with.
	Files      []string `json:"files"`
	RowsBefore int64    `json:"rows_before"`
	RowsAfter  int64    `json:"rows_after"`
	Equal      bool     `json:"equal"` // the content hashes are
	// Columns says how the columns changed; empty when they did not.
	Columns []string   `json:"columns,omitempty"`
	Keys    *KeyedDiff `json:"keys,omitempty"` // of stages with a key
	// Problem says why the two could not be compared.
	Problem string `json:"problem,omitempty"`
}

// KeyedDiff compares rows by the stage's key.
type KeyedDiff struct {
	Key    []string `json:"key"`
	Gone   int64    `json:"gone"` // only before
	New    int64    `json:"new"`  // only after
	Both   int64    `json:"both"`
	Unique bool     `json:"unique"` // no key comes twice; otherwise there are no shares
	// Equal gives for each column the share of rows in both that have the same
	// value in it.
	Equal map[string]float64 `json:"equal,omitempty"`
}

// samples tries partitions of each stage that changes or reads a side input that
// does. It leaves nothing behind.
func (d *proposal) samples(ctx context.Context) error {
	for _, b := range d.bound {
		name := b.stage.Name
		files := d.changedFiles(b.stage)
		if d.was[name] == nil || len(files) == 0 && !d.changed[name] {
			continue
		}
		for _, p := range d.reached[name] {
			s, err := d.sample(ctx, name, p)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.Problem = err.Error()
			}
			s.Files = files
			d.plan.Samples = append(d.plan.Samples, s)
		}
	}
	return nil
}

// changedFiles are the files of a stage and of its side inputs that make something
// else of it.
func (d *proposal) changedFiles(s *stage.Stage) []string {
	files := []string{} // never null in JSON
	was := d.was[s.Name]
	if was != nil && (d.changed[s.Name] || d.redated[s.Name]) && (was.SQL != s.SQL || was.HeaderText != s.HeaderText) {
		files = append(files, s.File)
	}
	for _, side := range d.def.sides {
		switch {
		case !d.changed[side.Spec.Name] || !slices.Contains(s.InputNames(), side.Spec.Name):
		case side.Spec.Name == dataset.Schemas:
			files = append(files, changedFiles(schemasOf(d.before).Files, side.Files)...)
		default:
			files = append(files, side.File)
		}
	}
	slices.Sort(files)
	return files
}

// sample computes one partition both ways.
func (d *proposal) sample(ctx context.Context, name string, p dataset.Partition) (Sample, error) {
	s := Sample{Dataset: name, Partition: string(p)}
	before, err := d.try(ctx, d.deployedStage(name), p, nil)
	if err != nil {
		return s, fmt.Errorf("as deployed: %w", err)
	}
	defer remove(before)
	after, err := d.try(ctx, d.set[name], p, d.def.contents())
	if err != nil {
		return s, fmt.Errorf("as planned: %w", err)
	}
	defer remove(after)
	s.RowsBefore, s.RowsAfter = before.Output.Rows, after.Output.Rows
	s.Columns = columnWords(before.Output.Columns, after.Output.Columns)
	s.Equal = len(s.Columns) == 0 && before.Output.Rows == after.Output.Rows && before.Output.Hash == after.Output.Hash
	if key := d.set[name].stage.Header.Key; len(key) > 0 && !s.Equal {
		s.Keys, err = d.keyed(ctx, key, before.Output, after.Output)
	}
	return s, err
}

// contents are the side inputs whose content is new, by name.
func (def definitions) contents() map[string]*engine.Output {
	out := map[string]*engine.Output{}
	for _, s := range def.sides {
		if s.output != nil {
			out[s.Spec.Name] = s.output
		}
	}
	return out
}

// deployedStage is a stage as it is deployed, bound as it was then.
func (d *proposal) deployedStage(name string) *deployed {
	s := d.was[name]
	x := &deployed{stage: s, identity: d.old[name].CodeIdentity}
	for _, in := range s.InputNames() {
		x.inputs = append(x.inputs, input{name: in, window: s.Window(in), columns: d.columnsBefore(in)})
	}
	return x
}

// try computes one partition, with new content in place of what it follows; the
// files belong to the caller.
func (d *proposal) try(ctx context.Context, s *deployed, p dataset.Partition, fresh map[string]*engine.Output) (engine.BuildResult, error) {
	var edges []dataset.Edge
	for _, in := range s.inputs {
		edges = append(edges, dataset.Edge{Input: in.name, Window: in.window})
	}
	inputs, follows, err := d.c.o.Catalog.InputsThrough(ctx, s.stage.Name, edges, p)
	if err != nil {
		return engine.BuildResult{}, err
	}
	replaced := func(name string) bool { return follows[name] && fresh[name] != nil }
	inputs = slices.DeleteFunc(inputs, func(q dataset.Promoted) bool { return replaced(q.Dataset) })
	segments, err := d.c.o.Catalog.Segments(ctx, inputs)
	if err != nil {
		return engine.BuildResult{}, err
	}
	job := d.c.job(s, p, segments)
	for i, t := range job.Tables {
		if replaced(t.Name) {
			job.Tables[i].Files = []string{fresh[t.Name].Path}
		}
	}
	return d.c.o.Engine.Build(ctx, job)
}

func remove(r engine.BuildResult) {
	_ = os.Remove(r.Output.Path) // what stays is swept at the next start
	if r.Rejected != nil {
		_ = os.Remove(r.Rejected.Path)
	}
}

// keyed compares two outputs by key; nil if one of them lacks it.
func (d *proposal) keyed(ctx context.Context, key []string, before, after engine.Output) (*KeyedDiff, error) {
	shared := sharedColumns(before.Columns, after.Columns)
	for _, k := range key {
		if !slices.Contains(shared, k) {
			return nil, nil //nolint:nilnil // nothing to compare by
		}
	}
	out := &KeyedDiff{Key: key}
	values := slices.DeleteFunc(shared, func(c string) bool { return slices.Contains(key, c) })
	var answer bytes.Buffer
	_, err := d.c.o.Engine.Report(ctx, engine.QueryJob{
		SQL: keyedSQL(key, values), Format: "ndjson", Limits: d.c.o.Limits,
		Tables: []engine.Table{{Name: "rows_before", Files: []string{before.Path}}, {Name: "rows_after", Files: []string{after.Path}}},
	}, &answer)
	if err != nil {
		return nil, err
	}
	var counts struct {
		Gone, New, Both int64
		Equal           []int64
	}
	if err := json.Unmarshal(answer.Bytes(), &counts); err != nil {
		return nil, fmt.Errorf("read the comparison: %w", err)
	}
	out.Gone, out.New, out.Both = counts.Gone, counts.New, counts.Both
	out.Unique = out.Gone+out.Both == before.Rows && out.New+out.Both == after.Rows
	if out.Unique && out.Both > 0 {
		out.Equal = map[string]float64{}
		for i, c := range values {
			out.Equal[c] = float64(counts.Equal[i]) / float64(out.Both)
		}
	}
	return out, nil
}

// sharedColumns are the columns that both have, of one type.
func sharedColumns(a, b []dataset.Column) []string {
	var out []string
	for _, c := range a {
		if slices.Contains(b, c) {
			out = append(out, c.Name)
		}
	}
	return out
}

// keyedSQL counts the rows that are in one of two tables or in both, by key, and
// those in both with equal values, column by column.
func keyedSQL(key, values []string) string {
	var on, equal []string
	for _, k := range key {
		on = append(on, fmt.Sprintf("b.%[1]s IS NOT DISTINCT FROM a.%[1]s", quoted(k)))
	}
	for _, v := range values {
		equal = append(equal, fmt.Sprintf("count(*) FILTER (reedbed_b AND reedbed_a AND b.%[1]s IS NOT DISTINCT FROM a.%[1]s)", quoted(v)))
	}
	return `SELECT count(*) FILTER (reedbed_a IS NULL) AS "Gone", count(*) FILTER (reedbed_b IS NULL) AS "New",
		count(*) FILTER (reedbed_a AND reedbed_b) AS "Both", [` + strings.Join(equal, ", ") + `]::BIGINT[] AS "Equal"
		FROM (SELECT *, TRUE AS reedbed_b FROM rows_before) b FULL JOIN (SELECT *, TRUE AS reedbed_a FROM rows_after) a ON ` + strings.Join(on, " AND ")
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
