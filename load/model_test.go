package load

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
)

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// tally is what a journal must come to: the rows of each partition by a text
// that names them, and the figures.
type tally struct {
	Rows                         map[string]int // "dataset@partition row" to how often
	Loaded, Quarantined, Repeats int64
}

// oracle counts a journal by sets, one event at a time.
func oracle(t failer, j *memJournal) tally {
	out := tally{Rows: map[string]int{}}
	seen := map[string]bool{}  // route, source, id, payload
	known := map[string]bool{} // route, source, id
	junk := map[string]bool{}
	for _, e := range j.entries {
		b, err := event.DecodeBatch(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := protocol.ByName(b.Protocol)
		d := protocol.NewDecoder(p, protocol.Limits{})
		d.Begin(b.Shared)
		for _, it := range b.Items {
			var env event.Envelope
			if it.Refusal.Code == "" {
				env, err = d.Decode(it.Raw)
			}
			if it.Refusal.Code != "" || err != nil {
				if name := b.Source + "\x00" + string(it.Raw); junk[name] {
					out.Repeats++
				} else {
					junk[name] = true
					out.Quarantined++
					hash := event.IDHash(b.Source, string(it.Raw))
					out.Rows[fmt.Sprintf("quarantine@%s %x", dataset.PartitionAt(dataset.Hour, b.ReceivedAt), hash)]++
				}
				continue
			}
			payload, err := event.PayloadHash(it.Raw, p.TransportFields)
			if err != nil {
				t.Fatal(err)
			}
			id := d.ID(b.ReceivedAt)
			same := fmt.Sprint(event.RouteOf(id, env.Time), " ", b.Source, " ", id)
			exact := fmt.Sprint(same, " ", payload)
			if seen[exact] {
				out.Repeats++
				continue
			}
			at := event.Place(&env, &b, event.Policy{})
			out.Loaded++
			out.Rows[fmt.Sprintf("raw@%s %s %s %x conflict=%v", dataset.PartitionAt(dataset.Hour, at.OccurredAt), b.Source, id, payload, known[same])]++
			seen[exact], known[same] = true, true
		}
	}
	return out
}

// world is one journal being filled by clients and loaded by loaders.
type world struct {
	t       *rapid.T
	dir     string
	now     time.Time
	journal *memJournal
	catalog *memCatalog
	store   memStore
	faults  *faults
	loader  *Loader
	sent    []clientEvent
}

type clientEvent struct {
	source, id string
	at         time.Time
	n          int
}

func (e clientEvent) json(sent time.Time) string {
	s := fmt.Sprintf(`{"type":"track","name":"Track %d Played","properties":{"n":%d}`, e.n%3, e.n)
	if e.id != "" {
		s += fmt.Sprintf(`,"id":%q`, e.id)
	}
	if !e.at.IsZero() {
		s += fmt.Sprintf(`,"time":%q`, e.at.Format(time.RFC3339Nano))
	}
	if !sent.IsZero() {
		s += fmt.Sprintf(`,"sent_at":%q`, sent.Format(time.RFC3339Nano))
	}
	return s + "}"
}

func newWorld(t failer, dir string, j *memJournal) *world {
	drawer, _ := t.(*rapid.T)
	w := &world{t: drawer, dir: dir, journal: j, faults: noFaults(), now: time.Date(2026, 11, 22, 3, 50, 0, 0, time.UTC)}
	w.catalog = &memCatalog{faults: w.faults}
	w.store = memStore{faults: w.faults, dir: dir, next: new(int)}
	w.loader = w.newLoader(1 << 10)
	return w
}

func (w *world) newLoader(maxBytes int64) *Loader {
	return New(Options{
		Journal: w.journal, Catalog: w.catalog, Store: w.store, MaxBytes: maxBytes,
		Compactor: plainCompactor{w.dir},
	})
}

func (w *world) newEvent() clientEvent {
	t := w.t
	e := clientEvent{source: rapid.SampledFrom([]string{"web", "app"}).Draw(t, "source"), n: rapid.IntRange(0, 5).Draw(t, "n")}
	late := rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour, 30 * 24 * time.Hour, 5 * 365 * 24 * time.Hour, -5 * 365 * 24 * time.Hour}).Draw(t, "late")
	if rapid.IntRange(0, 4).Draw(t, "timed") > 0 {
		e.at = w.now.Add(-late).Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "jitter")) * time.Second)
	}
	switch rapid.IntRange(0, 3).Draw(t, "id kind") {
	case 0: // none
	case 1:
		e.id = fmt.Sprintf("e%d", rapid.IntRange(0, 30).Draw(t, "id"))
	default:
		ms := uint64(w.now.Add(-late).UnixMilli()) & (1<<48 - 1)
		h := fmt.Sprintf("%012x", ms)
		e.id = fmt.Sprintf("%s-%s-7000-8000-%012x", h[:8], h[8:], rapid.IntRange(0, 30).Draw(t, "id"))
	}
	return e
}

// send appends one request: new events, events sent before (with another send
// time), other content under an id sent before, and bytes that do not decode.
func (w *world) send() {
	t := w.t
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "pause")) * time.Second)
	b := event.Batch{Protocol: protocol.Native, ReceivedAt: w.now, Source: "web", ClientIP: "10.0.0.1", UserAgent: "test"}
	var events []clientEvent
	for range rapid.IntRange(0, 6).Draw(t, "events") {
		e := w.newEvent()
		if len(w.sent) > 0 && rapid.Bool().Draw(t, "again") {
			e = rapid.SampledFrom(w.sent).Draw(t, "old")
			if rapid.IntRange(0, 3).Draw(t, "edited") == 0 {
				e.n += 100
			}
		}
		events = append(events, e)
	}
	if len(events) > 0 {
		b.Source = events[0].source
	}
	skew := rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Minute, -5 * 365 * 24 * time.Hour, 5 * 365 * 24 * time.Hour}).Draw(t, "skew")
	for _, e := range events {
		e.source = b.Source
		w.sent = append(w.sent, e)
		b.Items = append(b.Items, event.Item{Raw: []byte(e.json(w.now.Add(skew)))})
	}
	for range rapid.IntRange(0, 2).Draw(t, "junk") {
		it := event.Item{Raw: fmt.Appendf(nil, `{"type":"track","name":%d}`, rapid.IntRange(0, 9).Draw(t, "which"))}
		if rapid.Bool().Draw(t, "door knew") {
			it.Refusal = event.Refusal{Code: "bad_name", Reason: "a number is no name"}
		}
		b.Items = append(b.Items, it)
	}
	for range rapid.IntRange(1, 2).Draw(t, "copies") { // the answer was lost, the client sends again
		w.journal.append(&b)
	}
}

// step does one thing to the world.
func (w *world) step() {
	t := w.t
	ctx := context.Background()
	switch rapid.IntRange(0, 9).Draw(t, "step") {
	case 0, 1, 2, 3:
		w.send()
	case 4:
		w.must(w.loader.step(ctx))
	case 5: // fail at any step, before or after it happened; sometimes the process dies of it
		w.faults.set(rapid.IntRange(0, 12).Draw(t, "at"), rapid.Bool().Draw(t, "after"))
		w.must(w.loader.step(ctx))
		w.faults.set(-1, false)
		if rapid.Bool().Draw(t, "died") {
			w.restart()
		}
	case 6:
		w.restart()
	case 7: // another loader commits while this one is about to
		w.catalog.beforeCommit = func() {
			other := w.newLoader(int64(rapid.IntRange(1, 4000).Draw(t, "other bytes")))
			w.must(other.step(ctx))
			_ = other.Close()
		}
		w.must(w.loader.step(ctx))
		w.catalog.beforeCommit = nil
	case 8:
		w.must(false, w.loader.Compact(ctx))
	case 9:
		w.faults.set(rapid.IntRange(0, 8).Draw(t, "at"), rapid.Bool().Draw(t, "after"))
		w.must(false, w.loader.Compact(ctx))
		w.faults.set(-1, false)
	}
}

func (w *world) must(_ bool, err error) {
	if err != nil && !errors.Is(err, errInjected) {
		w.t.Fatal(err)
	}
}

func (w *world) restart() {
	_ = w.loader.Close()
	w.loader = w.newLoader(int64(rapid.IntRange(1, 4000).Draw(w.t, "bytes")))
}

// contents reads every live segment back and checks its hash and its order.
func (w *world) contents(t failer) (tally, map[string]dataset.ContentHash) {
	out := tally{Rows: map[string]int{}, Loaded: w.catalog.totals.Loaded, Quarantined: w.catalog.totals.Quarantined, Repeats: w.catalog.totals.Repeats}
	hashes := map[string]dataset.ContentHash{}
	for _, s := range w.catalog.segments {
		name := s.Dataset + "@" + string(s.Partition)
		sum := dataset.ContentHash{}
		rows := int64(0)
		for line, hash := range readSegment(t, w.store.Path(s.Object), s.Dataset) {
			out.Rows[name+" "+line]++
			sum = sum.Add(hash)
			rows++
		}
		if sum != s.Hash || rows != s.Rows {
			t.Fatalf("segment %d of %s: the file has %d rows and hash %x, the catalog says %d and %x", s.ID, name, rows, sum, s.Rows, s.Hash)
		}
		hashes[name] = hashes[name].Add(s.Hash)
	}
	return out, hashes
}

// readRows reads the rows of a file with the Parquet library's own reader.
func readRows(t failer, path string) (rows []parquet.Row) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := parquet.NewReader(f)
	buf := make([]parquet.Row, 64)
	for {
		n, err := r.ReadRows(buf)
		for _, row := range buf[:n] {
			rows = append(rows, row.Clone())
		}
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// readSegment yields each row as the oracle names it, with its content hash
// computed from what the file holds.
func readSegment(t failer, path, name string) func(func(string, dataset.ContentHash) bool) {
	rows := readRows(t, path)
	return func(yield func(string, dataset.ContentHash) bool) {
		for _, v := range rows {
			if name == dataset.Quarantine {
				q := refusedFrom(v)
				if !yield(q.id, quarantineTable().hash(&q)) {
					return
				}
				continue
			}
			r := rowFrom(v)
			line := fmt.Sprintf("%s %s %x conflict=%v", r.source, r.id, r.payload, r.conflict)
			if !yield(line, rawTable().hash(&r)) {
				return
			}
		}
	}
}

func rowFrom(v parquet.Row) row {
	text := func(i int) string { return string(v[i].ByteArray()) }
	raw := func(i int) []byte {
		if v[i].IsNull() {
			return nil
		}
		return slices.Clone(v[i].ByteArray())
	}
	num := func(i int) int64 {
		if v[i].IsNull() {
			return absent
		}
		return v[i].Int64()
	}
	return row{
		id: text(0), source: text(1), kind: text(2), name: text(3),
		occurred: num(4), received: num(5), claimed: num(6), sent: num(7),
		user: text(8), anonymous: text(9), session: text(10), stream: text(11), seq: num(12),
		properties: raw(13), context: raw(14), extra: raw(15),
		protocol: text(16), ip: text(17), agent: text(18), payload: v[19].Uint64(),
		derived: v[20].Boolean(), conflict: v[21].Boolean(), corrected: v[22].Boolean(), implausible: v[23].Boolean(),
	}
}

func nullable(v parquet.Value) []byte {
	if v.IsNull() {
		return nil
	}
	return slices.Clone(v.ByteArray())
}

func refusedFrom(v parquet.Row) refused {
	text := func(i int) string { return string(v[i].ByteArray()) }
	return refused{
		id: text(0), source: text(1), protocol: text(2), received: v[3].Int64(),
		code: text(4), reason: text(5), body: slices.Clone(v[6].ByteArray()),
		shared: nullable(v[7]), historical: v[8].Boolean(), ip: text(9), agent: text(10),
	}
}

// Whatever clients, crashes, other loaders and compaction do, the datasets hold
// what the oracle says, and a replay with other batches holds the same bytes.
func TestExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, t.TempDir(), &memJournal{})
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.step()
		}
		if err := w.loader.Drain(rt.Context()); err != nil {
			rt.Fatal(err)
		}
		_ = w.loader.Close()
		got, hashes := w.contents(rt)
		if diff := cmp.Diff(oracle(rt, w.journal), got); diff != "" {
			rt.Fatalf("the datasets are not what the journal comes to (-want +got):\n%s", diff)
		}
		if w.journal.released != w.journal.Durable() && len(w.journal.entries) > 0 {
			rt.Fatalf("released up to %v of %v", w.journal.released, w.journal.Durable())
		}

		replay := newWorld(rt, t.TempDir(), w.journal)
		replay.loader = replay.newLoader(int64(rapid.IntRange(1, 10_000).Draw(rt, "replay bytes")))
		if err := replay.loader.Drain(rt.Context()); err != nil {
			rt.Fatal(err)
		}
		_ = replay.loader.Close()
		again, hashesAgain := replay.contents(rt)
		if diff := cmp.Diff(got, again); diff != "" {
			rt.Fatalf("a replay differs (-live +replay):\n%s", diff)
		}
		if !maps.Equal(hashes, hashesAgain) {
			rt.Fatal("a replay has other content hashes")
		}
	})
}

// fixedJournal has new events, a repeat, a repeat with another send time, a
// conflict, an event without an id and bytes that do not decode.
func fixedJournal() *memJournal {
	j := &memJournal{}
	at := time.Date(2026, 11, 22, 3, 59, 0, 0, time.UTC)
	e := clientEvent{id: "a", at: at, n: 1}
	edited, other, nameless := e, e, e
	edited.n, other.id, other.at, nameless.id = 2, "b", at.Add(time.Hour), ""
	for i, events := range [][]clientEvent{{e, other}, {e, edited, nameless}, {nameless, other}} {
		b := event.Batch{Source: "web", Protocol: protocol.Native, ReceivedAt: at.Add(time.Duration(i) * time.Minute)}
		for _, e := range events {
			b.Items = append(b.Items, event.Item{Raw: []byte(e.json(at.Add(time.Duration(i) * time.Second)))})
		}
		b.Items = append(b.Items, event.Item{Raw: []byte("junk")})
		j.append(&b)
	}
	return j
}

// Every step of loading and of compaction fails, each way; nothing is seen of
// it, and the next attempt sets it right.
func TestEveryStepFailsBothWays(t *testing.T) {
	work := func(w *world) error {
		return errors.Join(w.loader.Drain(t.Context()), w.loader.Compact(t.Context()))
	}
	want := oracle(t, fixedJournal())
	for _, after := range []bool{false, true} {
		for at := 0; ; at++ {
			w := newWorld(t, t.TempDir(), fixedJournal())
			w.loader = w.newLoader(1)
			w.faults.set(at, after)
			err := work(w)
			if !w.faults.hasFired() {
				t.Logf("%d steps", at)
				break
			}
			if err == nil {
				t.Fatalf("step %d failed and nobody said so", at)
			}
			w.faults.set(-1, false)
			if err := work(w); err != nil {
				t.Fatal(err)
			}
			_ = w.loader.Close()
			got, _ := w.contents(t)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("step %d, after=%v (-want +got):\n%s", at, after, diff)
			}
		}
	}
}

// A damaged range is counted as lost, and everything else is loaded.
func TestDamagedRangesAreCountedAsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, t.TempDir(), &memJournal{})
		for range 6 {
			w.send()
		}
		w.journal.damaged = map[uint64]bool{}
		whole := &memJournal{}
		lost := int64(0)
		for i, e := range w.journal.entries {
			if rapid.IntRange(0, 2).Draw(rt, "damaged") == 0 {
				w.journal.damaged[uint64(i)] = true
				lost += int64(e.Events)
			} else {
				whole.entries = append(whole.entries, e)
			}
		}
		if err := w.loader.Drain(rt.Context()); err != nil {
			rt.Fatal(err)
		}
		_ = w.loader.Close()
		if w.catalog.totals.Lost != lost {
			rt.Fatalf("%d events counted as lost, %d were", w.catalog.totals.Lost, lost)
		}
		got, _ := w.contents(rt)
		if diff := cmp.Diff(oracle(rt, whole), got); diff != "" {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestQuarantineIDNamesTheBytes(t *testing.T) {
	b := newBatch(nil, protocol.Limits{})
	b.refuse(&event.Batch{Source: "web"}, []byte("junk"), event.Refusal{Code: "x"})
	want := event.IDHash("web", "junk")
	if got := b.refused[0].id; got != hex.EncodeToString(want[:]) {
		t.Errorf("got %s", got)
	}
}
