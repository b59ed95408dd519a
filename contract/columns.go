package contract

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

func (r *reader) columns(f strictyaml.Field) []Column {
	var out []Column
	for _, e := range r.entries(f, "columns") {
		if slices.ContainsFunc(out, func(c Column) bool { return strings.EqualFold(c.Name, e.Name) }) {
			r.bad(e.Line, fmt.Sprintf("column %s is there twice", e.Name), "put all about it in one place; capitals make no difference")
			continue
		}
		c := r.column(e)
		r.contradictions(c)
		out = append(out, c)
	}
	return out
}

func (r *reader) column(f strictyaml.Field) Column {
	c := Column{Name: f.Name, Line: f.Line}
	r.each(f, f.Name, keys{
		"type":     func(e strictyaml.Field) { c.Type = r.literal(e, f.Name+".type") },
		"not_null": func(e strictyaml.Field) { c.NotNull = r.yes(e, f.Name+".not_null") },
		"unique":   func(e strictyaml.Field) { c.Unique = r.yes(e, f.Name+".unique") },
		"min":      func(e strictyaml.Field) { c.Min = r.literal(e, f.Name+".min") },
		"max":      func(e strictyaml.Field) { c.Max = r.literal(e, f.Name+".max") },
		"accepted": func(e strictyaml.Field) { c.Accepted = r.accepted(e, f.Name) },
		"matches":  func(e strictyaml.Field) { c.Matches = r.pattern(e, f.Name) },
		"nulls":    func(e strictyaml.Field) { c.Nulls = r.band(e, f.Name+".nulls", share) },
		"distinct": func(e strictyaml.Field) { c.Distinct = r.band(e, f.Name+".distinct", count) },
		"entropy":  func(e strictyaml.Field) { c.Entropy = r.band(e, f.Name+".entropy", share) },
		"relation": func(e strictyaml.Field) { c.Relation = r.relation(e, f.Name) },
	})
	return c
}

func (r *reader) accepted(f strictyaml.Field, column string) []Literal {
	if f.Value.Kind != strictyaml.List || len(f.Value.List) == 0 {
		r.bad(f.Line, column+".accepted must be a list of values", "write [a, b, c]")
		return nil
	}
	var out []Literal
	for _, item := range f.Value.List {
		l := Literal{Text: item.Text, Line: max(item.Line, f.Line)}
		switch {
		case item.Kind != strictyaml.Scalar:
			r.bad(l.Line, column+".accepted: a value must be a text or a number", "NULL is kept out by `not_null: true`")
		case slices.ContainsFunc(out, func(o Literal) bool { return o.Text == l.Text }):
			r.bad(l.Line, fmt.Sprintf("%s.accepted: %q is there twice", column, l.Text), "remove one")
		default:
			out = append(out, l)
		}
	}
	return out
}

func (r *reader) pattern(f strictyaml.Field, column string) *Literal {
	l := r.literal(f, column+".matches")
	if l == nil {
		return nil
	}
	if _, err := regexp.Compile(l.Text); err != nil { // RE2, as the engine's
		r.bad(f.Line, fmt.Sprintf("%s.matches: %v", column, err), "correct the regular expression")
		return nil
	}
	return l
}

func (r *reader) relation(f strictyaml.Field, column string) *Relation {
	x := Relation{Line: f.Line}
	found := len(r.problems)
	r.each(f, column+".relation", keys{
		"dataset": func(e strictyaml.Field) { x.Dataset = r.text(e, column+".relation.dataset") },
		"column":  func(e strictyaml.Field) { x.Column = r.text(e, column+".relation.column") },
	})
	if len(r.problems) > found {
		return nil
	}
	if x.Dataset == "" || x.Column == "" {
		r.bad(f.Line, column+".relation has a dataset and a column", "write {dataset: tracks, column: id}")
		return nil
	}
	return &x
}

// contradictions finds rules of one column that cannot all be kept.
func (r *reader) contradictions(c Column) {
	low, high := c.Min.number(), c.Max.number()
	if low != nil && high != nil && *low > *high || low == nil && high == nil && c.Min != nil && c.Max != nil && c.Min.Text > c.Max.Text {
		r.bad(c.Min.Line, fmt.Sprintf("%s: min %s is above max %s, so no value can keep both", c.Name, c.Min.Text, c.Max.Text), "exchange or correct them")
	}
	if c.NotNull > 0 && c.Nulls.Max != nil && c.Nulls.Max.Value > 0 {
		r.bad(c.Nulls.Max.Line, fmt.Sprintf("%s: not_null allows no NULL, and nulls allows %s", c.Name, c.Nulls.Max.Text), "keep one of them")
	}
	if c.NotNull > 0 && c.Nulls.Min != nil && c.Nulls.Min.Value > 0 {
		r.bad(c.Nulls.Min.Line, fmt.Sprintf("%s: not_null allows no NULL, and nulls wants %s", c.Name, c.Nulls.Min.Text), "keep one of them")
	}
	if n := len(c.Accepted); n > 0 && c.Distinct.Min != nil && c.Distinct.Min.Value > float64(n) {
		r.bad(c.Distinct.Min.Line, fmt.Sprintf("%s: %d values are accepted, and distinct wants %s of them", c.Name, n, c.Distinct.Min.Text), "accept more, or want fewer")
	}
	for _, v := range c.Accepted {
		c.outside(r, v, low, high)
	}
}

// outside says that an accepted value breaks another rule of its column.
func (c Column) outside(r *reader, v Literal, low, high *float64) {
	n := v.number()
	switch {
	case n != nil && (low != nil && *n < *low || high != nil && *n > *high):
		r.bad(v.Line, fmt.Sprintf("%s: %s is accepted and lies outside of min and max", c.Name, v.Text), "take it out, or widen the range")
	case c.Matches != nil && !regexp.MustCompile(`^(?:`+c.Matches.Text+`)$`).MatchString(v.Text):
		r.bad(v.Line, fmt.Sprintf("%s: %q is accepted and does not match %s", c.Name, v.Text, c.Matches.Text), "take it out, or change the expression; it is for the whole value")
	}
}

// number is the value of a literal that is one.
func (l *Literal) number() *float64 {
	if l == nil {
		return nil
	}
	f, err := strconv.ParseFloat(l.Text, 64)
	if err != nil || math.IsNaN(f) {
		return nil
	}
	return &f
}
