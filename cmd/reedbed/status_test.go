package main

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/web"
)

// Programs read these keys: none may go or be renamed. docs/guides/quickstart.md
// lists them.
func TestStatusKeys(t *testing.T) {
	text, err := json.Marshal(web.Status{Datasets: []sqlite.DatasetStatus{{Name: "raw"}}})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Journal, Quarantine, Totals map[string]int64
		Datasets                    []map[string]any
	}
	var all map[string]any
	for _, into := range []any{&got, &all} {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		want []string
		got  []string
	}{
		{
			[]string{"anomalies", "converged", "datasets", "failures", "holds", "journal", "late", "problems", "quarantine", "revision", "totals", "version", "warnings"},
			keys(all),
		},
		{[]string{"end", "loaded"}, keys(got.Journal)},
		{[]string{"rows"}, keys(got.Quarantine)},
		{[]string{"acknowledged", "duplicates_removed", "loaded", "quarantined"}, keys(got.Totals)},
		{
			[]string{"absent", "deferred", "erased", "failed", "fresh", "held", "name", "open", "partitions", "rows", "running", "stale", "waived"},
			keys(got.Datasets[0]),
		},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Error(diff)
		}
	}
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
