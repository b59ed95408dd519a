package acceptance

import (
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/reedbed/reedbed/simulate"
)

// losses are what happened in an hour to the events of one version.
type losses struct{ arrived, inFlight, atClient float64 }

// TestLossIsFound loses 2 % of one version's events in flight and 1 % at the
// client, beside repeats, garbage, late clients and wrong clocks, and compares the
// measured loss of each hour with what the simulator knows it did: both shares are
// right to a tenth of a percentage point, also those of a version that loses
// nothing, and of clients that number nothing nothing is claimed.
//
// The first and the last hours of the history are left out: what listeners did
// before and after it is not there.
//
// It sends 270,000 events and takes minutes, so it runs when REEDBED_LOSS is set. What
// the stages make of rows is tried in package rehearse, to the event.
func TestLossIsFound(t *testing.T) {
	if os.Getenv("REEDBED_LOSS") == "" {
		t.Skip("takes minutes: set REEDBED_LOSS=1")
	}
	const version = "2026.11"
	p := newProject(t, "plays")
	n := p.up(t).deployed(t)
	c := simulate.Default()
	c.Rate, c.Listeners, c.For = 500, 400, 25*time.Second
	c.Attack = simulate.Attack{}
	c.Loss = simulate.Loss{Version: version, InFlight: 0.02, AtClient: 0.01}
	hours := sized(6, 4)
	c.History = simulate.History{Events: hours * 45_000, Span: time.Duration(hours) * time.Hour, Rate: 15_000}
	began := time.Now().UTC()

	lost := map[string]losses{}
	var mu sync.Mutex
	report, err := simulate.Run(t.Context(), n.client, n.url, c, func(r simulate.Request, a simulate.Answer) {
		mu.Lock()
		defer mu.Unlock()
		if a.Retry || r.Repeat {
			return
		}
		for _, l := range r.Lost {
			at := hourOf(l.Time)
			x := lost[at]
			if l.AtClient {
				x.atClient++
			} else {
				x.inFlight++
			}
			lost[at] = x
		}
	})
	if err != nil || report.Abandoned+report.Refused > 0 {
		t.Fatalf("traffic: %v, %+v", err, report)
	}
	n.converged(t)

	type measured struct {
		Hour     string
		App      string
		Version  string `json:"app_version"`
		Received float64
		Numbered float64
		InFlight float64 `json:"lost_in_flight"`
		AtClient float64 `json:"lost_at_client"`
		Complete *float64
	}
	compared, unnumbered := 0, 0
	for _, m := range rows[measured](t, n, "SELECT strftime(hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H') AS hour, * EXCLUDE (hour) FROM completeness ORDER BY ALL") {
		if m.Hour <= hourOf(began.Add(-c.History.Span)) || m.Hour >= hourOf(began.Add(-time.Hour)) {
			continue
		}
		found := losses{m.Numbered, m.InFlight, m.AtClient}
		switch {
		case m.App == "ios" || m.App == "android":
			if unnumbered++; m.Complete != nil || m.Numbered+m.InFlight+m.AtClient != 0 {
				t.Errorf("of %s %s, which numbers nothing, this is claimed: %+v", m.App, m.Version, m)
			}
		case m.Version != version:
			if m.Complete == nil || *m.Complete < 0.999 {
				t.Errorf("%s %s loses nothing: %+v", m.App, m.Version, m)
			}
		default:
			compared++
			is := lost[m.Hour]
			is.arrived = m.Received
			agree(t, m.Hour+" lost in flight", found.share(m.InFlight), is.share(is.inFlight))
			agree(t, m.Hour+" lost at the client", found.share(m.AtClient), is.share(is.atClient))
		}
	}
	if compared < hours-2 || unnumbered == 0 {
		t.Errorf("void: %d hours compared, %d of clients without numbers", compared, unnumbered)
	}
}

func hourOf(at time.Time) string { return at.UTC().Format("2006-01-02T15") }

func (l losses) share(part float64) float64 { return part / (l.arrived + l.inFlight + l.atClient) }

// agree compares two shares.
func agree(t *testing.T, what string, got, want float64) {
	t.Helper()
	t.Logf("%s: measured %.3f %%, is %.3f %%", what, 100*got, 100*want)
	if math.Abs(got-want) > 0.001 || want == 0 {
		t.Errorf("%s: measured %.3f %%, is %.3f %%", what, 100*got, 100*want)
	}
}
