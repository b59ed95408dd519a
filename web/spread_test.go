package web_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/web"
)

// TestExplainsWhatIsUnusual shows the values that a column has, there and usually, and
// what the version came of.
func TestExplainsWhatIsUnusual(t *testing.T) {
	h := dataset.Hold{
		Dataset: "plays", Partition: "2026-11-22T03", Version: 3, Reads: 2,
		Broken: []dataset.Broken{
			{
				Contract: "plays", Owner: "trust", Rule: dataset.Statistics, Column: "country", What: "country: entropy is 0.10, expected 0.71 to 0.79",
				Usual: &dataset.Spread{Of: "plays@2026-11-15T03/1", Rows: 900, Top: []dataset.Part{{Value: "us", Share: .5}, {Value: "se", Share: .25}}},
				Here:  &dataset.Spread{Rows: 4100, Nulls: .011, Top: []dataset.Part{{Value: "", Share: .75}, {Value: "\x1b[2J", Share: .25}}},
			},
			{
				Contract: "plays", Rule: "columns.ms.max", At: "stages/plays.sql:9", Column: "ms", What: "ms is above 9",
				Here: &dataset.Spread{Rows: 1, Quantiles: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1e6}},
			},
		},
		Causes: []dataset.Cause{{ID: 7, Kind: dataset.ByLoad, Detail: "3200 events loaded", At: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)}},
	}
	const want = `plays@2026-11-22T03
  country: entropy is 0.10, expected 0.71 to 0.79 (plays, of trust)
    country in plays@2026-11-15T03/1: us 50 %, se 25 %, others 25 %; NULL 0 % of 900 rows
    country here: "" 75 %, "\x1b[2J" 25 %; NULL 1.1 % of 4100 rows
  ms is above 9 (stages/plays.sql:9)
    ms here: from 0 over 5 (a tenth are below 1, a tenth above 9) to 1e+06; NULL 0 % of 1 row
  because 3200 events loaded, at 2026-11-22 04:00:00
  readers see version 2
  released by other input, another definition or another contract, or by ` + "`reedbed approve plays@2026-11-22T03 --why TEXT`\n"
	if diff := cmp.Diff(want, web.ExplainHold(h)); diff != "" {
		t.Error(diff)
	}
	got := web.WarningWords(sqlite.Trouble{Dataset: "plays", First: "2026-11-20T00", Last: "2026-11-22T03", Count: 3, What: "far from what version 1 was"})
	if want := "plays@2026-11-22T03 and 2 others from 2026-11-20T00 on: far from what version 1 was"; got != want {
		t.Errorf("got %q", got)
	}
}
