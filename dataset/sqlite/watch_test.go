package sqlite

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/dataset"
)

// Hours are wanted once when they are closed, again when they grew, and never once
// they were judged; what is old is forgotten.
func TestWatchedHours(t *testing.T) {
	c, k := openTest(t)
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	wanted := func() string {
		t.Helper()
		start, ok, err := c.ToWatch(t.Context(), noon.Add(-48*time.Hour), noon.Add(48*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ""
		}
		return start.Format("15")
	}
	record := func(at time.Time, rows int64, judged bool, changed ...anomaly.Anomaly) {
		t.Helper()
		h := anomaly.Hour{Start: at, Series: []anomaly.Observation{{Series: anomaly.Series{Source: "web"}, Rows: rows}}}
		if err := c.RecordWatched(t.Context(), Watched{h, rows, judged}, changed); err != nil {
			t.Fatal(err)
		}
	}
	load(t, c, segment(dataset.Raw, "2026-05-01T11", "a", 100), segment(dataset.Raw, "2026-05-01T12", "b", 100))
	if got := wanted(); got != "" {
		t.Errorf("%s is wanted although it is open", got)
	}
	if _, err := c.ClosePartitions(t.Context(), noon.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, step := range []func(){
		func() {}, func() { record(noon, 100, true) }, func() { record(noon.Add(-time.Hour), 100, false) },
		func() {
			load(t, c, segment(dataset.Raw, "2026-05-01T11", "c", 5), segment(dataset.Raw, "2026-05-01T12", "d", 500))
		},
		func() { load(t, c, segment(dataset.Raw, "2026-05-01T11", "e", 50)) },
	} {
		step()
		got = append(got, wanted())
	}
	if d := cmp.Diff([]string{"12", "11", "", "", "11"}, got); d != "" {
		t.Error(d)
	}

	begun := anomaly.Anomaly{Effect: anomaly.Effect{Kind: anomaly.Volume, Series: anomaly.Series{Source: "web"}, What: "few"}, Since: noon}
	record(noon.Add(time.Hour), 1, true, begun)
	known, err := c.Anomalies(t.Context(), noon)
	if d := cmp.Diff([]anomaly.Anomaly{begun}, known, cmpopts.IgnoreFields(anomaly.Anomaly{}, "ID")); d != "" || err != nil {
		t.Fatal(d, err)
	}
	known[0].Until = noon.Add(2 * time.Hour)
	record(noon.Add(2*time.Hour), 100, true, known[0])
	for after, want := range map[time.Duration]int{time.Hour: 1, 3 * time.Hour: 0} {
		if left, err := c.Anomalies(t.Context(), noon.Add(after)); err != nil || len(left) != want {
			t.Errorf("%d ended after %s: %v", len(left), after, err)
		}
	}
	oldest, judged, err := c.WatchedSince(t.Context(), noon)
	if err != nil || !judged || !oldest.Equal(noon.Add(-time.Hour)) {
		t.Errorf("on record since %s, %t, %v", oldest, judged, err)
	}
	starts := []time.Time{noon.Add(-2 * time.Hour), noon, noon.Add(time.Hour)}
	hours, damaged, err := c.WatchedHours(t.Context(), starts)
	if err != nil || damaged != nil || len(hours) != 2 || hours[1].Series[0].Rows != 1 {
		t.Errorf("on record are %+v, damaged %s, %v", hours, damaged, err)
	}
	if err := c.update(t.Context(), func(t *tx) error {
		return t.exec("UPDATE watched SET observed = substr(observed, 1, 10) WHERE starts = ?", micros(noon))
	}); err != nil {
		t.Fatal(err)
	}
	hours, damaged, err = c.WatchedHours(t.Context(), starts)
	if d := cmp.Diff([]time.Time{noon}, damaged); d != "" || err != nil || len(hours) != 2 || hours[1].Series[0].Rows != 1 {
		t.Errorf("of a damaged hour: %+v, %v, %s", hours, err, d)
	} else if d := cmp.Diff(anomaly.Unknown(noon), hours[0]); d != "" {
		t.Error(d)
	}

	k.t = noon.Add(anomaly.Keep + 10*24*time.Hour)
	record(noon.Add(-time.Hour), 100, false) // wanted, as far as the watermark had come
	if oldest, _, err := c.WatchedSince(t.Context(), noon); err != nil || !oldest.Equal(noon.Add(-time.Hour)) {
		t.Errorf("an hour that is wanted is forgotten: on record since %s, %v", oldest, err)
	}
	record(k.t.Truncate(time.Hour), 1, true)
	if oldest, _, err := c.WatchedSince(t.Context(), noon); err != nil || !oldest.Equal(k.t.Truncate(time.Hour)) {
		t.Errorf("on record since %s, %v", oldest, err)
	}
	if left, err := c.Anomalies(t.Context(), time.Time{}); err != nil || len(left) != 0 {
		t.Errorf("left are %+v, %v", left, err)
	}
}
