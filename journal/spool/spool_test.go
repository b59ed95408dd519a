package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/journal/spool"
)

// mode is what a remote journal does with the next records.
type mode int

const (
	works     mode = iota
	fails          // and has nothing
	lies           // it has the record, and says it failed
	hangs          // until nobody waits, and has nothing
	hangsLies      // until nobody waits, but has the record
	modes
)

// remote is a journal elsewhere that fails in both ways.
type remote struct {
	mu   sync.Mutex
	mode mode
	has  []string
}

var errRemote = errors.New("the remote failed")

func (r *remote) Append(ctx context.Context, rec journal.Record) (journal.Position, error) {
	r.mu.Lock()
	m := r.mode
	if m == works || m == lies || m == hangsLies {
		r.has = append(r.has, string(rec.Payload))
	}
	at := journal.Position{Record: uint64(len(r.has))}
	r.mu.Unlock()
	switch m {
	case works:
		return at, nil
	case hangs, hangsLies:
		<-ctx.Done()
		return journal.Position{}, ctx.Err()
	}
	return journal.Position{}, errRemote
}

func (r *remote) is(m mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = m
}

func (r *remote) records() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.has)
}

// firsts are the records without those that came again.
func firsts(list []string) (out []string) {
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// failer is *testing.T or *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// opened is a spool with its journal, as one process has it.
type opened struct {
	*spool.Spool
	journal *journal.Journal
	root    *disk.Root
}

func open(t failer, dir string, r spool.Remote, o spool.Options) opened {
	t.Helper()
	root, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(root, journal.Options{SegmentBytes: 64 << 10, MaxRecord: 4 << 10, Reserve: -1, Grace: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := spool.Open(j, root, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return opened{s, j, root}
}

func (o opened) close(t failer) {
	t.Helper()
	if err := errors.Join(o.Close(), o.journal.Close(), o.root.Close()); err != nil {
		t.Fatal(err)
	}
}

func (o opened) append(t failer, payload string) {
	t.Helper()
	if _, err := o.Append(context.Background(), journal.Record{Events: 1, Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
}

// Whatever the remote does, and however often the process starts anew, in the end
// the remote has all that was acknowledged, in order, but for what came again.
func TestAllIsForwardedInOrder(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(dir, fmt.Sprint(n))
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 20).Draw(rt, "steps")
		how := rapid.SliceOfN(rapid.IntRange(0, int(modes)-1), len(steps), len(steps)).Draw(rt, "modes")
		synctest.Test(t, func(*testing.T) {
			r := new(remote)
			s := open(rt, dir, r, spool.Options{})
			var acked []string
			for i, step := range steps {
				switch {
				case step < 7:
					acked = append(acked, fmt.Sprint("record ", i))
					s.append(rt, acked[len(acked)-1])
				case step == 7:
					time.Sleep(time.Duration(i) * time.Second)
				default:
					before, _ := os.ReadFile(filepath.Join(dir, "forwarded"))
					s.close(rt)
					if step == 9 && len(before) > 0 { // it was killed: the cursor is an older one
						_ = os.WriteFile(filepath.Join(dir, "forwarded"), before, 0o600)
					}
					s = open(rt, dir, r, spool.Options{})
				}
				r.is(mode(how[i]))
			}
			r.is(works)
			time.Sleep(5 * time.Minute)
			if w := s.Waiting(); w != (spool.Waiting{}) {
				rt.Fatal("still waiting: ", w)
			}
			s.append(rt, "last")
			s.close(rt)
			if got, want := firsts(r.records()), append(acked, "last"); !slices.Equal(got, want) {
				rt.Fatalf("the remote has %q, acknowledged are %q", got, want)
			}
		})
	})
}

func TestNothingIsKeptWhileTheRemoteWorks(t *testing.T) {
	r := new(remote)
	s := open(t, t.TempDir(), r, spool.Options{})
	defer s.close(t)
	s.append(t, "a")
	if got := s.journal.Durable(); got.Record != 0 || !slices.Equal(r.records(), []string{"a"}) {
		t.Errorf("%v kept, the remote has %q", got, r.records())
	}
}

func TestOneThatNobodyWaitsForIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{mode: hangs}
		s := open(t, t.TempDir(), r, spool.Options{})
		defer s.close(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.Append(ctx, journal.Record{Payload: []byte("a")}); !errors.Is(err, context.DeadlineExceeded) || s.Waiting().Records != 0 {
			t.Errorf("%v, waiting %v", err, s.Waiting())
		}
	})
}

func TestSpoolIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{mode: fails}
		s := open(t, t.TempDir(), r, spool.Options{MaxBytes: 100 << 10})
		defer s.close(t)
		record := journal.Record{Payload: make([]byte, 4<<10)}
		kept := 0
		for ; kept < 1000; kept++ {
			if _, err := s.Append(t.Context(), record); err != nil {
				if !errors.Is(err, journal.ErrFull) {
					t.Error(err)
				}
				break
			}
		}
		if kept != 25 {
			t.Errorf("%d of 25 records fit", kept)
		}
		if _, err := s.Append(t.Context(), journal.Record{Payload: make([]byte, 5<<10)}); !errors.Is(err, journal.ErrFull) {
			t.Error(err)
		}
		r.is(works)
		time.Sleep(time.Minute)
		if got := s.Waiting(); got != (spool.Waiting{}) || len(r.records()) != kept {
			t.Errorf("%v waiting, the remote has %d of %d", got, len(r.records()), kept)
		}
		r.is(fails)
		if _, err := s.Append(t.Context(), record); err != nil {
			t.Error("it has room again:", err)
		}
	})
}

// A record that cannot be kept here is refused, and does not keep the next ones
// from the remote.
func TestRefusedHere(t *testing.T) {
	r := &remote{mode: fails}
	s := open(t, t.TempDir(), r, spool.Options{})
	defer s.close(t)
	if _, err := s.Append(t.Context(), journal.Record{Payload: make([]byte, 5<<10)}); !errors.Is(err, journal.ErrTooLarge) {
		t.Error(err)
	}
	r.is(works)
	s.append(t, "a")
	if !slices.Equal(r.records(), []string{"a"}) {
		t.Errorf("%q", r.records())
	}
}

func TestCursorThatIsNone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, new(remote), spool.Options{})
	s.close(t)
	for _, text := range []string{"", "x", "1", "1 -1\n", "7 7\n"} { // 7: the journal never had so many
		if err := os.WriteFile(filepath.Join(dir, "forwarded"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := disk.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(root, journal.Options{SegmentBytes: 64 << 10, MaxRecord: 4 << 10, Reserve: -1, Grace: -1})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := spool.Open(j, root, new(remote), spool.Options{}); err == nil {
			t.Errorf("%q is taken", text)
			_ = s.Close()
		}
		_ = errors.Join(j.Close(), root.Close())
	}
}

func TestNothingComesTwiceAfterAnOrderlyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, r := t.TempDir(), &remote{mode: fails}
		s := open(t, dir, r, spool.Options{})
		s.append(t, "a")
		s.append(t, "b")
		r.is(works)
		time.Sleep(time.Minute)
		if text, err := os.ReadFile(filepath.Join(dir, "forwarded")); string(text) != "2 2\n" {
			t.Errorf("a crash now would bring all again: %q, %v", text, err)
		}
		s.append(t, "c")
		r.is(fails)
		s.append(t, "d")
		s.close(t)
		r.is(works)
		s = open(t, dir, r, spool.Options{})
		time.Sleep(time.Minute)
		s.close(t)
		if got := r.records(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
			t.Errorf("the remote has %q", got)
		}
	})
}

// A record that the disk damaged is passed over, and waits no longer.
func TestDamagedRecordIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, r := t.TempDir(), &remote{mode: fails}
		s := open(t, dir, r, spool.Options{})
		for _, payload := range []string{"first", "damaged", "last"} {
			s.append(t, payload)
		}
		s.close(t)
		segments, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
		for _, name := range segments {
			b, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(name, bytes.Replace(b, []byte("damaged"), []byte("DAMAGED"), 1), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, dir, r, spool.Options{})
		if got := s.Waiting(); got.Records != 3 {
			t.Errorf("%+v wait", got)
		}
		r.is(works)
		time.Sleep(time.Minute)
		if got := s.Waiting(); got != (spool.Waiting{}) {
			t.Errorf("%+v wait", got)
		}
		s.close(t)
		if got := r.records(); !slices.Equal(got, []string{"first", "last"}) {
			t.Errorf("the remote has %q", got)
		}
	})
}
