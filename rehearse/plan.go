package rehearse

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/internal/nearest"
	"github.com/reedbed/reedbed/internal/strictyaml"
	"github.com/reedbed/reedbed/stage"
)

// sideRows is what a case writes in place of rows to read the project's own
// side input.
const sideRows = "data"

// trial is a case that can be run.
type trial struct {
	stage     *stage.Stage
	name      string
	file      string
	line      int
	partition dataset.Partition
	tables    []engine.Table
	lines     map[string][]int // of the given rows, by input
	expect    *expectation     // nil when nothing is said of it
	rejected  *expectation
}

// expectation is the rows that one output must have.
type expectation struct {
	output string // the dataset's name
	key    []string
	rows   rows
}

// rows are rows that people wrote, a cell per column of their dataset.
type rows struct {
	columns []dataset.Column
	cells   [][]*string
	named   [][]bool // which cells were written; the others are nil
	lines   []int
}

func (r rows) table(name string) engine.Table {
	return engine.Table{Name: name, Columns: r.columns, Rows: r.cells}
}

// planner checks the cases of one file.
type planner struct {
	project  Project
	file     string
	stage    *stage.Stage
	problems []stage.Problem
}

// plan turns the files' cases into trials, with a problem for all that cannot be.
func plan(project Project, files []File) ([]trial, []stage.Problem) {
	var trials []trial
	var problems []stage.Problem
	seen := map[[2]string]bool{}
	for _, f := range files {
		p := planner{project: project, file: f.path}
		if f.stage.Kind == strictyaml.Scalar && slices.Contains(project.Broken, f.stage.Text) {
			continue
		}
		if p.findStage(f) {
			for _, c := range f.cases {
				id := [2]string{p.stage.Name, c.Name.Text}
				if seen[id] {
					p.bad(c.Name.Line, fmt.Sprintf("stage %s has another case %q", id[0], id[1]), "give each case a name of its own")
				}
				seen[id] = true
				if t, ok := p.trial(c); ok {
					trials = append(trials, t)
				}
			}
		}
		problems = append(problems, p.problems...)
	}
	return trials, problems
}

func (p *planner) bad(line int, what, fix string) {
	p.problems = append(p.problems, stage.Problem{File: p.file, Line: line, What: what, Fix: fix})
}

func (p *planner) findStage(f File) bool {
	if f.stage.Kind != strictyaml.Scalar {
		p.bad(max(1, f.stage.Line), "the file does not say which stage its cases are for", "begin it with `stage: NAME`")
		return false
	}
	if len(f.cases) == 0 {
		p.bad(f.stage.Line, "the file has no cases", "list them under `cases:`")
		return false
	}
	var names []string
	for _, s := range p.project.Stages {
		if s.Name == f.stage.Text {
			p.stage = s
			return true
		}
		names = append(names, s.Name)
	}
	p.bad(f.stage.Line, "there is no stage "+f.stage.Text, suggest(f.stage.Text, names))
	return false
}

// suggest names what may have been meant.
func suggest(word string, known []string) string {
	if near := nearest.Word(word, known); near != "" {
		return "did you mean `" + near + "`?"
	}
	if len(known) == 0 {
		return "there are none"
	}
	return "there are: " + strings.Join(known, ", ")
}

// trial checks one case; it is no trial if that found problems.
func (p *planner) trial(c written) (trial, bool) {
	before := len(p.problems)
	t := trial{stage: p.stage, file: p.file, line: c.Name.Line, name: c.Name.Text, lines: map[string][]int{}}
	if c.Name.Kind != strictyaml.Scalar || c.Name.Text == "" {
		t.line = cmp.Or(c.Name.Line, c.Partition.Line, c.Given.Line, c.Expect.Line, c.Rejected.Line)
		p.bad(t.line, "a case has no name", "say with `name:` what it shows")
	}
	t.partition = p.partition(t, c.Partition)
	p.given(&t, c.Given)
	name, columns := p.stage.Name, p.project.Columns[p.stage.Name]
	if c.Expect.Kind == strictyaml.Absent && c.Rejected.Kind == strictyaml.Absent {
		p.bad(t.line, "the case expects nothing", "add `expect:` with rows, or `expect: []` if no row shall come out")
	}
	if c.Expect.Kind != strictyaml.Absent {
		t.expect = &expectation{output: name, key: p.stage.Header.Key, rows: p.rows(name, columns, c.Expect)}
	}
	if c.Rejected.Kind != strictyaml.Absent {
		name += "_rejected"
		if p.stage.Header.Rejects == "" {
			p.bad(c.Rejected.Line, "stage "+p.stage.Name+" rejects nothing", "remove `rejected:`, or give the stage a `rejects` rule")
			return t, false
		}
		t.rejected = &expectation{output: name, key: p.stage.Header.Key, rows: p.rows(name, p.project.Columns[name], c.Rejected)}
	}
	return t, len(p.problems) == before
}

// partition reads which partition is computed. It may be left out where the SQL
// does not ask for it.
func (p *planner) partition(t trial, v strictyaml.Value) dataset.Partition {
	grain := p.stage.Header.Partition
	example := map[dataset.Grain]string{dataset.Hour: "2026-05-01T12", dataset.Day: "2026-05-01", dataset.None: string(dataset.Whole)}[grain]
	if v.Kind == strictyaml.Absent {
		if sql := strings.ToLower(p.stage.SQL); strings.Contains(sql, "'partition_start'") || strings.Contains(sql, "'partition_end'") {
			p.bad(t.line, "the SQL asks for the bounds of its partition, which the case does not name", "add `partition: "+example+"`, with the one you mean")
		}
		return dataset.Whole
	}
	name, err := dataset.ParsePartition(v.Text)
	if err != nil || name.Grain() != grain {
		p.bad(v.Line, fmt.Sprintf("%q is no partition of stage %s, which is cut by %s", v.Text, p.stage.Name, grain), "write it as "+example)
	}
	return name
}

// given makes a table for each input of the stage; one that is not named is empty.
func (p *planner) given(t *trial, v strictyaml.Value) {
	inputs := p.stage.InputNames()
	if v.Kind != strictyaml.Map && v.Kind != strictyaml.Absent {
		p.bad(v.Line, "`given` names no inputs", "write rows under the name of each input: "+strings.Join(inputs, ", "))
		return
	}
	rows := map[string]engine.Table{}
	for _, f := range v.Fields {
		if !slices.Contains(inputs, f.Name) {
			p.bad(f.Line, fmt.Sprintf("stage %s does not read %s", p.stage.Name, f.Name), suggest(f.Name, inputs))
			continue
		}
		if f.Value.Kind == strictyaml.Scalar && f.Value.Text == sideRows {
			rows[f.Name] = p.side(f)
			continue
		}
		r := p.rows(f.Name, p.project.Columns[f.Name], f.Value)
		rows[f.Name], t.lines[f.Name] = r.table(f.Name), r.lines
	}
	for _, name := range inputs {
		table, ok := rows[name]
		if !ok {
			table = engine.Table{Name: name, Columns: p.project.Columns[name]}
		}
		t.tables = append(t.tables, table)
	}
}

// side is the project's own side input.
func (p *planner) side(f strictyaml.Field) engine.Table {
	table, ok := p.project.Sides[f.Name]
	if !ok {
		p.bad(f.Line, f.Name+" is no file of the data folder", "write its rows; `data` is for: "+strings.Join(slices.Sorted(maps.Keys(p.project.Sides)), ", "))
	}
	return table
}

// rows reads a list of rows of a dataset.
func (p *planner) rows(name string, columns []dataset.Column, v strictyaml.Value) rows {
	out := rows{columns: columns}
	if v.Kind != strictyaml.List {
		p.bad(v.Line, "these are no rows of "+name, "write a list such as `- {"+columns[0].Name+": ...}`, or []")
		return out
	}
	for _, row := range v.List {
		if row.Kind != strictyaml.Map || !row.Plain() {
			p.bad(row.Line, "this is no row of "+name, "write it out as `{"+columns[0].Name+": ...}`, without * and !")
			continue
		}
		cells, named := make([]*string, len(columns)), make([]bool, len(columns))
		for _, f := range row.Fields {
			i := slices.IndexFunc(columns, func(c dataset.Column) bool { return c.Name == f.Name })
			if i < 0 {
				p.bad(f.Line, name+" has no column "+f.Name, suggest(f.Name, names(columns)))
				continue
			}
			cells[i], named[i] = p.cell(columns[i], f), true
		}
		out.cells, out.named, out.lines = append(out.cells, cells), append(out.named, named), append(out.lines, row.Line)
	}
	return out
}

func names(columns []dataset.Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}

// cell is the text of a value, nil for NULL. A number that the column would
// round is refused: a case must not pass because its own values changed.
func (p *planner) cell(c dataset.Column, f strictyaml.Field) *string {
	v := f.Value
	switch {
	case v.Kind == strictyaml.Null:
		return nil
	case v.Kind == strictyaml.List || v.Kind == strictyaml.Map:
		return new(v.JSON())
	case !exact(v.Text, c.Type):
		p.bad(f.Line, fmt.Sprintf("%s: %q is not %s", c.Name, v.Text, c.Type), "write a number of that type")
	}
	return &v.Text
}
