package converge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

// TestInTurns gives the owner of few partitions its turn beside one with many,
// also when there is one worker only.
func TestInTurns(t *testing.T) {
	for _, c := range []struct{ tasks, last, want string }{
		{"", "", ""},
		{"a1 a2 a3", "", "a1 a2 a3"},
		{"a1 a2 b1 a3", "", "a1 b1 a2 a3"},
		{"a1 a2 b1 a3", "a", "b1 a1 a2 a3"},
		{"a1 a2 b1 c1 c2", "b", "c1 a1 b1 c2 a2"},
		{"a1 b1", "z", "a1 b1"},
	} {
		var tasks []dataset.Task
		for name := range strings.FieldsSeq(c.tasks) {
			tasks = append(tasks, dataset.Task{Dataset: name, Owner: name[:1]})
		}
		var got []string
		for _, k := range inTurns(tasks, c.last) {
			got = append(got, k.Dataset)
		}
		if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
			t.Errorf("%q after %q: %s", c.tasks, c.last, d)
		}
	}
}
