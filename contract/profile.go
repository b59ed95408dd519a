package contract

import (
	"fmt"
	"slices"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// Profile is what a stage wants its fingerprints to hold beside what all have.
type Profile struct {
	Entropy  []Literal // columns
	Measures []Formula
}

// Formula is a measure of a stage: an aggregate over its rows.
type Formula struct {
	Name, SQL string
	Line      int
}

// ReadProfile reads the `fingerprint` of a stage's header.
func ReadProfile(file string, v strictyaml.Value) (Profile, []Problem) {
	r := reader{file: file}
	var p Profile
	r.each(strictyaml.Field{Line: v.Line, Value: v}, "fingerprint", keys{
		"entropy":  func(f strictyaml.Field) { p.Entropy = r.names(f, "fingerprint.entropy") },
		"measures": func(f strictyaml.Field) { p.Measures = r.formulas(f) },
	})
	return p, r.problems
}

func (r *reader) names(f strictyaml.Field, of string) []Literal {
	if f.Value.Kind != strictyaml.List {
		r.bad(f.Line, of+" must be a list of columns", "write [country, browser]")
		return nil
	}
	var out []Literal
	for _, item := range f.Value.List {
		l := Literal{Text: item.Text, Line: max(item.Line, f.Line)}
		switch {
		case item.Kind != strictyaml.Scalar || l.Text == "":
			r.bad(l.Line, of+": a column must be a name", "write [country, browser]")
		case slices.ContainsFunc(out, func(o Literal) bool { return o.Text == l.Text }):
			r.bad(l.Line, fmt.Sprintf("%s: %s is there twice", of, l.Text), "remove one")
		default:
			out = append(out, l)
		}
	}
	return out
}

func (r *reader) formulas(f strictyaml.Field) []Formula {
	var out []Formula
	for _, e := range r.entries(f, "fingerprint.measures") {
		if sql := r.text(e, "fingerprint.measures."+e.Name); sql != "" {
			out = append(out, Formula{Name: e.Name, SQL: sql, Line: e.Line})
		}
	}
	return out
}

// Needs are what the engine must find out for the profile. A measure keeps its
// name when its SQL changes; a check that counts nothing stands beside it, so that
// a value that was taken by other SQL does not meet the needs.
func (p Profile) Needs() Needs {
	var n Needs
	for _, c := range p.Entropy {
		n.Categories = append(n.Categories, c.Text)
	}
	for _, m := range p.Measures {
		n.Measures = append(n.Measures, Expr{Name: m.Name, SQL: m.SQL})
		n.Violations = append(n.Violations, Expr{Name: named("measures."+m.Name, m.SQL).Name, SQL: "false"})
	}
	return n
}
