package collect

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/reedbed/reedbed/internal/recorded"
)

func bombs(t *testing.T) map[string]string {
	t.Helper()
	zeros := make([]byte, 1<<20)
	var g, z bytes.Buffer
	gw, _ := gzip.NewWriterLevel(&g, gzip.BestCompression)
	zw, _ := zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1))
	for range 32 {
		_, _ = gw.Write(zeros)
		_, _ = zw.Write(zeros)
	}
	_, _ = gw.Close(), zw.Close()
	members := strings.Repeat(gz(strings.Repeat("0", 60<<10)), 2000)
	return map[string]string{
		"gzip of zeros": g.String(),
		"zstd of zeros": z.String(),
		"gzip members":  members,
		// A frame header that asks for a window of 2 GiB.
		"zstd window": "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00",
	}
}

func TestBombsAreRefusedFastInBoundedMemory(t *testing.T) {
	for name, body := range bombs(t) {
		t.Run(name, func(t *testing.T) {
			d, m := newDoor(t, Options{})
			c := call{path: "/v1/events?key=demo", body: body}
			c.do(d) // the first call makes the decoder
			best, grown := time.Hour, uint64(1<<40)
			for range 5 { // the best of five: the machine is shared
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				start := time.Now()
				w := c.do(d)
				best = min(best, time.Since(start))
				runtime.ReadMemStats(&after)
				grown = min(grown, after.TotalAlloc-before.TotalAlloc)
				if a := parse(t, w); w.Code != 413 || a.Error == nil {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
			if best > 500*time.Millisecond { // ten times what a busy machine takes
				t.Errorf("answered in %v", best)
			}
			if grown > 20<<20+2*uint64(len(body)) {
				t.Errorf("allocated %d bytes", grown)
			}
			if ok, q := m.counts(); ok+q != 0 {
				t.Errorf("%d events were stored", ok+q)
			}
		})
	}
}

func TestCompressedLimit(t *testing.T) {
	d, _ := newDoor(t, Options{Limits: Limits{Compressed: 100, Expanded: 10_000}})
	text := `{"name":"` + strings.Repeat("abcdefghij0123456789", 20) + `"}`
	noise := `{"name":"` + incompressible(400) + `"}`
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"small once compressed": {gz(text), 200},
		"plain is not bound":    {noise, 200},
		"large once compressed": {gz(noise), 413},
	} {
		if w := (call{path: "/v1/events?key=demo", body: tt.body}).do(d); w.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, tt.status, w.Body)
		}
	}
}

func incompressible(n int) string {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = 'a' + byte(x%26)
	}
	return string(b)
}

func TestLongRepetitiveBatchesPass(t *testing.T) {
	d, m := newDoor(t, Options{})
	body := strings.Repeat(`{"name":"Played","properties":{"track":"one and the same"}}`+"\n", 9_000)
	for name, packed := range map[string]string{"gzip": gz(body), "zstd": zs(body)} {
		if w := (call{path: "/v1/events?key=demo", body: packed}).do(d); w.Code != 200 {
			t.Errorf("%s (%d to %d): %s", name, len(body), len(packed), w.Body)
		}
	}
	if ok, _ := m.counts(); ok != 18_000 {
		t.Errorf("%d events", ok)
	}
}

// TestNaughtyStrings sends every string as a name, an id and a property, and
// expects each back byte for byte.
func TestNaughtyStrings(t *testing.T) {
	raw, err := os.ReadFile(recorded.Path(t, "strings", "blns.json"))
	if err != nil {
		t.Skip("no naughty strings here: ", err)
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	d, m := newDoor(t, Options{})
	for _, s := range list {
		q, _ := json.Marshal(s)
		body := `{"id":` + string(q) + `,"name":` + string(q) + `,"properties":{"p":` + string(q) + `}}`
		w := call{path: "/v1/events?key=demo", body: body}.do(d)
		a := parse(t, w)
		if w.Code != 200 || len(a.Results) != 1 {
			t.Fatalf("%q: %d %s", s, w.Code, w.Body)
		}
		if a.Results[0].Status == "ok" && a.Results[0].ID != s {
			t.Errorf("id %q came back as %q", s, a.Results[0].ID)
		}
		if got := m.last(t).Items[0].Raw; string(got) != body {
			t.Errorf("kept %q, sent %q", got, body)
		}
	}
	ok, q := m.counts()
	if ok+q != len(list) || ok < len(list)*9/10 {
		t.Errorf("%d sent, %d ok, %d quarantined", len(list), ok, q)
	}
}
