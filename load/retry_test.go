package load

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
)

// healing is a world whose limits change from one process to the next.
type healing struct {
	*world
	limit int                 // bytes of an event
	sent  map[string][]string // by protocol
}

const noLimit = 1 << 20

func (h *healing) limits(bytes int) protocol.Limits { return protocol.Limits{EventBytes: bytes} }

// start is a new process with this limit; it says what it knows of the old one.
func (h *healing) start(limit int) {
	if h.loader != nil {
		_ = h.loader.Close()
	}
	h.limit, h.loader = limit, h.loaderOf(limit)
}

func (h *healing) loaderOf(limit int) *Loader {
	return New(Options{
		Journal: h.journal, Catalog: h.catalog, Store: h.store, MaxBytes: int64(rapid.IntRange(1, 4000).Draw(h.t, "bytes")),
		Compactor: plainCompactor{h.dir}, Limits: h.limits(limit),
	})
}

// body is an event of one of few identities, sometimes too large for some limits.
func (h *healing) body(name string) string {
	t := h.t
	id := rapid.IntRange(0, 12).Draw(t, "id")
	s := fmt.Sprintf(`{"%s":"e%d","n":%d`, map[string]string{protocol.Native: "id", protocol.Segment: "messageId"}[name], id, rapid.IntRange(0, 1).Draw(t, "content"))
	field := map[string]string{protocol.Native: "name", protocol.Segment: "event"}[name]
	if rapid.IntRange(0, 9).Draw(t, "named") > 0 {
		s += fmt.Sprintf(`,"%s":"P"`, field) // else it never decodes
	}
	// A function of the id, so that copies meet in one route.
	late := []time.Duration{0, 90 * time.Minute, 40 * 24 * time.Hour}[id%3]
	s += fmt.Sprintf(`,"%s":%q`, map[string]string{protocol.Native: "time", protocol.Segment: "timestamp"}[name],
		time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC).Add(-late).Format(time.RFC3339))
	if id%2 == 0 {
		s += fmt.Sprintf(`,"pad":%q`, strings.Repeat("x", 100+150*(id%3)))
	}
	return s + "}"
}

// send appends a request as a door with the limit of now takes it.
func (h *healing) send() {
	t := h.t
	h.now = h.now.Add(time.Duration(rapid.IntRange(0, 1800).Draw(t, "pause")) * time.Second)
	b := event.Batch{
		Source: rapid.SampledFrom([]string{"web", "app"}).Draw(t, "source"), Protocol: rapid.SampledFrom([]string{protocol.Native, protocol.Segment}).Draw(t, "protocol"),
		ReceivedAt: h.now, ClientIP: "10.0.0.1", UserAgent: "test", Historical: rapid.Bool().Draw(t, "historical"),
	}
	if b.Protocol == protocol.Segment { // it names no type: the path did
		b.Shared = []byte(`{"implied_type":"track","context":{"app":"x"}}`)
	}
	for range rapid.IntRange(1, 6).Draw(t, "items") {
		raw := h.body(b.Protocol)
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			raw = raw[:len(raw)-1] // cut off
		case 1:
			if sent := h.sent[b.Protocol]; len(sent) > 0 {
				raw = rapid.SampledFrom(sent).Draw(t, "again")
			}
		}
		h.sent[b.Protocol] = append(h.sent[b.Protocol], raw)
		b.Items = append(b.Items, event.Item{Raw: []byte(raw), Refusal: verdict(&b, []byte(raw), h.limits(h.limit))})
	}
	h.journal.append(&b)
}

// verdict is what a decoder makes of an event of a batch.
func verdict(b *event.Batch, raw []byte, limits protocol.Limits) event.Refusal {
	p, _ := protocol.ByName(b.Protocol)
	d := protocol.NewDecoder(p, limits)
	d.Begin(b.Shared)
	_, err := d.Decode(raw)
	refusal, _ := errors.AsType[event.Refusal](err)
	return refusal
}

func (h *healing) retry() error {
	ask := Again{All: rapid.Bool().Draw(h.t, "all")}
	if rapid.IntRange(0, 2).Draw(h.t, "part") == 0 {
		ask.Source = "web"
	}
	_, err := h.loader.Retry(h.t.Context(), ask)
	return err
}

func (h *healing) step() {
	t := h.t
	ctx := t.Context()
	fail := func() { h.faults.set(rapid.IntRange(0, 14).Draw(t, "at"), rapid.Bool().Draw(t, "after")) }
	load := func() error { _, err := h.loader.step(ctx); return err }
	compact := func() error { return h.loader.Compact(ctx) }
	do := rapid.SampledFrom([]func() error{load, load, h.retry, h.retry, compact}).Draw(t, "what")
	switch rapid.IntRange(0, 9).Draw(t, "step") {
	case 0, 1, 2, 3:
		h.send()
	case 4, 5:
		h.must(false, do())
	case 6, 7: // it fails at any step, before or after it happened; sometimes the process dies of it
		fail()
		h.must(false, do())
		h.faults.set(-1, false)
		if rapid.Bool().Draw(t, "died") {
			h.start(h.limit)
		}
	case 8:
		h.start(rapid.SampledFrom([]int{60, 250, noLimit}).Draw(t, "limit"))
	case 9: // another process commits while this one is about to
		h.catalog.beforeCommit = func() {
			other := h.loaderOf(h.limit)
			if rapid.Bool().Draw(t, "other retries") {
				_, err := other.Retry(ctx, Again{All: true})
				h.must(false, err)
			} else {
				h.must(other.step(ctx))
			}
			_ = other.Close()
		}
		h.must(false, do())
		h.catalog.beforeCommit = nil
	}
}

// expected is where every event must be once everything was tried without a
// limit: for each key of raw the rows its copies could be, and the ids of
// quarantine.
func (h *healing) expected() (raw map[string][]string, junk map[string]bool) {
	raw, junk = map[string][]string{}, map[string]bool{}
	for _, e := range h.journal.entries {
		b, err := event.DecodeBatch(bytes.Clone(e.Payload))
		if err != nil {
			h.t.Fatal(err)
		}
		p, _ := protocol.ByName(b.Protocol)
		d := protocol.NewDecoder(p, h.limits(noLimit))
		for _, it := range b.Items {
			d.Begin(b.Shared)
			env, err := d.Decode(it.Raw)
			if err != nil {
				junk[fmt.Sprintf("%x", event.IDHash(b.Source, string(it.Raw)))] = true
				continue
			}
			at := event.Place(&env, &b, event.Policy{})
			key := fmt.Sprint(b.Source, " ", env.ID, " ", d.PayloadHash())
			raw[key] = append(raw[key], fmt.Sprintf("%s %d %q", dataset.PartitionAt(dataset.Hour, at.OccurredAt), b.ReceivedAt.UnixMicro(), env.Context))
		}
	}
	return raw, junk
}

// check compares what is on record with what is expected.
func (h *healing) check() {
	h.contents(h.t) // rows and hashes of the segments are what the catalog says
	want, junk := h.expected()
	raw, quarantine, first := map[string]int{}, map[string]bool{}, map[string]int{}
	for _, s := range h.catalog.segments {
		for _, v := range readRows(h.t, h.store.Path(s.Object)) {
			if s.Dataset == dataset.Quarantine {
				q := refusedFrom(v)
				if quarantine[q.id] {
					h.t.Fatalf("%s is in quarantine twice", q.id)
				}
				quarantine[q.id] = true
				continue
			}
			r := rowFrom(v)
			key := fmt.Sprint(r.source, " ", r.id, " ", r.payload)
			line := fmt.Sprintf("%s %d %q", s.Partition, r.received, r.context)
			if !slices.Contains(want[key], line) {
				h.t.Fatalf("%s is in raw as %s; its copies are %v", key, line, want[key])
			}
			if raw[key]++; !r.conflict {
				first[r.source+" "+r.id]++
			}
		}
	}
	once := map[string]int{}
	unflagged := map[string]int{}
	for key := range want {
		once[key] = 1
		parts := strings.Fields(key)
		unflagged[parts[0]+" "+parts[1]] = 1
	}
	for name, diff := range map[string]string{"raw": cmp.Diff(once, raw), "quarantine": cmp.Diff(junk, quarantine), "not flagged as conflict": cmp.Diff(unflagged, first)} {
		if diff != "" {
			h.t.Fatalf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// sums checks that the figures are those of the rows, whatever happened last.
func (h *healing) sums() {
	rows := map[string]int64{}
	for _, s := range h.catalog.segments {
		rows[s.Dataset] += s.Rows
	}
	t := h.catalog.totals
	if t.Loaded != rows[dataset.Raw] || t.Quarantined != rows[dataset.Quarantine] || uint64(t.Loaded+t.Quarantined+t.Repeats) != h.catalog.cursor.Event {
		h.t.Fatalf("%d events: loaded %d, quarantined %d, repeats %d; rows %v", h.catalog.cursor.Event, t.Loaded, t.Quarantined, t.Repeats, rows)
	}
}

// Whatever is refused, sent again, retried under whatever limits and killed, in
// the end every event is in one place once: what decodes in raw, what does not in
// quarantine.
func TestRetriedExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &healing{world: newWorld(rt, t.TempDir(), &memJournal{}), sent: map[string][]string{}}
		h.start(250)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			h.step()
			h.sums()
		}
		h.start(noLimit)
		if err := h.loader.Drain(rt.Context()); err != nil {
			rt.Fatal(err)
		}
		done, err := h.loader.Retry(rt.Context(), Again{})
		if err != nil {
			rt.Fatal(err)
		}
		if done.Events != done.Loaded+done.Repeats+done.Stay {
			rt.Fatalf("%+v", done)
		}
		h.sums()
		h.check()
		left, err := h.loader.Retry(rt.Context(), Again{})
		if err != nil || left != (Tried{}) {
			rt.Fatalf("there is still something to try: %+v, %v", left, err)
		}
		_ = h.loader.Close()
	})
}

// quarantined is a world in which a door with this limit refused these events.
func quarantined(t *testing.T, limit int, raws ...string) *healing {
	t.Helper()
	w := newWorld(t, t.TempDir(), &memJournal{})
	h := &healing{world: w, limit: limit}
	b := event.Batch{Source: "web", Protocol: protocol.Native, ReceivedAt: w.now}
	for _, raw := range raws {
		b.Items = append(b.Items, event.Item{Raw: []byte(raw), Refusal: verdict(&b, []byte(raw), h.limits(limit))})
	}
	w.journal.append(&b)
	if err := w.loader.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = w.loader.Close()
	w.loader = nil
	return h
}

// open is a process with another limit.
func (h *healing) open(t *testing.T, limit int) *Loader {
	t.Helper()
	l := New(Options{Journal: h.journal, Catalog: h.catalog, Store: h.store, Limits: h.limits(limit)})
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func large(id string) string {
	return fmt.Sprintf(`{"id":%q,"name":"P","time":"2026-11-22T01:00:00Z","pad":%q}`, id, strings.Repeat("x", 200))
}

// Every step of a retry fails, each way; the next attempt sets it right, and
// before it nothing is seen or everything.
func TestEveryStepOfARetryFailsBothWays(t *testing.T) {
	raws := []string{large("a"), large("b"), `{"id":"c","name":"P"}`, `{"id":"d"}`, "junk", strings.Replace(large("a"), `"pad"`, `"sent_at":1,"pad"`, 1)}
	for _, after := range []bool{false, true} {
		for at := 0; ; at++ {
			h := quarantined(t, 100, raws...)
			l := h.open(t, noLimit)
			h.faults.set(at, after)
			_, err := l.Retry(t.Context(), Again{})
			fired := h.faults.hasFired()
			h.faults.set(-1, false)
			if fired && err == nil {
				t.Fatalf("step %d failed and nobody said so", at)
			}
			if moved := h.catalog.totals.Loaded; moved != 1 && moved != 3 {
				t.Fatalf("step %d, after=%v: loaded %d", at, after, moved)
			}
			if _, err := l.Retry(t.Context(), Again{}); err != nil {
				t.Fatal(err)
			}
			want := dataset.LoadCommit{Loaded: 3, Quarantined: 2, Repeats: 1}
			if diff := cmp.Diff(want, h.catalog.totals); diff != "" {
				t.Fatalf("step %d, after=%v (-want +got):\n%s", at, after, diff)
			}
			if !fired {
				t.Logf("%d steps", at)
				break
			}
		}
	}
}

// A retry asks for a source and a reason, and what it did not try is tried later.
func TestRetryOfPart(t *testing.T) {
	h := quarantined(t, 100, large("a"), large("b"), `{"id":"d"}`)
	l := h.open(t, noLimit)
	for _, c := range []struct {
		ask  Again
		want Tried
	}{
		{Again{All: true, Source: "app"}, Tried{}},
		{Again{All: true, Code: "missing_name"}, Tried{Events: 1, Stay: 1}},
		{Again{All: true, Code: "too_large"}, Tried{Events: 2, Loaded: 2}},
		{Again{}, Tried{Events: 1, Stay: 1}},
		{Again{}, Tried{}},
		{Again{All: true}, Tried{Events: 1, Stay: 1}},
	} {
		got, err := l.Retry(t.Context(), c.ask)
		if err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v; want %+v", c.ask, got, err, c.want)
		}
	}
}

// What stays says why by the limits of today, and a preview changes nothing.
func TestReasonsAreThoseOfToday(t *testing.T) {
	h := quarantined(t, 100, large("a"), `{"name":1}`)
	l := h.open(t, 150)
	preview, err := l.Preview(t.Context(), Again{All: true}, h.limits(noLimit))
	if want := (Tried{Events: 2, Loaded: 1, Stay: 1}); err != nil || preview != want || h.catalog.cursor.Retries != 0 {
		t.Fatalf("%+v, %v after %d retries; want %+v", preview, err, h.catalog.cursor.Retries, want)
	}
	if _, err := l.Retry(t.Context(), Again{}); err != nil {
		t.Fatal(err)
	}
	var reasons []string
	err = reread(h.store.Path(h.catalog.segments[0].Object), func(q *refused) error {
		reasons = append(reasons, strings.Clone(q.reason))
		return nil
	})
	want := []string{"`name` must be a string", fmt.Sprintf("the event has %d bytes; the limit is 150", len(large("a")))}
	if diff := cmp.Diff(want, reasons); err != nil || diff != "" {
		t.Error(err, diff)
	}
	h.contents(t)
}

// A step takes so many bytes; the rest of its segment is for the next ones.
func TestLargeSegmentsAreRetriedInSteps(t *testing.T) {
	var raws []string
	for i := range 12 {
		raws = append(raws, strings.Replace(large(fmt.Sprint("e", i)), "xx", strings.Repeat(`","p`+fmt.Sprint(i)+`":"`+strings.Repeat("y", 1000), 1), 1))
	}
	for i := range raws { // each of them a quarter of a step
		var more strings.Builder
		for k := range retryBytes / 4 / 60_000 {
			fmt.Fprintf(&more, `,"k%d":%q`, k, strings.Repeat("z", 60_000))
		}
		raws[i] = raws[i][:len(raws[i])-1] + more.String() + "}"
	}
	h := quarantined(t, 100, raws...)
	l := h.open(t, 2*retryBytes)
	done, err := l.Retry(t.Context(), Again{})
	if want := (Tried{Events: 12, Loaded: 12}); err != nil || done != want {
		t.Fatalf("%+v, %v; want %+v", done, err, want)
	}
	if h.catalog.cursor.Retries < 3 {
		t.Errorf("%d steps", h.catalog.cursor.Retries)
	}
	h.contents(t)
}

// What was never sent as an event does not become one.
func TestPiecesAreNoEvents(t *testing.T) {
	w := newWorld(t, t.TempDir(), &memJournal{})
	b := event.Batch{Source: "web", Protocol: protocol.Native, ReceivedAt: w.now, Items: []event.Item{
		{Raw: []byte(`{"name":"P"}`), Refusal: event.Refusal{Code: protocol.CodeTooManyEvents, Reason: "these follow"}},
		{Raw: []byte(`{"name":"Q"}`), Refusal: event.Refusal{Code: "bad_log_line", Reason: "no"}},
	}}
	w.journal.append(&b)
	if err := w.loader.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	done, err := w.loader.Retry(t.Context(), Again{})
	if want := (Tried{Events: 2, Stay: 2}); err != nil || done != want {
		t.Errorf("%+v, %v; want %+v", done, err, want)
	}
	_ = w.loader.Close()
}

// A file that is not what is on record stays, and says so.
func TestDamagedQuarantineStays(t *testing.T) {
	h := quarantined(t, 100, large("a"), "junk")
	h.catalog.segments[0].Hash = dataset.ContentHash{1}
	l := h.open(t, noLimit)
	if _, err := l.Retry(t.Context(), Again{}); err == nil || !strings.Contains(err.Error(), "damaged") || h.catalog.totals.Quarantined != 2 {
		t.Errorf("%v; %+v", err, h.catalog.totals)
	}
}

// A load and a retry that looked for copies at the same time cannot both commit:
// the second looks again.
func TestLoadAndRetryMeet(t *testing.T) {
	load := func(l *Loader) error { return l.Drain(t.Context()) }
	retry := func(l *Loader) error { _, err := l.Retry(t.Context(), Again{}); return err }
	for name, c := range map[string]struct{ late, early func(*Loader) error }{"load": {load, retry}, "retry": {retry, load}} {
		h := quarantined(t, 100, large("a"))
		h.journal.append(&event.Batch{
			Source: "web", Protocol: protocol.Native, ReceivedAt: h.now, Items: []event.Item{{Raw: []byte(strings.Replace(large("a"), `"id"`, ` "id"`, 1))}},
		})
		one, other := h.open(t, noLimit), h.open(t, noLimit)
		h.catalog.beforeCommit = func() {
			if err := c.early(other); err != nil {
				t.Error(name, err)
			}
		}
		if err := c.late(one); err != nil {
			t.Error(name, err)
		}
		want := dataset.LoadCommit{Loaded: 1, Repeats: 1}
		if diff := cmp.Diff(want, h.catalog.totals); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
