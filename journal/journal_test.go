package journal_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
)

// small makes segments that a few records fill.
func small() journal.Options {
	return journal.Options{SegmentBytes: 16 << 10, MaxRecord: 4 << 10, Reserve: -1, Grace: -1}
}

func open(t *testing.T, dir string, opt journal.Options) *journal.Journal {
	t.Helper()
	root, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(root, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(); root.Close() })
	return j
}

func payloads(t *testing.T, j *journal.Journal, from journal.Position) []string {
	t.Helper()
	var got []string
	for e, err := range j.Read(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		if want := (journal.Position{Record: from.Record + uint64(len(got)), Event: e.At.Event}); e.At != want {
			t.Fatalf("record at %v, want %v", e.At, want)
		}
		got = append(got, string(e.Payload))
	}
	return got
}

func TestAppendReadReopen(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for range 3 {
		j := open(t, dir, small())
		for range 40 {
			p := fmt.Sprint(len(want), strings.Repeat("x", len(want)*7))
			at, err := j.Append(t.Context(), journal.Record{Events: 3, Refused: 1, Payload: []byte(p)})
			if err != nil {
				t.Fatal(err)
			}
			if at != (journal.Position{Record: uint64(len(want)), Event: 3 * uint64(len(want))}) {
				t.Fatalf("position %v of record %d", at, len(want))
			}
			want = append(want, p)
		}
		if got := payloads(t, j, journal.Position{}); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("read %d records, want %d", len(got), len(want))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrentAppends(t *testing.T) {
	j := open(t, t.TempDir(), small())
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := j.Append(t.Context(), journal.Record{Events: 1, Payload: fmt.Appendf(nil, "%d/%d", g, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, p := range payloads(t, j, journal.Position{}) {
		seen[p[:strings.IndexByte(p, '/')]]++
	}
	for g := range 16 {
		if seen[fmt.Sprint(g)] != 50 {
			t.Fatalf("appender %d: %d records", g, seen[fmt.Sprint(g)])
		}
	}
}

// Segments larger than the window they are read through.
func TestReadOverLargeSegments(t *testing.T) {
	j := open(t, t.TempDir(), journal.Options{SegmentBytes: 1 << 20, MaxRecord: 64 << 10, Reserve: -1})
	for i := range 80 {
		if _, err := j.Append(t.Context(), journal.Record{Events: 1, Payload: bytes.Repeat([]byte{byte(i)}, 40_000)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range payloads(t, j, journal.Position{}) {
		if p[0] != byte(i) || len(p) != 40_000 {
			t.Fatalf("record %d holds %d bytes of %d", i, len(p), p[0])
		}
	}
	if n := j.Load().Segments; n < 3 {
		t.Fatalf("only %d segments", n)
	}
}

func TestReleaseRecycles(t *testing.T) {
	j := open(t, t.TempDir(), small())
	var last, released journal.Position
	for i := range 400 {
		at, err := j.Append(t.Context(), journal.Record{Events: 1, Payload: make([]byte, 1000)})
		if err != nil {
			t.Fatal(err)
		}
		last = at
		if i%20 == 0 {
			released = at
			j.Release(at)
		}
	}
	if n := j.Load().Segments; n > 12 {
		t.Fatalf("%d segments are kept", n)
	}
	if first := j.First(); first.Record == 0 || first.Record > last.Record {
		t.Fatalf("first %v", first)
	}
	if got := len(payloads(t, j, released)); got != int(400-released.Record) {
		t.Fatalf("%d records from %v", got, released)
	}
}
