package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// read takes the figures of a summary.
func (p *plan) read(row map[string]json.RawMessage, out *Result) error {
	f := figures{row: row}
	if len(p.shared) == 0 {
		out.Rows = Rows{OnlyA: f.number("a_rows"), OnlyB: f.number("b_rows")}
	} else {
		out.Rows = Rows{OnlyA: f.number("only_a"), OnlyB: f.number("only_b"), Both: f.number("both")}
	}
	if len(p.key) > 0 {
		out.ByKey = &ByKey{
			OnlyA: f.number("k_only_a"), OnlyB: f.number("k_only_b"), Matched: f.number("matched"), Changed: f.number("changed"),
			Unkeyed: Unkeyed{A: f.number("u_a"), B: f.number("u_b"), OnlyA: f.number("u_only_a"), OnlyB: f.number("u_only_b")},
		}
		for _, i := range p.key {
			out.ByKey.Key = append(out.ByKey.Key, p.shared[i].name)
		}
	}
	out.Columns = p.readColumns(&f)
	return f.err
}

// readColumns describes the columns of B in their order, and then those only A
// has.
func (p *plan) readColumns(f *figures) []Column {
	out := []Column{}
	for i, c := range p.b {
		x := Column{Name: c.Name, Type: c.Type, B: f.statistics("b", i, c, p.many)}
		if j := slices.IndexFunc(p.a, func(d dataset.Column) bool { return d.Name == c.Name }); j >= 0 {
			x.A = f.statistics("a", j, p.a[j], p.many)
		}
		at := slices.IndexFunc(p.shared, func(s shared) bool { return s.name == c.Name })
		if at >= 0 && len(p.key) > 0 && !slices.Contains(p.key, at) {
			n := f.number(fmt.Sprintf("equal_%d", at))
			x.Equal = &n
		}
		out = append(out, x)
	}
	for i, c := range p.a {
		if !slices.ContainsFunc(p.b, func(d dataset.Column) bool { return d.Name == c.Name }) {
			out = append(out, Column{Name: c.Name, Type: c.Type, A: f.statistics("a", i, c, p.many)})
		}
	}
	return out
}

// figures reads one row, and keeps the first thing that is wrong with it.
type figures struct {
	row map[string]json.RawMessage
	err error
}

func (f *figures) number(name string) (n int64) {
	if err := json.Unmarshal(f.row[name], &n); err != nil && f.err == nil {
		f.err = fmt.Errorf("compare: the figure %s: %w", name, err)
	}
	return n
}

func (f *figures) statistics(table string, i int, c dataset.Column, many bool) *Statistics {
	at := func(what string) string { return fmt.Sprintf("%s_%s_%d", table, what, i) }
	s := &Statistics{Nulls: f.number(at("nulls")), Distinct: f.number(at("distinct")), Estimated: many}
	if !nested(c.Type) {
		s.Least, s.Most = f.row[at("min")], f.row[at("max")]
	}
	if number(c.Type) {
		s.Mean = f.row[at("mean")]
	}
	return s
}

// readSamples takes the rows of samples. Those of one kind that joined by key
// come before those that did not; the limit holds for each.
func (p *plan) readSamples(rows []map[string]json.RawMessage, out *Samples) error {
	for _, row := range rows {
		f := figures{row: row}
		var kind string
		if err := json.Unmarshal(row["kind"], &kind); err != nil {
			return fmt.Errorf("compare: a row of no kind: %w", err)
		}
		switch kind {
		case "changed":
			out.Changed = append(out.Changed, p.change(row))
		case "only_a":
			out.OnlyA = append(out.OnlyA, Row{p.values(row, "a"), f.number("times")})
		case "only_b":
			out.OnlyB = append(out.OnlyB, Row{p.values(row, "b"), f.number("times")})
		}
		if f.err != nil {
			return f.err
		}
	}
	return nil
}

func (p *plan) values(row map[string]json.RawMessage, side string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i, c := range p.shared {
		out[c.name] = row[fmt.Sprint(side, i)]
	}
	return out
}

func (p *plan) change(row map[string]json.RawMessage) Change {
	out := Change{Key: map[string]json.RawMessage{}, Columns: map[string][2]json.RawMessage{}}
	for i, c := range p.shared {
		a, b := row[fmt.Sprint("a", i)], row[fmt.Sprint("b", i)]
		switch {
		case slices.Contains(p.key, i):
			out.Key[c.name] = b
		case !bytes.Equal(a, b):
			out.Columns[c.name] = [2]json.RawMessage{a, b}
		}
	}
	return out
}
