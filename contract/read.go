package contract

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/reedbed/reedbed/internal/nearest"
	"github.com/reedbed/reedbed/internal/strictyaml"
)

// reader takes a document apart and gathers what is wrong with it.
type reader struct {
	file     string
	problems []Problem
}

func (r *reader) bad(line int, what, fix string) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, What: what, Fix: fix})
}

// keys are the entries a map may have, and who takes each.
type keys map[string]func(strictyaml.Field)

// each hands every entry of a map to who takes it. of names the map in messages.
func (r *reader) each(f strictyaml.Field, of string, known keys) {
	for _, e := range r.entries(f, of) {
		take, ok := known[e.Name]
		if !ok {
			r.unknown(e, of, slices.Sorted(maps.Keys(known)))
			continue
		}
		take(e)
	}
}

func (r *reader) unknown(e strictyaml.Field, of string, known []string) {
	fix := "there are: " + strings.Join(known, ", ")
	if near := nearest.Word(e.Name, known); near != "" {
		fix = "did you mean `" + near + "`?"
	}
	r.bad(e.Line, fmt.Sprintf("%s: unknown key %q", of, e.Name), fix)
}

// entries are those of a map; nothing written is an empty one.
func (r *reader) entries(f strictyaml.Field, of string) []strictyaml.Field {
	switch f.Value.Kind {
	case strictyaml.Map:
		return f.Value.Fields
	case strictyaml.Absent, strictyaml.Null:
		return nil
	}
	r.bad(f.Line, of+" must be a map", "write `name: value` lines below it")
	return nil
}

// text is a scalar, "" with a problem if it is none.
func (r *reader) text(f strictyaml.Field, of string) string {
	if f.Value.Kind == strictyaml.Scalar && strings.TrimSpace(f.Value.Text) != "" {
		return f.Value.Text
	}
	r.bad(f.Line, of+" must be a text", "write it out behind the colon")
	return ""
}

func (r *reader) literal(f strictyaml.Field, of string) *Literal {
	if text := r.text(f, of); text != "" {
		return &Literal{Text: text, Line: f.Line}
	}
	return nil
}

// choice is one of some words.
func (r *reader) choice(f strictyaml.Field, of string, words []string) *Literal {
	if f.Value.Kind == strictyaml.Scalar && slices.Contains(words, f.Value.Text) {
		return &Literal{Text: f.Value.Text, Line: f.Line}
	}
	fix := "write one of " + strings.Join(words, ", ")
	if near := nearest.Word(f.Value.Text, words); near != "" {
		fix = "did you mean `" + near + "`?"
	}
	r.bad(f.Line, fmt.Sprintf("%s: %q is none of %s", of, f.Value.Text, strings.Join(words, ", ")), fix)
	return nil
}

// yes is the line of a key that is true, 0 if it is false.
func (r *reader) yes(f strictyaml.Field, of string) int {
	switch {
	case f.Value.Kind == strictyaml.Scalar && f.Value.Text == "true":
		return f.Line
	case f.Value.Kind != strictyaml.Scalar || f.Value.Text != "false":
		r.bad(f.Line, of+" is true or false", "write true, or leave it out")
	}
	return 0
}

// unit is what numbers a band is of.
type unit int

const (
	anyNumber unit = iota
	share          // 0 to 1
	count          // whole, from 0 on
)

func (r *reader) number(f strictyaml.Field, of string, u unit) *Number {
	n := Number{Line: f.Line, Text: strings.TrimSpace(f.Value.Text)}
	digits, percent := strings.CutSuffix(n.Text, "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if percent {
		value /= 100
	}
	n.Value = value
	switch {
	case f.Value.Kind != strictyaml.Scalar || err != nil || math.IsNaN(value) || math.IsInf(value, 0):
		r.bad(f.Line, of+" must be a number", map[unit]string{anyNumber: "such as 0.5 or 50%", share: "such as 1% or 0.01", count: "such as 1000"}[u])
	case u == share && (value < 0 || value > 1):
		r.bad(f.Line, fmt.Sprintf("%s is a share and %s is not between 0 and 1", of, n.Text), "write a percentage such as 5%, or 0.05")
	case u == count && (percent || value < 0 || value != math.Trunc(value)):
		r.bad(f.Line, fmt.Sprintf("%s is a number of things and cannot be %s", of, n.Text), "write a whole number from 0 on")
	default:
		return &n
	}
	return nil
}

func (r *reader) band(f strictyaml.Field, of string, u unit) (b Band) {
	found := len(r.problems)
	r.each(f, of, keys{
		"min": func(e strictyaml.Field) { b.Min = r.number(e, of+".min", u) },
		"max": func(e strictyaml.Field) { b.Max = r.number(e, of+".max", u) },
	})
	switch {
	case len(r.problems) > found:
	case b.empty():
		r.bad(f.Line, of+" has neither min nor max", "write one of them or both: {min: 1, max: 2}")
	case b.Min != nil && b.Max != nil && b.Min.Value > b.Max.Value:
		r.bad(f.Line, fmt.Sprintf("%s: min %s is above max %s, so nothing can keep it", of, b.Min.Text, b.Max.Text), "exchange or correct them")
	}
	return b
}

func (r *reader) delay(f strictyaml.Field, of string) *Delay {
	d, err := time.ParseDuration(f.Value.Text)
	if f.Value.Kind != strictyaml.Scalar || err != nil || d <= 0 {
		r.bad(f.Line, of+" must be a time", "write it as 30s, 15m or 2h")
		return nil
	}
	return &Delay{Time: d, Line: f.Line}
}

// ReadTerms reads the contract of a stage's header.
func ReadTerms(file string, v strictyaml.Value) (Terms, []Problem) {
	r := reader{file: file}
	var t Terms
	r.each(strictyaml.Field{Line: v.Line, Value: v}, "contract", r.terms(&t))
	return t, r.problems
}

// terms are the keys of what is promised or expected of a dataset.
func (r *reader) terms(t *Terms) keys {
	return keys{
		"columns":   func(f strictyaml.Field) { t.Columns = r.columns(f) },
		"rows":      func(f strictyaml.Field) { t.Rows = r.band(f, "rows", count) },
		"rejected":  func(f strictyaml.Field) { t.Rejected = r.band(f, "rejected", share) },
		"complete":  func(f strictyaml.Field) { t.Complete = r.band(f, "complete", share) },
		"fresh":     func(f strictyaml.Field) { t.Fresh = r.delay(f, "fresh") },
		"tolerance": func(f strictyaml.Field) { t.Tolerance = r.number(f, "tolerance", share) },
		"measures":  func(f strictyaml.Field) { t.Measures = r.measures(f) },
		"checks":    func(f strictyaml.Field) { t.Checks = r.checks(f) },
		"statistics": func(f strictyaml.Field) {
			t.Statistics = r.choice(f, "statistics", []string{Hold, Warn, Off})
		},
	}
}

func (r *reader) measures(f strictyaml.Field) []Measure {
	var out []Measure
	for _, e := range r.entries(f, "measures") {
		out = append(out, Measure{Name: e.Name, Line: e.Line, Band: r.band(e, "measures."+e.Name, anyNumber)})
	}
	return out
}

func (r *reader) checks(f strictyaml.Field) []Check {
	if f.Value.Kind != strictyaml.List {
		r.bad(f.Line, "checks must be a list", "write `- {name: ..., sql: SELECT ...}`")
		return nil
	}
	var out []Check
	for _, item := range f.Value.List {
		c := Check{Line: item.Line}
		r.each(strictyaml.Field{Line: item.Line, Value: item}, "a check", keys{
			"name": func(e strictyaml.Field) { c.Name = r.text(e, "the name of a check") },
			"sql":  func(e strictyaml.Field) { c.SQL, c.Line = r.text(e, "the sql of a check"), e.Line },
			"why":  func(e strictyaml.Field) { c.Why = r.text(e, "the why of a check") },
		})
		c.SQL = strings.TrimRight(c.SQL, "; \t\r\n")
		switch {
		case c.Name == "" || c.SQL == "":
			r.bad(item.Line, "a check has a name and sql", "write `- {name: ..., sql: SELECT ...}`, where SELECT finds the rows that must not be there")
		case slices.ContainsFunc(out, func(o Check) bool { return o.Name == c.Name }):
			r.bad(item.Line, fmt.Sprintf("two checks are called %q", c.Name), "rename one")
		default:
			out = append(out, c)
		}
	}
	return out
}
