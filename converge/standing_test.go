package converge

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// standings are the words of a plan about what is on record, for each file.
func (w *world) standings() map[string]string {
	w.tb.Helper()
	p, err := w.converger.Plan(context.Background(), w.project(), PlanOptions{})
	w.must(err)
	out := map[string]string{}
	for _, c := range p.Changes {
		for _, s := range c.OnRecord {
			out[c.File] += strings.Join(s.Words(), "\n") + "\n"
		}
	}
	return out
}

// TestPlanJudgesWhatIsThere says of a contract that is new or changed what it makes
// of what is on record, held or seen, and that is what comes of it.
func TestPlanJudgesWhatIsThere(t *testing.T) {
	w := chained(t, below10)
	w.value = 31
	w.load(5)
	w.settle()
	w.value = 6
	w.load(6, 7, 8, 9)
	w.settle()
	w.expectHeld(map[string]int64{"a": 1})
	w.relies = map[string]string{
		"b.yaml":   "owner: finance\nconsumer: b\ndatasets:\n  a:\n    columns: {value: {max: 10}}\n",
		"raw.yaml": "owner: press\nconsumer: a\ndatasets: {raw: {rows: {min: 1}}}",
	}
	w.stages[0].holds = "{columns: {value: {max: 10}}, rows: {min: 1, max: 1}}"
	want := map[string]string{
		"contracts/b.yaml":   "a: 5 versions on record, of which 1 break it: held from stage b\n  a@H5: value is above 10 in 1 of 2 rows (50%); expected no row (contracts/b.yaml:5)\n",
		"contracts/raw.yaml": "raw: 5 versions on record, none of which breaks it; the statistics of 5 do not say all that is asked\n",
		"stages/a.sql":       "a: 5 versions on record, of which 1 break it: held from everybody\n  a@H5: value is above 10 in 1 of 2 rows (50%); expected no row (stages/a.sql:4)\n",
	}
	hour := string(w.partition("hour", 5))
	for file := range want {
		want[file] = strings.ReplaceAll(want[file], "H5", hour)
	}
	if d := cmp.Diff(want, w.standings()); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{"a": 1})

	w.relies["b.yaml"] = "owner: finance\nconsumer: b\ndatasets:\n  a: {columns: {value: {max: 7}}}\n"
	got := w.standings()
	if len(got) != 1 || !strings.Contains(got["contracts/b.yaml"], "the statistics of 5 do not say all") {
		t.Errorf("nobody counted what is above 7, and yet: %v", got)
	}
	w.deploy()
	w.settle()
	w.relies["b.yaml"] = "owner: finance\ndatasets:\n  a: {columns: {value: {max: 7}}}\n"
	words := w.standings()["contracts/b.yaml"]
	if !strings.HasPrefix(words, "a: 5 versions on record, of which 4 break it: told to finance\n  a@") || !strings.Contains(words, "\n  and 1 others\n") {
		t.Errorf("got %s", words)
	}
}
