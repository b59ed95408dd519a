package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

	mu        *sync.Mutex
	submitted map[string]journal.Record
	acked     map[string]journal.Position
	seen      map[uint64]string // by record number
	released  journal.Position
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, name: fmt.Sprintf("seed %d", seed),
		mu: &sync.Mutex{}, rng: rand.New(rand.NewPCG(seed, 1)), opt: small(), disk: faultdisk.New(),
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

// read checks everything a journal holds against the account. Records may be
// missing where allowed says so.
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
				if !allowed(n) {
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
		if pos.Record >= first.Record && !here[id] && !allowed(pos.Record) {
			w.fatalf("acknowledged record %s at %v is lost; the journal holds %v to %v", id, pos, first, at)
		}
	}
}

// overtaken allows what a release may take away from under a read.
func (w *world) overtaken(n uint64) bool { return n < w.released.Record }

func none(uint64) bool { return false }

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
			w.read(j, w.overtaken)
		case 1:
			if n := len(w.seen); n > 0 {
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

func seeds(n uint64) uint64 {
	if testing.Short() {
		return n / 20
	}
	return n
}

// powerFails leaves the disk as a power failure, or the death of the process,
// leaves it.
func (w *world) powerFails() {
	if w.rng.IntN(4) == 0 {
		w.disk = w.disk.Clone() // only the process died
	} else {
		w.disk = w.disk.CrashClone(w.rng)
	}
	w.fault(nil)
}

// reopen opens what a crash left, twice, and checks it.
func (w *world) reopen() {
	w.t.Helper()
	for range 2 {
		j, err := journal.Open(w.disk, w.opt)
		if err != nil {
			w.fatalf("open after a crash: %v", err)
		}
		if rec := j.Recovery(); len(rec.Corrupt) > 0 || len(rec.SetAside) > 0 {
			w.fatalf("a crash was taken for corruption: %+v", rec)
		}
		w.read(j, none)
		if err := j.Close(); err != nil {
			w.fatalf("close: %v", err)
		}
	}
}

// TestPowerLoss cuts the power at a random operation, again and again, also
// while the journal recovers from the last time.
func TestPowerLoss(t *testing.T) {
	for seed := range seeds(1500) {
		w := newWorld(t, seed)
		for range 1 + w.rng.IntN(6) {
			w.fault(faultdisk.PowerOff(1 + w.rng.IntN([]int{25, 120}[w.rng.IntN(2)])))
			if j, err := journal.Open(w.disk, w.opt); err == nil {
				w.live(j, w.rng.IntN(20))
				defer j.Close()
			}
			w.powerFails()
			if w.rng.IntN(2) == 0 {
				w.reopen()
			}
		}
		w.reopen()
	}
}

var errBroken = errors.New("broken on purpose")

// TestSyncFails lets one sync fail, in all the ways it can, and expects the
// journal to stop for good and the next process to find what was promised, on
// the disk and not only in the cache.
func TestSyncFails(t *testing.T) {
	stopped := 0
	for seed := range seeds(1500) {
		w := newWorld(t, seed)
		left := 1 + w.rng.IntN(40)
		out := faultdisk.Outcome(w.rng.IntN(3))
		w.fault(func(op faultdisk.Op) (faultdisk.Outcome, error) {
			if op.Kind == faultdisk.Sync {
				left--
			}
			if op.Kind == faultdisk.Sync && left == 0 {
				return out, errBroken
			}
			return faultdisk.Done, nil
		})
		if j, err := journal.Open(w.disk, w.opt); err == nil {
			w.live(j, 20)
			stopped += w.stopped(j)
			j.Close()
		}
		w.disk = w.disk.Clone() // the cache outlives the process
		w.fault(nil)
		w.reopen()
		w.disk = w.disk.CrashClone(w.rng)
		w.reopen()
	}
	if stopped == 0 {
		t.Fatal("no journal failed: the test proves nothing")
	}
}

// stopped is 1 if the journal has failed, and then checks that it is final.
func (w *world) stopped(j *journal.Journal) int {
	w.t.Helper()
	select {
	case <-j.Failed():
	default:
		return 0
	}
	_, r := w.next()
	if _, err := j.Append(w.t.Context(), r); !errors.Is(err, journal.ErrFailed) || !errors.Is(err, errBroken) {
		w.fatalf("append after a failed sync: %v", err)
	}
	if err := j.Wait(w.t.Context(), j.Durable()); !errors.Is(err, journal.ErrFailed) {
		w.fatalf("wait after a failed sync: %v", err)
	}
	return 1
}

// TestEveryOperationFails fails the n-th operation, for every n, in every way.
func TestEveryOperationFails(t *testing.T) {
	for out, name := range map[faultdisk.Outcome]string{faultdisk.Lost: "lost", faultdisk.Half: "half", faultdisk.Done: "done"} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				w := newWorld(t, uint64(n))
				w.name = fmt.Sprintf("operation %d %s", n, name)
				w.fault(faultdisk.FailNth(n, out, errBroken))
				if j, err := journal.Open(w.disk, w.opt); err == nil {
					w.live(j, 25)
					w.stopped(j)
					j.Close()
				}
				ops := w.disk.Ops()
				w.powerFails()
				w.reopen()
				if ops < n && n > 300 {
					return
				}
			}
		})
	}
}

// TestFailingWritesDoNotStop lets writes fail now and then: such a batch is
// refused, and the journal goes on.
func TestFailingWritesDoNotStop(t *testing.T) {
	for seed := range seeds(500) {
		synctest.Test(t, func(t *testing.T) { failingWrites(newWorld(t, seed), seed) })
	}
}

func failingWrites(w *world, seed uint64) {
	j, err := journal.Open(w.disk, w.opt)
	if err != nil {
		w.fatalf("%v", err)
	}
	defer j.Close()
	faults := rand.New(rand.NewPCG(seed, 2))
	w.fault(func(op faultdisk.Op) (faultdisk.Outcome, error) {
		if op.Kind == faultdisk.Write && faults.IntN(8) == 0 {
			return faultdisk.Outcome(faults.IntN(3)), errBroken
		}
		return faultdisk.Done, nil
	})
	w.live(j, 20)
	w.fault(nil)
	time.Sleep(time.Second) // segments are tried again after a while
	before := len(w.acked)
	w.append(j, 3)
	if len(w.acked) != before+3 {
		w.fatalf("appends fail after the disk has recovered")
	}
	w.read(j, w.overtaken)
	if w.rng.IntN(2) == 0 {
		j.Close()
	}
	w.powerFails()
	w.reopen()
}

// TestFailedRemovalLeavesNoHole lets the disk keep the oldest segment while
// everything before a later position is released.
func TestFailedRemovalLeavesNoHole(t *testing.T) {
	for _, kind := range []faultdisk.Kind{faultdisk.Remove, faultdisk.SyncDir} {
		for seed := range uint64(20) {
			w := newWorld(t, seed)
			w.name = fmt.Sprintf("%s, seed %d", kind, seed)
			j, err := journal.Open(w.disk, w.opt)
			if err != nil {
				w.fatalf("%v", err)
			}
			failed := false
			w.fault(func(op faultdisk.Op) (faultdisk.Outcome, error) {
				first := kind == faultdisk.Remove && op.Name == "00000000.seg" || kind == faultdisk.SyncDir && !failed
				if op.Kind != kind || !first {
					return faultdisk.Done, nil
				}
				failed = true
				return faultdisk.Lost, errBroken
			})
			for range 4 {
				for range 40 {
					w.append(j, 8)
				}
				w.released = j.Durable()
				j.Release(w.released)
			}
			w.append(j, 40)
			if err := j.Close(); err != nil || !failed {
				w.fatalf("close: %v; a removal has failed: %v", err, failed)
			}
			w.fault(nil)
			w.disk = w.disk.CrashClone(w.rng)
			w.reopen()
		}
	}
}
