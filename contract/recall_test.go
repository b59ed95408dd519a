package contract

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/fingerprint"
)

// What a fingerprint was not asked breaks no rule, and is counted.
func TestRecall(t *testing.T) {
	f, problems := Parse("c.yaml", []byte(`owner: x
datasets:
  d:
    rows: {min: 10}
    columns:
      a: {not_null: true, min: 3, entropy: {min: 0.5}, distinct: {max: 5}}
      b: {distinct: {max: 5}}
    measures: {known: {max: 1}, unknown: {max: 1}}
`))
	if f == nil {
		t.Fatal(problems)
	}
	r := f.Contracts[0].Rules()
	counted := r.Needs().Violations[0].Name // of not_null
	print := &fingerprint.Fingerprint{
		Rows: 4, Columns: []fingerprint.Column{{Name: "a", Kind: fingerprint.Number, Distinct: 4}},
		Measures: []fingerprint.Measure{{Name: "known", Value: new(2.0)}}, Checks: []fingerprint.Check{{Name: counted, Count: 1}},
	}
	for open, want := range map[bool][]string{false: {"rows", "columns.a.not_null", "measures.known"}, true: {"columns.a.not_null"}} {
		broken, unasked := r.Recall(print, Facts{Open: open})
		var got []string
		for _, b := range broken {
			got = append(got, b.Rule)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("open: %v\n%s", open, d)
		}
		if wanted := map[bool]int{false: 4, true: 1}[open]; unasked != wanted { // min, entropy, distinct of b, and unknown
			t.Errorf("open: %v: %d rules are not judged, want %d", open, unasked, wanted)
		}
	}
	if broken, unasked := r.Recall(&fingerprint.Fingerprint{Rows: 10, Columns: []fingerprint.Column{{Name: "a", Nulls: 10}}}, Facts{}); unasked != 4 || len(broken) != 2 {
		t.Errorf("%d are not judged; broken: %+v", unasked, broken) // that all is missing, and that it has no entropy, is known
	}
}
