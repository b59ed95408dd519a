package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// told is what a webhook was sent.
type told struct {
	ID, Type string
	Data     alert.Alert
}

// listening is a webhook that takes everything.
func listening(t *testing.T) (url string, messages chan told) {
	t.Helper()
	messages = make(chan told, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m told
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, json.Unmarshal(body, &m)); err != nil || m.ID != r.Header.Get("webhook-id") {
			t.Errorf("got %s, %v", body, err)
		}
		messages <- m
	}))
	t.Cleanup(server.Close)
	return server.URL, messages
}

// watched is a node that has webhooks told.
func watched(t *testing.T, clock *time.Time, urls ...string) *Node {
	t.Helper()
	n := bare(t, clock)
	n.registry = prometheus.NewRegistry()
	n.converger = converge.New(converge.Options{Catalog: n.catalog, Registry: n.registry})
	n.project.Config.Name = "radio"
	for _, url := range urls {
		n.project.Config.Alerts.Webhooks = append(n.project.Config.Alerts.Webhooks,
			config.Webhook{URL: config.Secret(url), Secret: signing, AllowPrivate: true})
	}
	return n
}

func newWatch(t *testing.T, n *Node) *watch {
	t.Helper()
	w, err := n.newWatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.ready = func() error { return nil }
	return w
}

// lookAt looks once, so many seconds after a noon that is long past for the sender.
func (w *watch) lookAt(t *testing.T, clock *time.Time, seconds int) {
	t.Helper()
	*clock = time.Date(2020, 11, 22, 12, 0, seconds, 0, time.UTC)
	if err := w.look(t.Context(), *clock); err != nil {
		t.Fatal(err)
	}
}

func (w *watch) send(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.sender.Run(ctx) }()
	return func() { cancel(); <-done }
}

// A cause is told once when it begins, although a file has two problems, and once
// when it is gone, by the node that runs then.
func TestAlertsAreToldOnceOverARestart(t *testing.T) {
	var clock time.Time
	url, messages := listening(t)
	n := watched(t, &clock, url)
	n.problems.set("stages", []stage.Problem{{File: "stages/a.sql", What: "no such column"}, {File: "stages/a.sql", Line: 3, What: "no such table"}})
	w := newWatch(t, n)
	w.lookAt(t, &clock, 0)
	w.lookAt(t, &clock, 12)
	w.lookAt(t, &clock, 15)
	stop := w.send(t)
	raised := <-messages
	stop()
	want := told{ID: raised.ID, Type: "com.reedbed.alert.raised", Data: alert.Alert{
		Key: "file/stages/a.sql", Severity: alert.Warning, Title: "stages/a.sql needs attention",
		Detail: "stages/a.sql: no such column\nstages/a.sql:3: no such table", Since: time.Date(2020, 11, 22, 12, 0, 0, 0, time.UTC),
	}}
	if diff := cmp.Diff(want, raised); diff != "" {
		t.Error(diff)
	}

	n.registry = prometheus.NewRegistry()
	n.problems.set("stages", nil)
	clock = clock.Add(time.Minute)
	w = newWatch(t, n)
	w.lookAt(t, &clock, 80)
	w.lookAt(t, &clock, 120)
	defer w.send(t)()
	resolved := <-messages
	for resolved.ID == raised.ID { // it was stopped before it knew that this was taken
		resolved = <-messages
	}
	if resolved.Type != "com.reedbed.alert.resolved" || resolved.Data.Key != raised.Data.Key || !resolved.Data.Resolved.Equal(clock) || len(messages) > 0 {
		t.Errorf("got %+v, and %d more", resolved, len(messages))
	}
	log, err := n.catalog.AlertLog(t.Context())
	if err != nil || len(log.Open) != 0 || len(log.Resolved) != 1 || len(log.Resolved[0].Deliveries) != 2 {
		t.Errorf("on record are %+v, %v", log, err)
	}
}

// What a node was told no answer to is sent by the next one, with the same id.
func TestDeliveriesGoOnAfterARestart(t *testing.T) {
	var clock time.Time
	url, messages := listening(t)
	n := watched(t, &clock, url)
	n.problems.set("files", []stage.Problem{{File: "a", What: "x"}})
	w := newWatch(t, n)
	w.lookAt(t, &clock, 0)
	w.lookAt(t, &clock, 12)
	hook := w.sender.Hooks()[0].Name()
	before, ok, err := n.catalog.NextDelivery(t.Context(), hook)
	if err != nil || !ok {
		t.Fatalf("nothing waits: %v", err)
	}
	before.Tries, before.Next = 1, clock // it failed, and is due again
	if err := n.catalog.Tried(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	n.registry = prometheus.NewRegistry()
	defer newWatch(t, n).send(t)()
	if m := <-messages; m.ID != before.Message {
		t.Errorf("got %s, want %s again", m.ID, before.Message)
	}
}

// A hook that nobody configures any more is not sent to.
func TestHooksThatAreGone(t *testing.T) {
	var clock time.Time
	n := watched(t, &clock, "http://127.0.0.1:1/old")
	n.problems.set("files", []stage.Problem{{File: "a", What: "x"}})
	w := newWatch(t, n)
	w.lookAt(t, &clock, 0)
	w.lookAt(t, &clock, 12)
	n.registry = prometheus.NewRegistry()
	n.project.Config.Alerts.Webhooks = nil
	newWatch(t, n)
	log, err := n.catalog.AlertLog(t.Context())
	if err != nil || len(log.Open) != 1 || log.Open[0].Deliveries[0].Result != alert.Dropped {
		t.Errorf("on record are %+v, %v", log, err)
	}
}

// One stage that fails is one alert, whichever values its errors name; another
// error is another alert.
func TestOneAlertForAFailingStage(t *testing.T) {
	at := func(day string) (x sqlite.Trouble) {
		x.Kind, x.Dataset, x.Owner, x.Count, x.Since = sqlite.Fails, "plays", "web", 1, time.Unix(0, 0)
		x.First, x.Last, x.What = "2026-11-01", "2026-11-01", "Could not convert '"+day+"' to INT32 in row 17"
		return x
	}
	var c causes
	for _, day := range []string{"a", "b", "it is"} {
		c.add(ofTrouble(at(day)))
	}
	later := at("c")
	later.Last, later.Count = "2026-11-09", 7
	c.add(ofTrouble(later))
	other := at("")
	other.What = "no such column"
	c.add(ofTrouble(other))
	if len(c.list) != 2 {
		t.Fatalf("%d alerts", len(c.list))
	}
	a := c.list[0]
	a.Key = ""
	want := alert.Alert{
		Severity: alert.Error, Owner: "web", Title: "plays cannot be computed", Detail: later.What, Count: 10,
		First: "2026-11-01", Last: "2026-11-09", Since: time.Unix(0, 0),
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
}

// That events are refused is told, as long as it is so.
func TestTheDoorIsWatched(t *testing.T) {
	var clock time.Time
	w := newWatch(t, watched(t, &clock))
	w.ready = func() error { return errors.New("the disk is full") }
	w.lookAt(t, &clock, 0)
	w.lookAt(t, &clock, 12)
	if len(w.known) != 1 || w.known[0].Told != 1 || w.known[0].Title != "no events are taken in" || w.known[0].Detail != "the disk is full" {
		t.Errorf("known are %+v", w.known)
	}
	w.ready = func() error { return nil }
	w.lookAt(t, &clock, 45)
	if len(w.known) != 0 {
		t.Errorf("known are still %+v", w.known)
	}
}

// A catalog that cannot be read leaves alerts as they are, and is told of once.
func TestALookThatFails(t *testing.T) {
	var clock time.Time
	n := watched(t, &clock)
	n.problems.set("files", []stage.Problem{{File: "a", What: "x"}})
	n.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	w := newWatch(t, n)
	w.lookAt(t, &clock, 0)
	w.lookAt(t, &clock, 12)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	n.problems.set("files", nil)
	if err := w.look(gone, clock.Add(time.Hour)); err == nil {
		t.Error("it can be looked at")
	}
	if len(w.known) != 1 || w.known[0].Told == 0 {
		t.Errorf("known are %+v", w.known)
	}
}

// A dataset that is late is one cause for each contract that says so, and the same as
// long as it is.
func TestLateIsACause(t *testing.T) {
	l := converge.Late{
		Dataset: "plays", Contract: "royalties", Owner: "finance", Within: time.Hour,
		Due: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Since: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
	}
	want := alert.Alert{
		Key: "late/plays/royalties/finance", Severity: alert.Warning, Owner: "finance", Title: "plays is late: fresh of contract royalties",
		Detail: "nothing of it is there, and should be up to 2026-11-22 09:00 UTC within 1h0m0s", Since: l.Since,
	}
	if diff := cmp.Diff(want, ofLate(l)); diff != "" {
		t.Error(diff)
	}
}
