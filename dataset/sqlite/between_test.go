package sqlite

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

func TestBetween(t *testing.T) {
	stage := func(name string, inputs ...string) dataset.Deployment {
		d := dataset.Deployment{Spec: dataset.Spec{Name: name}}
		for _, in := range inputs {
			d.Edges = append(d.Edges, dataset.Edge{Input: in})
		}
		return d
	}
	chain := []dataset.Deployment{stage("a", "raw"), stage("b", "a"), stage("c", "b"), stage("d", "c_rejected")}
	diamond := []dataset.Deployment{stage("a", "raw"), stage("b", "a"), stage("c", "b"), stage("d", "a", "c"), stage("e", "d"), stage("f", "c", "raw")}
	for _, c := range []struct {
		name    string
		stages  []dataset.Deployment
		changed map[string]bool
		want    map[string]bool
	}{
		{"one way", chain, map[string]bool{"a": true}, map[string]bool{}},
		{"the end of the way changed too", chain, map[string]bool{"a": true, "d": true}, map[string]bool{"b": true, "c": true}},
		{"two ways", diamond, map[string]bool{"a": true}, map[string]bool{"b": true, "c": true}},
		{"below where they meet", diamond, map[string]bool{"c": true}, map[string]bool{}},
		{"a side input", []dataset.Deployment{stage("a", "raw", "side"), stage("b", "a"), stage("c", "b", "side")}, map[string]bool{"side": true}, map[string]bool{"a": true, "b": true}},
		{"nothing", diamond, map[string]bool{}, map[string]bool{}},
	} {
		if d := cmp.Diff(c.want, between(c.stages, c.changed)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
