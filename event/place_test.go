package event

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func at(s string) time.Time {
	t, ok := ParseTime(s)
	if !ok {
		panic("bad time in a test: " + s)
	}
	return t
}

func TestPlace(t *testing.T) {
	const received = "2026-11-22T10:30:00Z"
	for _, c := range []struct {
		name         string
		time, sentAt string
		historical   bool
		want         string
		corrected    bool
		implausible  bool
	}{
		{name: "no time", want: received},
		{name: "no time but a send time", sentAt: "2026-11-22T09:00:00Z", want: received},
		{name: "as claimed", time: "2026-11-22T09:59:59.9999999Z", want: "2026-11-22T09:59:59.999999Z"},
		{name: "another offset", time: "2026-11-22T12:15:00+02:00", want: "2026-11-22T10:15:00Z"},
		{name: "transit is not skew", time: "2026-11-22T10:00:00Z", sentAt: "2026-11-22T10:25:00.000001Z", want: "2026-11-22T10:00:00Z"},
		{name: "slow clock", time: "2026-11-22T10:00:00Z", sentAt: "2026-11-22T10:25:00Z", want: "2026-11-22T10:05:00Z", corrected: true},
		{name: "fast clock", time: "2026-11-22T12:00:00Z", sentAt: "2026-11-22T12:30:00Z", want: "2026-11-22T10:00:00Z", corrected: true},
		{name: "a clock at 1970", time: "1970-01-01T00:00:10Z", sentAt: "1970-01-01T00:00:20Z", want: "2026-11-22T10:29:50Z", corrected: true},
		{name: "five minutes ahead", time: "2026-11-22T10:35:00Z", want: "2026-11-22T10:35:00Z"},
		{name: "too far ahead", time: "2026-11-22T10:35:00.000001Z", want: received, implausible: true},
		{name: "year 9999", time: "9999-12-31T23:59:59Z", want: received, implausible: true},
		{name: "year 0", time: "0000-01-01T00:00:00Z", want: received, implausible: true},
		{name: "old", time: "2024-11-22T10:30:00Z", want: "2024-11-22T10:30:00Z"},
		{name: "too old", time: "2024-11-22T10:29:59Z", want: received, implausible: true},
		{name: "historical", time: "1999-01-01T00:00:00Z", historical: true, want: "1999-01-01T00:00:00Z"},
		{name: "historical has no skew", time: "1999-01-01T00:00:00Z", sentAt: "1999-01-01T00:00:05Z", historical: true, want: "1999-01-01T00:00:00Z"},
		{name: "historical before 1970", time: "1969-12-31T23:59:59Z", historical: true, want: received, implausible: true},
		{name: "historical in the future", time: "2026-11-22T11:00:00Z", historical: true, want: received, implausible: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Envelope
			if c.time != "" {
				e.Time = at(c.time)
			}
			if c.sentAt != "" {
				e.SentAt = at(c.sentAt)
			}
			got := Place(&e, &Batch{ReceivedAt: at(received), Historical: c.historical}, Policy{})
			want := Placement{OccurredAt: at(c.want), Hour: at(c.want[:13] + ":00:00Z"), Corrected: c.corrected, Implausible: c.implausible}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPlaceUnderAnotherPolicy(t *testing.T) {
	b := Batch{ReceivedAt: at("2026-11-22T10:30:00Z")}
	e := Envelope{Time: at("2026-11-22T09:00:00Z"), SentAt: at("2026-11-22T10:29:00Z")}
	if got := Place(&e, &b, Policy{MaxLateness: time.Hour}); !got.Implausible {
		t.Errorf("%+v", got)
	}
	if got := Place(&e, &b, Policy{Skew: time.Minute}); !got.Corrected {
		t.Errorf("%+v", got)
	}
}

// No clock, however forged, makes a partition outside what the policy allows.
func TestPlaceStaysInRange(t *testing.T) {
	anyTime := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "absent") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(-62167219200, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos"))
	})
	rapid.Check(t, func(t *rapid.T) {
		e := Envelope{Time: anyTime.Draw(t, "time"), SentAt: anyTime.Draw(t, "sent")}
		b := Batch{ReceivedAt: time.UnixMicro(rapid.Int64Range(1e15, 2e15).Draw(t, "received")).UTC(), Historical: rapid.Bool().Draw(t, "historical")}
		p := DefaultPolicy()
		got := Place(&e, &b, p)
		if got.OccurredAt.After(b.ReceivedAt.Add(p.MaxFuture)) || got.OccurredAt.Unix() < 0 {
			t.Fatalf("%+v", got)
		}
		if !b.Historical && got.OccurredAt.Before(b.ReceivedAt.Add(-p.MaxLateness)) {
			t.Fatalf("%+v", got)
		}
		if got.OccurredAt.Before(got.Hour) || got.OccurredAt.Sub(got.Hour) >= time.Hour || got.Hour.Minute() != 0 {
			t.Fatalf("%+v", got)
		}
	})
}
