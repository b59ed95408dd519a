package rehearse_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sight is how far hours look ahead for what is missing to show.
const sight = 6 * time.Hour

// stretch is a row of `streams` in which nothing is missing, as a case gives it.
type stretch struct {
	Hour            time.Time  `json:"hour"`
	Source          string     `json:"source"`
	App             string     `json:"app"`
	Version         string     `json:"app_version"`
	Stream          string     `json:"stream_id"`
	Received        int64      `json:"received"`
	InFlight        int64      `json:"lost_in_flight"`
	AtClient        int64      `json:"lost_at_client"`
	FirstSeq        int64      `json:"first_seq"`
	FirstAt         time.Time  `json:"first_at"`
	FirstDropped    int64      `json:"first_dropped"`
	LastSeq         int64      `json:"last_seq"`
	LastAt          time.Time  `json:"last_at"`
	LastDropped     int64      `json:"last_dropped"`
	BeganAt         time.Time  `json:"began_at"`
	PreviousStream  *string    `json:"previous_stream"`
	PreviousSeq     int64      `json:"previous_seq"`
	PreviousDropped int64      `json:"previous_dropped"`
	PreviousAt      *time.Time `json:"previous_at"`
	PreviousBeganAt *time.Time `json:"previous_began_at"`
}

// made is a device's stream, with what is missing of it counted one by one, by hour.
type made struct {
	rows               []stretch
	inFlight, atClient map[time.Time]int64
}

// gap counts what is missing: each event has a time, and belongs to its hour.
func (m *made) gap(missing, reported, steps int64, since, until, seen time.Time) {
	start := since.Truncate(time.Hour)
	if seen.Sub(start) > sight {
		return
	}
	for k := int64(1); k <= missing; k++ {
		at := since
		if until.Truncate(time.Hour).Sub(start) <= time.Hour {
			at = since.Add(time.Duration(until.Sub(since).Microseconds()*k/steps) * time.Microsecond)
		}
		if k <= reported {
			m.atClient[at.Truncate(time.Hour)]++
		} else {
			m.inFlight[at.Truncate(time.Hour)]++
		}
	}
}

// device makes one stream over some hours from midnight, and a second one that
// tells how it ended.
func device(r *rand.Rand, name string, midnight time.Time) *made {
	m := &made{inFlight: map[time.Time]int64{}, atClient: map[time.Time]int64{}}
	at := midnight.Add(time.Duration(r.IntN(7200)) * time.Second)
	next, dropped := int64(0), int64(0)
	began, since := at, at
	lose := func() (missing, reported int64) {
		missing = r.Int64N(6)
		reported = r.Int64N(missing + 1)
		next, dropped = next+missing, dropped+reported
		return missing, reported
	}
	row := func(stream string) stretch {
		return stretch{
			Hour: at.Truncate(time.Hour), Source: "web", App: "web", Version: "7", Stream: stream, Received: 1,
			FirstAt: at, LastAt: at, BeganAt: began,
		}
	}
	for range 1 + r.IntN(4) {
		missing, reported := lose()
		x := row(name)
		m.gap(missing, reported, missing+1, since, at, x.Hour)
		x.FirstSeq, x.LastSeq, x.FirstDropped, x.LastDropped = next, next, dropped, dropped
		next++
		m.rows = append(m.rows, x)
		since = at
		at = at.Truncate(time.Hour).Add(time.Hour + time.Duration(r.IntN(4*3600))*time.Second) // never twice in an hour
	}
	missing, reported := lose()
	end := since.Add(time.Duration(r.IntN(5400)) * time.Second)
	at = end.Add(time.Duration(r.IntN(8*3600)) * time.Second)
	m.gap(missing, reported, missing, since, end, at.Truncate(time.Hour))
	first := began
	began = at
	x := row(name + " again")
	x.PreviousStream, x.PreviousSeq, x.PreviousDropped, x.PreviousAt, x.PreviousBeganAt = &name, next-1, dropped, &end, &first
	m.rows = append(m.rows, x)
	return m
}

// Each hour sees some hours around it only, and yet all of them together count every
// event that is missing once, in its hour.
func TestHoursShareWhatIsMissing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	midnight := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var rows []stretch
	inFlight, atClient := map[time.Time]int64{}, map[time.Time]int64{}
	for i := range 40 {
		m := device(r, fmt.Sprintf("s%d", i), midnight)
		rows = append(rows, m.rows...)
		for hour, n := range m.inFlight {
			inFlight[hour] += n
		}
		for hour, n := range m.atClient {
			atClient[hour] += n
		}
	}
	var cases []map[string]any
	for hour := midnight; hour.Before(midnight.Add(24 * time.Hour)); hour = hour.Add(time.Hour) {
		given := []stretch{}
		received := int64(0)
		for _, x := range rows {
			if d := x.Hour.Sub(hour); d >= -time.Hour && d <= sight {
				given = append(given, x)
			}
			if x.Hour.Equal(hour) {
				received++
			}
		}
		expect := []map[string]any{}
		if received+inFlight[hour]+atClient[hour] > 0 {
			expect = append(expect, map[string]any{"hour": hour, "received": received, "lost_in_flight": inFlight[hour], "lost_at_client": atClient[hour]})
		}
		cases = append(cases, map[string]any{
			"name": hour.Format("15:04"), "partition": hour.Format("2006-01-02T15"), "given": map[string]any{"streams": given}, "expect": expect,
		})
	}
	dir := copyOf(t, "plays")
	text, err := json.Marshal(map[string]any{"stage": "completeness", "cases": cases})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tests", "shares.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := try(t, dir, "completeness")
	if len(got.Problems) > 0 || len(got.Results) <= len(cases) {
		t.Fatal(got.Problems, len(got.Results))
	}
	for _, x := range got.Results {
		if !x.Passed() {
			t.Errorf("%+v", x)
		}
	}
}
