package journal_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/internal/faultdisk"
	"github.com/reedbed/reedbed/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func kilobyte() journal.Record { return journal.Record{Events: 1, Payload: make([]byte, 1000)} }

func openFaulty(t *testing.T, fsys *faultdisk.FS, opt journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(fsys, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// TestFullDisk fills the disk: appends are refused, the reserve is released,
// and once there is space again appends succeed within a second.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := faultdisk.New()
		fsys.Limit(1<<20 + 200<<10)
		opt := small()
		opt.Reserve, opt.Grace = 32<<10, time.Hour
		j := openFaulty(t, fsys, opt)
		n, err := fill(t, j)
		if !errors.Is(err, journal.ErrFull) || !j.Load().Full {
			t.Fatalf("after %d records: %v", n, err)
		}
		if fsys.Contents("reserve") != nil {
			t.Fatal("the reserve is still there")
		}
		if free, _ := fsys.Free(); free < 32<<10 {
			t.Fatalf("%d bytes are left to the rest of the system", free)
		}
		if got := len(payloads(t, j, journal.Position{})); got != n {
			t.Fatalf("%d of %d records can be read", got, n)
		}
		fsys.Limit(2 << 20)
		time.Sleep(time.Second)
		if _, err := j.Append(t.Context(), kilobyte()); err != nil {
			t.Fatalf("with space again: %v", err)
		}
		if more, err := fill(t, j); more < 100 || !errors.Is(err, journal.ErrFull) {
			t.Fatalf("%d records more, then %v", more, err)
		}
	})
}

func fill(t *testing.T, j *journal.Journal) (int, error) {
	for n := 0; ; n++ {
		if _, err := j.Append(t.Context(), kilobyte()); err != nil {
			return n, err
		}
	}
}

// TestReleaseOnAFullDisk recycles without any space.
func TestReleaseOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := faultdisk.New()
		fsys.Limit(1<<20 + 200<<10)
		j := openFaulty(t, fsys, small())
		if _, err := fill(t, j); !errors.Is(err, journal.ErrFull) {
			t.Fatal(err)
		}
		for range 300 {
			j.Release(j.Durable())
			time.Sleep(time.Second)
			if _, err := j.Append(t.Context(), kilobyte()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestOpenOnAFullDisk recovers after a crash although there is no space for
// another segment.
func TestOpenOnAFullDisk(t *testing.T) {
	fsys := faultdisk.New()
	fsys.Limit(1<<20 + 200<<10)
	j := openFaulty(t, fsys, small())
	n, err := fill(t, j)
	if !errors.Is(err, journal.ErrFull) {
		t.Fatal(err)
	}
	again := openFaulty(t, fsys.Clone(), small())
	if got := len(payloads(t, again, journal.Position{})); got != n {
		t.Fatalf("%d of %d records", got, n)
	}
}

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opt := small()
		opt.Grace = time.Minute
		j := openFaulty(t, faultdisk.New(), opt)
		for range 100 {
			if _, err := j.Append(t.Context(), kilobyte()); err != nil {
				t.Fatal(err)
			}
		}
		j.Release(j.Durable())
		time.Sleep(time.Minute - time.Second)
		if first := j.First(); first.Record != 0 {
			t.Fatalf("first record %d before the grace period is over", first.Record)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := j.Load().Segments; n > 3 {
			t.Fatalf("%d segments are left after the grace period", n)
		}
		if first := j.First(); first.Record == 0 {
			t.Fatal("nothing was removed")
		}
	})
}

// TestReaderHoldsSegments releases everything while a reader is in it.
func TestReaderHoldsSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openFaulty(t, faultdisk.New(), small())
		for range 100 {
			if _, err := j.Append(t.Context(), kilobyte()); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, err := range j.Read(t.Context(), journal.Position{}) {
			if n == 0 {
				j.Release(j.Durable())
				synctest.Wait()
			}
			if n == 3 {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		synctest.Wait()
		if j.First().Record == 0 {
			t.Fatal("nothing was removed after the reader had left")
		}
	})
}

// stuck is a disk whose syncs take as long as the test wants.
func stuck(fsys *faultdisk.FS) (release func()) {
	gate := make(chan struct{})
	fsys.SetGate(func(op faultdisk.Op) {
		if op.Kind == faultdisk.Sync {
			<-gate
		}
	})
	return func() {
		fsys.SetGate(nil)
		close(gate)
	}
}

func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := faultdisk.New()
		opt := small()
		opt.QueueRecords, opt.MaxWait = 10, 100*time.Millisecond
		j := openFaulty(t, fsys, opt)
		synctest.Wait()
		release := stuck(fsys)
		var wg sync.WaitGroup
		results := make(chan error, 50)
		append := func() {
			wg.Go(func() {
				_, err := j.Append(t.Context(), kilobyte())
				results <- err
			})
			synctest.Wait()
		}
		append()
		append()
		time.Sleep(200 * time.Millisecond) // the disk hangs
		append()
		if err := <-results; !errors.Is(err, journal.ErrOverloaded) || j.Load().ExpectedWait < 200*time.Millisecond {
			t.Fatalf("%v, load %+v", err, j.Load())
		}
		release()
		wg.Wait()
		for range 2 {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		if _, err := j.Append(t.Context(), kilobyte()); err != nil {
			t.Fatalf("after the disk has recovered: %v", err)
		}
	})
}

func TestQueueLimits(t *testing.T) {
	for name, opt := range map[string]journal.Options{
		"records": {SegmentBytes: 16 << 10, MaxRecord: 4 << 10, Reserve: -1, QueueRecords: 10},
		"bytes":   {SegmentBytes: 16 << 10, MaxRecord: 4 << 10, Reserve: -1, QueueBytes: 10 * 1040},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fsys := faultdisk.New()
				j := openFaulty(t, fsys, opt)
				synctest.Wait()
				release := stuck(fsys)
				var wg sync.WaitGroup
				var mu sync.Mutex
				refused := 0
				for range 15 {
					wg.Go(func() {
						if _, err := j.Append(t.Context(), kilobyte()); errors.Is(err, journal.ErrOverloaded) {
							mu.Lock()
							defer mu.Unlock()
							refused++
						} else if err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
				}
				if l := j.Load(); l.QueuedRecords != 10 || refused != 5 {
					t.Errorf("%d refused, load %+v", refused, l)
				}
				release()
				wg.Wait()
				if l := j.Load(); l.QueuedRecords != 0 || l.QueuedBytes != 0 || l.ExpectedWait != 0 {
					t.Errorf("afterwards: %+v", l)
				}
			})
		})
	}
}

// TestCancelledAppend gives up waiting and reuses the payload at once: the
// record that becomes durable all the same is the one that was appended.
func TestCancelledAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := faultdisk.New()
		j := openFaulty(t, fsys, small())
		synctest.Wait()
		release := stuck(fsys)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		payload := []byte("before")
		if _, err := j.Append(ctx, journal.Record{Payload: payload}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		copy(payload, "after!")
		release()
		if err := j.Wait(t.Context(), journal.Position{}); err != nil {
			t.Fatal(err)
		}
		if got := payloads(t, j, journal.Position{}); len(got) != 1 || got[0] != "before" {
			t.Fatal(got)
		}
	})
}

func TestRefusals(t *testing.T) {
	fsys := faultdisk.New()
	j := openFaulty(t, fsys, small())
	if _, err := j.Append(t.Context(), journal.Record{Payload: make([]byte, 5000)}); !errors.Is(err, journal.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := j.Append(t.Context(), journal.Record{Payload: make([]byte, 4096)}); err != nil {
		t.Error("the largest record:", err)
	}
	if _, err := j.Append(t.Context(), journal.Record{}); err != nil {
		t.Error("an empty record:", err)
	}
	if _, err := journal.Open(fsys, small()); !errors.Is(err, disk.ErrLocked) {
		t.Error("a second process:", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Append(cancelled, kilobyte()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := j.Append(t.Context(), kilobyte()); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
	if err := j.Wait(t.Context(), j.Durable()); !errors.Is(err, journal.ErrClosed) {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	if _, err := journal.Open(fsys, journal.Options{SegmentBytes: 1 << 20}); err == nil || !strings.Contains(err.Error(), "raise SegmentBytes") {
		t.Error("segments too small:", err)
	}
}

func TestWrongPosition(t *testing.T) {
	j := openFaulty(t, faultdisk.New(), small())
	for range 5 {
		if _, err := j.Append(t.Context(), kilobyte()); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []journal.Position{{Record: 6, Event: 6}, {Record: 3, Event: 2}} {
		var last error
		for _, err := range j.Read(t.Context(), from) {
			last = err
		}
		if !errors.Is(last, journal.ErrPosition) {
			t.Errorf("from %v: %v", from, last)
		}
	}
	for range j.Read(t.Context(), j.Durable()) {
		t.Error("something follows the end")
	}
}

// TestReadOnABrokenDisk reads what is confirmed, then says why there is no more.
func TestReadOnABrokenDisk(t *testing.T) {
	fsys := faultdisk.New()
	j := openFaulty(t, fsys, small())
	for range 5 {
		if _, err := j.Append(t.Context(), kilobyte()); err != nil {
			t.Fatal(err)
		}
	}
	fsys.SetFault(func(op faultdisk.Op) (faultdisk.Outcome, error) {
		if op.Kind == faultdisk.Write {
			return faultdisk.Lost, errBroken
		}
		return faultdisk.Done, nil
	})
	n := 0
	var last error
	for _, err := range j.Read(t.Context(), journal.Position{}) {
		n, last = n+1, err
	}
	if n != 5 || !errors.Is(last, errBroken) {
		t.Fatalf("%d results, then %v", n, last)
	}
	fsys.SetFault(nil)
}

// TestWait is woken by the append it waits for.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openFaulty(t, faultdisk.New(), small())
		woken := false
		go func() {
			if err := j.Wait(t.Context(), journal.Position{Record: 1}); err != nil {
				t.Error(err)
			}
			woken = true
		}()
		for i := range 2 {
			synctest.Wait()
			if woken {
				t.Fatalf("woken after %d records", i)
			}
			if _, err := j.Append(t.Context(), kilobyte()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if !woken {
			t.Fatal("not woken")
		}
	})
}

// TestNewerFormat is refused, not set aside.
func TestNewerFormat(t *testing.T) {
	fsys := faultdisk.New()
	j := openFaulty(t, fsys, small())
	j.Close()
	journal.WriteVersion(fsys, "00000000.seg", 2)
	_, err := journal.Open(fsys, small())
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Fatal(err)
	}
}
