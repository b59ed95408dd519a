package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/alert"
)

func raised(key string) alert.Change {
	return alert.Change{Kind: alert.Raised, Known: alert.Known{Alert: alert.Alert{Key: key, Title: "of " + key, Count: 3}, Told: 3}}
}

func resolved(c alert.Change, at time.Time) alert.Change {
	c.Kind, c.Known.Resolved = alert.Resolved, at
	return c
}

func told(id, key string, hooks ...string) alert.Message {
	return alert.Message{ID: id, Key: key, Kind: alert.Raised, Body: []byte("{}"), Hooks: hooks}
}

func record(t *testing.T, c *Catalog, changes []alert.Change, messages ...alert.Message) (dropped int64) {
	t.Helper()
	dropped, err := c.RecordAlerts(t.Context(), changes, messages)
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

func nextDelivery(t *testing.T, c *Catalog, hook string) alert.Delivery {
	t.Helper()
	d, ok, err := c.NextDelivery(t.Context(), hook)
	if err != nil {
		t.Fatal(err)
	}
	if ok != (d.ID != 0) {
		t.Fatalf("there is one: %t, and it is %+v", ok, d)
	}
	return d
}

func try(t *testing.T, c *Catalog, d alert.Delivery, result alert.Result, next time.Time) {
	t.Helper()
	d.Result, d.Next, d.Tries = result, next, d.Tries+1
	if err := c.Tried(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// What is raised and not yet told is both after a restart: with the same ids.
func TestAlertsSurviveARestart(t *testing.T) {
	k := &clock{time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC)}
	path := filepath.Join(t.TempDir(), "catalog.db")
	open := func() *Catalog {
		c, err := Open(t.Context(), Options{Path: path, Now: k.now})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	a := raised("a")
	record(t, c, []alert.Change{a, raised("b")}, told("msg_1", "a", "one", "two"), told("msg_2", "b", "one"))
	first := nextDelivery(t, c, "one")
	retry := k.t.Add(time.Hour)
	try(t, c, first, alert.Waiting, retry)
	try(t, c, nextDelivery(t, c, "two"), alert.Delivered, time.Time{})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open()
	defer c.Close()
	known, err := c.OpenAlerts(t.Context())
	if err != nil || len(known) != 2 || known[0].Key != "a" || known[0].Told != 3 || known[0].Title != "of a" {
		t.Fatalf("open are %+v, %v", known, err)
	}
	if d := nextDelivery(t, c, "one"); d.Message != "msg_2" {
		t.Errorf("next is %+v", d)
	} else {
		try(t, c, d, alert.Delivered, time.Time{})
	}
	if d := nextDelivery(t, c, "one"); d.Message != first.Message || d.Message != "msg_1" || d.Tries != 1 || !d.Next.Equal(retry) {
		t.Errorf("the retry is %+v", d)
	}
	if d := nextDelivery(t, c, "two"); d.ID != 0 {
		t.Errorf("what was taken is sent again: %+v", d)
	}
	record(t, c, []alert.Change{resolved(a, k.now())}, told("msg_3", "a", "one"))
	if known, err = c.OpenAlerts(t.Context()); err != nil || len(known) != 1 || known[0].Key != "b" {
		t.Errorf("open are %+v, %v", known, err)
	}
	if d := nextDelivery(t, c, "one"); d.Message != "msg_1" {
		t.Errorf("that it is resolved comes before that it was raised: %+v", d)
	}
	log, err := c.AlertLog(t.Context())
	if err != nil || len(log.Open) != 1 || len(log.Resolved) != 1 {
		t.Fatalf("%+v, %v", log, err)
	}
	var got []string
	for _, d := range log.Resolved[0].Deliveries {
		got = append(got, fmt.Sprint(d.Message, " ", d.Hook, " ", d.Result, " ", d.Tries, " ", d.Next.IsZero(), " ", d.Ended.IsZero()))
	}
	want := []string{"msg_1 one waiting 1 false true", "msg_1 two delivered 1 true false", "msg_3 one waiting 0 false true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	record(t, c, []alert.Change{raised("a")}, told("msg_4", "a", "two"))
	if log, err = c.AlertLog(t.Context()); err != nil || len(log.Open) != 2 || len(log.Open[0].Deliveries) != 1 {
		t.Errorf("raised again: %+v, %v", log, err)
	}
}

func TestTheOutboxIsBounded(t *testing.T) {
	c, _ := openTest(t)
	record(t, c, []alert.Change{raised("a"), raised("b")}, told("msg_b", "b", "other"))
	var messages []alert.Message
	for i := range mostWaiting + 5 {
		messages = append(messages, told(fmt.Sprint("msg_", i), "a", "slow"))
	}
	if n := record(t, c, nil, messages...); n != 5 {
		t.Errorf("%d are dropped", n)
	}
	if d := nextDelivery(t, c, "slow"); d.Message != "msg_5" {
		t.Errorf("next is %s", d.Message)
	}
	if d := nextDelivery(t, c, "other"); d.Message != "msg_b" {
		t.Errorf("another hook's is %+v", d)
	}
	n, err := c.ForgetHooks(t.Context(), []string{"other"})
	if err != nil || n != mostWaiting || nextDelivery(t, c, "slow").ID != 0 || nextDelivery(t, c, "other").ID == 0 {
		t.Errorf("a hook is forgotten with %d deliveries, %v", n, err)
	}
	log, err := c.AlertLog(t.Context())
	if err != nil || len(log.Open) != 2 {
		t.Fatal(log, err)
	}
	record(t, c, nil, told("msg_x", "a", "other"))
	if log, err = c.AlertLog(t.Context()); err != nil || len(log.Open[1].Deliveries) != keptTold+1 {
		t.Errorf("%d deliveries of one alert are kept, %v", len(log.Open[1].Deliveries), err)
	}
}

// Of what is resolved the last hundred stay, and what waits.
func TestOldAlertsAreForgotten(t *testing.T) {
	c, k := openTest(t)
	for i := range keptAlerts + 20 {
		a := raised(fmt.Sprint(i))
		record(t, c, []alert.Change{a})
		record(t, c, []alert.Change{resolved(a, k.now())}, told(fmt.Sprint("msg_", i), a.Known.Key, map[bool]string{true: "slow", false: "fast"}[i == 0]))
		if d := nextDelivery(t, c, "fast"); d.ID != 0 {
			try(t, c, d, alert.Delivered, time.Time{})
		}
	}
	record(t, c, []alert.Change{raised("open")})
	count := func(table string) (n int) {
		if err := c.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got, want := count("alerts"), keptAlerts+2; got != want { // the one that waits, the open one
		t.Errorf("%d alerts are kept, want %d", got, want)
	}
	if got, want := count("deliveries"), keptAlerts+1; got != want {
		t.Errorf("%d deliveries are kept, want %d", got, want)
	}
	if log, err := c.AlertLog(t.Context()); err != nil || len(log.Resolved) != keptAlerts || log.Resolved[0].Key != fmt.Sprint(keptAlerts+19) {
		t.Errorf("the log has %d, %v", len(log.Resolved), err)
	}
}

func TestChangesOfUnknownAlerts(t *testing.T) {
	c, k := openTest(t)
	if _, err := c.RecordAlerts(t.Context(), []alert.Change{resolved(raised("a"), k.now())}, nil); err == nil {
		t.Error("what was not raised is resolved")
	}
}
