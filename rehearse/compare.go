package rehearse

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/stage"
)

// Kind is how an output differs from what was expected.
type Kind string

// The kinds of difference.
const (
	Missing    Kind = "missing"    // an expected row did not come out
	Unexpected Kind = "unexpected" // a row came out that nothing expects
	Differs    Kind = "differs"    // a row came out with other cells than expected
)

// Difference is one row that is not as expected.
type Difference struct {
	Output string `json:"output"` // the dataset
	Kind   Kind   `json:"kind"`
	Line   int    `json:"line,omitempty"` // of the expected row, if there is one
	Cells  []Cell `json:"cells"`
}

// Cell is one column of a Difference. Want is not known in an unexpected row,
// Got not in a missing one; nil is NULL.
type Cell struct {
	Column string  `json:"column"`
	Want   *string `json:"want"`
	Got    *string `json:"got"`
	Same   bool    `json:"same,omitempty"`
}

// compare reads an output and what it should be back from the engine, so that
// both are written in the same way, and finds the differences.
func (o Options) compare(ctx context.Context, t trial, want *expectation, out *engine.Output) ([]Difference, []stage.Problem, error) {
	r := want.rows
	table := r.table(want.output)
	expected, err := o.read(ctx, table)
	if _, isSQL := errors.AsType[*engine.SQLError](err); isSQL {
		problems, err := o.probe(ctx, t, table, r.lines)
		return nil, problems, err
	}
	if err != nil {
		return nil, nil, err
	}
	var got [][]*string
	if out != nil && out.Rows > 0 {
		if got, err = o.read(ctx, engine.Table{Name: "output", Columns: r.columns, Files: []string{out.Path}}); err != nil {
			return nil, nil, err
		}
	}
	d := differ{expectation: want, want: expected, got: got}
	return d.differences(), nil, nil
}

// maxRows is how many rows an output of a case may have.
const maxRows = 10_000

// read gives the rows of a table, as normal writes them.
func (o Options) read(ctx context.Context, t engine.Table) ([][]*string, error) {
	if len(t.Rows) == 0 && len(t.Files) == 0 {
		return nil, nil
	}
	limits := o.Limits
	limits.Rows = maxRows
	var b bytes.Buffer
	res, err := o.Engine.Report(ctx, engine.QueryJob{
		SQL: "SELECT * FROM " + t.Name, Tables: []engine.Table{t}, Format: "ndjson", Limits: limits,
	}, &b)
	if err != nil {
		return nil, err
	}
	if res.Truncated {
		return nil, fmt.Errorf("more than %d rows cannot be compared: let the case give fewer", maxRows)
	}
	return decodeRows(t.Columns, b.Bytes())
}

func removeOutputs(b engine.BuildResult) {
	// What cannot be removed goes with the pool's folder.
	_ = os.Remove(b.Output.Path)
	if b.Rejected != nil {
		_ = os.Remove(b.Rejected.Path)
	}
}

// differ compares expected rows with those that came out. A row is one that is
// expected if it agrees in the columns that were named for it; each serves one
// expectation.
type differ struct {
	*expectation
	want, got [][]*string
}

func (d differ) columns() []dataset.Column { return d.rows.columns }

func (d differ) agrees(want, got, column int) bool {
	return equal(d.columns()[column], d.want[want][column], d.got[got][column])
}

func (d differ) differences() []Difference {
	missing, unexpected := d.leftOver()
	var out []Difference
	for _, p := range d.pairs(missing, unexpected) {
		out = append(out, d.differing(p[0], p[1]))
		missing = slices.DeleteFunc(missing, func(i int) bool { return i == p[0] })
		unexpected = slices.DeleteFunc(unexpected, func(j int) bool { return j == p[1] })
	}
	for _, i := range missing {
		x := Difference{Output: d.output, Kind: Missing, Line: d.rows.lines[i]}
		for k, c := range d.columns() {
			if d.rows.named[i][k] {
				x.Cells = append(x.Cells, Cell{Column: c.Name, Want: d.want[i][k]})
			}
		}
		out = append(out, x)
	}
	shown := d.shown()
	for _, j := range unexpected {
		x := Difference{Output: d.output, Kind: Unexpected}
		for k, c := range d.columns() {
			if shown(j, k) {
				x.Cells = append(x.Cells, Cell{Column: c.Name, Got: d.got[j][k]})
			}
		}
		out = append(out, x)
	}
	return out
}

// leftOver finds the most rows that can be matched with expectations, and gives
// the expectations and rows that are left.
func (d differ) leftOver() (missing, unexpected []int) {
	fits := make([][]bool, len(d.want))
	for i := range d.want {
		fits[i] = make([]bool, len(d.got))
		for j := range d.got {
			fits[i][j] = d.same(i, j) == d.named(i)
		}
	}
	taken := match(fits, len(d.got))
	found := make([]bool, len(d.want))
	for j, i := range taken {
		if i < 0 {
			unexpected = append(unexpected, j)
			continue
		}
		found[i] = true
	}
	for i, ok := range found {
		if !ok {
			missing = append(missing, i)
		}
	}
	return missing, unexpected
}

// same counts the named cells in which a row is as expected.
func (d differ) same(want, got int) int {
	n := 0
	for k, named := range d.rows.named[want] {
		if named && d.agrees(want, got, k) {
			n++
		}
	}
	return n
}

// named counts the cells an expected row names.
func (d differ) named(want int) int {
	n := 0
	for _, named := range d.rows.named[want] {
		if named {
			n++
		}
	}
	return n
}

// match assigns each of n rows at most one expectation that it fits, as many as
// possible, by augmenting paths. It gives each row's expectation, or -1.
func match(fits [][]bool, n int) []int {
	taken := slices.Repeat([]int{-1}, n)
	for i := range fits {
		tried := make([]bool, n)
		var place func(i int) bool
		place = func(i int) bool {
			for j, fit := range fits[i] {
				if !fit || tried[j] {
					continue
				}
				tried[j] = true
				if taken[j] < 0 || place(taken[j]) {
					taken[j] = i
					return true
				}
			}
			return false
		}
		place(i)
	}
	return taken
}

// pairs puts expectations and rows together that were probably meant to be the
// same: those that agree in the key, or in half of what is named, best first.
func (d differ) pairs(missing, unexpected []int) [][2]int {
	type candidate struct{ want, got, score int }
	const key = 1 << 20 // more than any number of cells
	last := len(missing) == 1 && len(unexpected) == 1
	var all []candidate
	for _, i := range missing {
		for _, j := range unexpected {
			score := d.same(i, j)
			if d.sameKey(i, j) {
				score += key
			}
			if 2*score >= d.named(i) || last {
				all = append(all, candidate{i, j, score})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	var out [][2]int
	usedWant, usedGot := map[int]bool{}, map[int]bool{}
	for _, c := range all {
		if !usedWant[c.want] && !usedGot[c.got] {
			usedWant[c.want], usedGot[c.got] = true, true
			out = append(out, [2]int{c.want, c.got})
		}
	}
	slices.SortFunc(out, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// sameKey reports that the expectation names columns of the key and the row
// agrees in all of these.
func (d differ) sameKey(want, got int) bool {
	found := false
	for k, c := range d.columns() {
		if !d.rows.named[want][k] || !slices.Contains(d.key, c.Name) {
			continue
		}
		if !d.agrees(want, got, k) {
			return false
		}
		found = true
	}
	return found
}

func (d differ) differing(want, got int) Difference {
	x := Difference{Output: d.output, Kind: Differs, Line: d.rows.lines[want]}
	for k, c := range d.columns() {
		if d.rows.named[want][k] {
			x.Cells = append(x.Cells, Cell{Column: c.Name, Want: d.want[want][k], Got: d.got[got][k], Same: d.agrees(want, got, k)})
		}
	}
	return x
}

// shown says which cells tell an unexpected row: those of the columns that the
// expected rows name, or all that are not NULL.
func (d differ) shown() func(got, column int) bool {
	if len(d.rows.named) == 0 {
		return func(got, column int) bool { return d.got[got][column] != nil }
	}
	return func(_, column int) bool {
		return slices.ContainsFunc(d.rows.named, func(named []bool) bool { return named[column] })
	}
}
