package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// An anomaly is told to the owner of the source when it begins, and told to be over
// in words as soon as it is, and counted in between.
func TestAnomaliesAreTold(t *testing.T) {
	var clock time.Time
	url, messages := listening(t)
	n := watched(t, &clock, url)
	n.project.Config.Sources = []config.Source{{Name: "web", Owner: "web-team"}}
	w, h := newWatch(t, n), n.newHours()
	w.lookAt(t, &clock, 0)
	ten := clock.Truncate(time.Hour).Add(-2 * time.Hour)
	a := anomaly.Anomaly{
		Effect: anomaly.Effect{Kind: anomaly.Volume, Series: anomaly.Series{Source: "web", Event: "play"}, What: "0 events, expected 90 to 110"},
		Since:  ten, Last: ten,
	}
	record := func(start time.Time) {
		t.Helper()
		err := n.catalog.RecordWatched(t.Context(), sqlite.Watched{Hour: anomaly.Hour{Start: start}, Judged: true}, []anomaly.Anomaly{a})
		if err != nil {
			t.Fatal(err)
		}
		known, err := n.catalog.Anomalies(t.Context(), ten)
		if err != nil || len(known) != 1 {
			t.Fatal(known, err)
		}
		a = known[0]
		if err := h.count(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	record(ten)
	if d := cmp.Diff([]string{"1 volume web"}, gauges(t, n, "reedbed_anomalies")); d != "" {
		t.Error(d)
	}
	w.lookAt(t, &clock, 10)
	w.lookAt(t, &clock, 20)
	a.Until, a.End = ten.Add(time.Hour), "as expected again from 2020-11-22T11 on: 101 events in that hour"
	record(a.Until)
	w.lookAt(t, &clock, 21)
	w.lookAt(t, &clock, 22)
	if got := gauges(t, n, "reedbed_anomalies"); len(got) > 0 {
		t.Errorf("counted are still %s", got)
	}
	defer w.send(t)()
	raised, resolved := <-messages, <-messages
	want := alert.Alert{
		Key: "anomaly/fewer/web/play", Severity: alert.Warning, Owner: "web-team", Title: "web, event play: fewer events than usual",
		Detail: "0 events, expected 90 to 110", Count: 1, First: "2020-11-22T10", Last: "2020-11-22T10", Since: ten,
	}
	if d := cmp.Diff(want, raised.Data); d != "" || raised.Type != "com.reedbed.alert.raised" {
		t.Error(raised.Type, d)
	}
	want.Detail, want.Resolved = a.End, time.Date(2020, 11, 22, 12, 0, 21, 0, time.UTC)
	if d := cmp.Diff(want, resolved.Data); d != "" || resolved.Type != "com.reedbed.alert.resolved" {
		t.Error(resolved.Type, d)
	}
	if len(messages) > 0 || len(w.known) > 0 {
		t.Errorf("there are %d more messages, known are %+v", len(messages), w.known)
	}
}

// gauges are the values of a metric, as text.
func gauges(t *testing.T, n *Node, name string) (out []string) {
	t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				var text strings.Builder
				fmt.Fprint(&text, m.GetGauge().GetValue())
				for _, l := range m.GetLabel() {
					text.WriteString(" " + l.GetValue())
				}
				out = append(out, text.String())
			}
		}
	}
	return out
}

// What ended and began again lasts; nothing ended is told of twice.
func TestAnAnomalyThatBeganAgain(t *testing.T) {
	clock := time.Date(2020, 11, 22, 12, 0, 0, 0, time.UTC)
	n := watched(t, &clock)
	web := anomaly.Effect{Kind: anomaly.Spam, Series: anomaly.Series{Source: "web"}}
	err := n.catalog.RecordWatched(t.Context(), sqlite.Watched{Hour: anomaly.Hour{Start: clock}}, []anomaly.Anomaly{
		{Effect: web, Since: clock.Add(-5 * time.Hour), Until: clock.Add(-4 * time.Hour)},
		{Effect: web, Since: clock.Add(-time.Hour)},
		{Effect: anomaly.Effect{Kind: anomaly.Delay}, Since: clock.Add(-90 * time.Hour), Until: clock.Add(-80 * time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := n.anomalies(context.Background(), clock)
	if err != nil || len(got) != 1 || !got[0].Until.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestALoaderThatStandsStill(t *testing.T) {
	var l loading
	at := time.Date(2020, 11, 22, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		minutes         int
		durable, loaded uint64
		want            bool
	}{
		{0, 9, 3, false}, {4, 9, 3, false}, {5, 9, 3, true}, {9, 12, 3, true}, // it stands
		{10, 12, 4, false}, {14, 20, 4, false}, {15, 20, 20, false}, // it went on
		{59, 20, 20, false}, {60, 21, 20, false}, {63, 30, 20, false}, {64, 30, 20, true}, // all was loaded until just now
	} {
		if _, got := l.stuck(step.durable, step.loaded, at.Add(time.Duration(step.minutes)*time.Minute)); got != step.want {
			t.Errorf("step %d: stuck is %t", i, got)
		}
	}
}
