package web_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/web"
)

func TestStateColumns(t *testing.T) {
	names := func(all ...sqlite.DatasetStatus) string {
		var out []string
		for _, c := range web.StateColumns(all) {
			out = append(out, c.Name)
			if len(c.Counts) != len(all) {
				t.Errorf("%s has %d counts of %d datasets", c.Name, len(c.Counts), len(all))
			}
		}
		return strings.Join(out, " ")
	}
	const always = "rows partitions open fresh stale failed"
	for _, x := range []struct{ want, got string }{
		{always, names()},
		{always, names(sqlite.DatasetStatus{Name: "raw", Fresh: 3})},
		{
			"rows partitions open fresh stale running deferred held waived failed erased absent",
			names(sqlite.DatasetStatus{Running: 1, Held: 1, Absent: 1}, sqlite.DatasetStatus{Deferred: 1, Waived: 1, Erased: 1}),
		},
	} {
		if d := cmp.Diff(x.want, x.got); d != "" {
			t.Error(d)
		}
	}
}
