package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/reedbed/reedbed/internal/faultdisk"
	"github.com/reedbed/reedbed/journal"
)

// world is the simplest account of what a journal promised: what was
// submitted, what was acknowledged, what a reader has seen.
type world struct {
	t      *testing.T
	name   string
	rng    *rand.Rand
	opt    journal.Options
	disk   *faultdisk.FS
	faulty bool // the disk fails on purpose

	mu        sync.Mutex
	submitted map[string]journal.Record
	acked     map[string]journal.Position
	seen      map[uint64]string // by record number
	released  journal.Position
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, name: fmt.Sprintf("seed %d", seed),
		rng: rand.New(rand.NewPCG(seed, 1)), opt: small(), disk: faultdisk.New(),
		submitted: map[string]journal.Record{}, acked: map[string]journal.Position{}, seen: map[uint64]string{},
	}
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(w.name+": "+format, args...)
}

func (w *world) fault(f faultdisk.Fault) {
	w.disk.SetFault(f)
	w.faulty = f != nil
}

// next makes a record nobody made before; its payload starts with its name.
func (w *world) next() (string, journal.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fmt.Sprintf("%06d", len(w.submitted))
	size := w.rng.IntN(200)
	if w.rng.IntN(10) == 0 {
		size = w.rng.IntN(4000)
	}
	r := journal.Record{Events: w.rng.Uint32N(50), Refused: w.rng.Uint32N(3), Payload: []byte(id + strings.Repeat(id[5:], size))}
	w.submitted[id] = r
	return id, r
}

// append submits records from several goroutines at once.
func (w *world) append(j *journal.Journal, records int) {
	var wg sync.WaitGroup
	for range records {
		id, r := w.next()
		wg.Go(func() {
			at, err := j.Append(w.t.Context(), r)
			if err != nil {
				return
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.acked[id] = at
		})
	}
	wg.Wait()
}

// read checks everything a journal holds against the account. Where records
// may be missing, allowed says which.
func (w *world) read(j *journal.Journal, allowed func(record uint64) bool) {
	w.t.Helper()
	first := j.First()
	if first.Record > w.released.Record {
		w.fatalf("oldest record %d, released up to %d", first.Record, w.released.Record)
	}
	at := first
	here := map[string]bool{}
	for e, err := range j.Read(w.t.Context(), first) {
		if corrupt, ok := errors.AsType[*journal.CorruptionError](err); ok {
			for n := corrupt.From.Record; n < corrupt.To.Record; n++ {
				if n >= w.released.Record && (allowed == nil || !allowed(n)) { // a release may overtake a read
					w.fatalf("record %d is missing: %v", n, err)
				}
			}
			at = corrupt.To
			continue
		}
		if err != nil {
			w.broken(j, err)
			return
		}
		w.check(e, at, here)
		at = e.Next
	}
	for id, pos := range w.acked {
		if pos.Record >= max(first.Record, w.released.Record) && !here[id] && (allowed == nil || !allowed(pos.Record)) {
			w.fatalf("acknowledged record %s at %v is lost; the journal holds %v to %v", id, pos, first, at)
		}
	}
}

// broken accepts a read error only from a journal that has failed.
func (w *world) broken(j *journal.Journal, err error) {
	w.t.Helper()
	if w.faulty && !errors.Is(err, journal.ErrPosition) {
		return
	}
	w.fatalf("%v (%+v)", err, j.Recovery())
}

func (w *world) check(e journal.Entry, at journal.Position, here map[string]bool) {
	w.t.Helper()
	id := string(e.Payload[:6])
	r, ok := w.submitted[id]
	switch {
	case !ok, string(r.Payload) != string(e.Payload), r.Events != e.Events, r.Refused != e.Refused:
		w.fatalf("record %d was never submitted", e.At.Record)
	case here[id]:
		w.fatalf("record %s is there twice", id)
	case e.At != at:
		w.fatalf("record %s at %v, expected at %v", id, e.At, at)
	case e.Next != (journal.Position{Record: at.Record + 1, Event: at.Event + uint64(r.Events)}):
		w.fatalf("record %s: next %v after %v with %d events", id, e.Next, at, r.Events)
	}
	if before, ok := w.seen[at.Record]; ok && before != id {
		w.fatalf("record %d was %s when it was read before, now %s", at.Record, before, id)
	}
	if pos, ok := w.acked[id]; ok && pos != at {
		w.fatalf("record %s was acknowledged at %v, is at %v", id, pos, at)
	}
	w.seen[at.Record] = id
	here[id] = true
}

// live uses a journal until the disk stops it or n steps are done.
func (w *world) live(j *journal.Journal, steps int) {
	for range steps {
		switch w.rng.IntN(6) {
		case 0:
			w.read(j, nil)
		case 1:
			if n := len(w.seen); n > 0 && w.rng.IntN(3) == 0 {
				at := j.Durable() // what was read may be released
				if _, ok := w.seen[at.Record-1]; ok {
					w.released = at
					j.Release(at)
				}
			}
		default:
			w.append(j, 1+w.rng.IntN(8))
		}
	}
}

func seeds(t *testing.T, n uint64) uint64 {
	if testing.Short() {
		return n / 20
	}
	return n
}

// TestPowerLoss cuts the power at a random operation, again and again.
func TestPowerLoss(t *testing.T) {
	for seed := range seeds(t, 3000) {
		w := newWorld(t, seed)
		for range 1 + w.rng.IntN(5) {
			w.fault(faultdisk.PowerOff(1 + w.rng.IntN(120)))
			if j, err := journal.Open(w.disk, w.opt); err == nil {
				w.live(j, w.rng.IntN(20))
				defer j.Close()
			}
			if w.rng.IntN(4) == 0 {
				w.disk = w.disk.Clone() // only the process died
			} else {
				w.disk = w.disk.CrashClone(w.rng)
			}
			w.reopen()
		}
	}
}

// reopen opens what a crash left, twice, and checks it.
func (w *world) reopen() {
	w.t.Helper()
	w.fault(nil)
	for range 2 {
		j, err := journal.Open(w.disk, w.opt)
		if err != nil {
			w.fatalf("open after a crash: %v", err)
		}
		if rec := j.Recovery(); len(rec.Corrupt) > 0 || len(rec.SetAside) > 0 {
			w.fatalf("a crash was taken for corruption: %+v", rec)
		}
		w.read(j, nil)
		if err := j.Close(); err != nil {
			w.fatalf("close: %v", err)
		}
	}
}
