package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/anomaly"
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

func TestStatusSaysWhatIsUnusual(t *testing.T) {
	a := anomaly.Anomaly{
		Effect: anomaly.Effect{Kind: anomaly.Volume, Series: anomaly.Series{Source: "web", Event: "\x1b[2Jplay"}, What: "9 events, expected 90 to 110"},
		Since:  time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC),
	}
	var out bytes.Buffer
	if err := printStatus(terminal{out: &out}, web.Status{Anomalies: []anomaly.Anomaly{a}}); err != nil {
		t.Fatal(err)
	}
	want := "unusual since 2026-11-22 13:00:00: web, event \uFFFD[2Jplay: fewer events than usual\n9 events, expected 90 to 110\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got %s", out.String())
	}
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
