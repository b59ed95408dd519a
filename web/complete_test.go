package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/web"
)

func TestCompleteInWords(t *testing.T) {
	little := &fingerprint.Completeness{Received: 997, Numbered: 997, InFlight: 2, AtClient: 1}
	some := &fingerprint.Completeness{Received: 1993, Numbered: 993, InFlight: 7, Unnumbered: []string{"a"}}
	none := &fingerprint.Completeness{Received: 5, Unnumbered: []string{"a", "b"}}
	at := noon.Add(-3 * time.Hour)
	if got := web.CompleteInWords(&web.Completeness{Since: none}, noon); got != "completeness is not measured: sources a, b do not number their events" {
		t.Error(got)
	}
	for want, c := range map[string]*web.Completeness{
		"completeness is not measured: no stage `completeness` does":                              nil,
		"completeness is not measured: there are no events":                                       {},
		"completeness is not measured: sources a, b do not number their events":                   {Until: at, Day: none, Since: none},
		"complete to no hour yet; so far: 0.3 % missing":                                          {Since: little},
		"complete to 09:00 UTC, 0.3 % missing in the 24 hours before":                             {Until: at, Day: little, Since: none},
		"complete to 09:00 UTC, 0.3 % missing in the 24 hours before, 0.7 % missing so far since": {Until: at, Day: little, Since: some},
		"complete to 2026-11-21 09:00 UTC, 0.7 % missing in the 24 hours before; not measured: 50 % of the events, for source a does not number all its events": {
			Until: at.Add(-24 * time.Hour), Day: some,
		},
	} {
		if got := web.CompleteInWords(c, noon); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An account of a partition says how much of what was sent in its time arrived.
func TestExplainCompleteness(t *testing.T) {
	c := &fingerprint.Completeness{Received: 97, Numbered: 97, InFlight: 3}
	a := sqlite.Account{Dataset: "plays", Partition: "2026-11-22T10", State: sqlite.Fresh, Completeness: c}
	if got := web.Explain(a); !strings.Contains(got, "  of what was sent: 3 % missing; more may show\n") {
		t.Error(got)
	}
	c.Until = noon
	if got := web.Explain(a); !strings.Contains(got, "  of what was sent: 3 % missing; complete to 2026-11-22 12:00:00\n") {
		t.Error(got)
	}
}
