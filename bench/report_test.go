package main

import (
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for want, r := range map[string]row{
		"":                         {met: true},
		"met":                      {goal: "x", met: true},
		"missed":                   {goal: "x"},
		"met, machine not idle":    {goal: "x", met: true, noisy: true},
		"missed, machine not idle": {goal: "x", noisy: true},
	} {
		if got := r.verdict(); got != want {
			t.Errorf("%+v: %q", r, got)
		}
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	err := print(&b, []row{{what: "a", figure: "1", goal: "<= 2", met: true, others: .5, flush: -1, notes: []string{"n1", "n2"}}, {what: "longer", flush: 7}})
	want := `measured  figure  goal  verdict  other CPU  flush/s
a         1       <= 2  met      50 %       ?
longer                           0 %        7

a
  n1
  n2
`
	if b.String() != want || err != nil {
		t.Errorf("%v\n%s", err, b.String())
	}
}
