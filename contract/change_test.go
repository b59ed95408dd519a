package contract

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanges(t *testing.T) {
	was := mustParse(t, terms("columns: {c: {min: 1, not_null: true}}", "rows: {min: 1}"))
	is := mustParse(t, terms("rows: {min: 2}", "columns: {c: {min: 1, matches: a+}}"))
	want := []string{
		"rows: was: the number of rows is at least 1; is: the number of rows is at least 2",
		"columns.c.matches: new: no row where c does not match a+",
		"columns.c.not_null: gone: no row where c is NULL",
	}
	if d := cmp.Diff(want, is.Changes(was)); d != "" {
		t.Error(d)
	}
	if got := is.Changes(is); got != nil {
		t.Errorf("what is the same changed: %q", got)
	}
}

func TestProfileChanges(t *testing.T) {
	was := Profile{Entropy: []Literal{{"a", 1}}, Measures: []Formula{{"m", "avg(x)", 1}, {"n", "1", 1}}}
	is := Profile{Entropy: []Literal{{"a", 2}, {"b", 2}}, Measures: []Formula{{"o", "1", 1}, {"m", "sum(x)", 2}}}
	want := []string{
		"fingerprint.measures.o: new",
		"fingerprint.measures.m: was avg(x), is sum(x)",
		"fingerprint.measures.n: gone",
		"fingerprint.entropy: was a, is a, b",
	}
	if d := cmp.Diff(want, is.Changes(was)); d != "" {
		t.Error(d)
	}
	if got := is.Changes(is); got != nil {
		t.Errorf("what is the same changed: %q", got)
	}
}
