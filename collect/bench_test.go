package collect

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"

	"github.com/reedbed/reedbed/journal"
)

// null is a journal that costs nothing, so that what is measured is the door.
type null struct{}

func (null) Append(context.Context, journal.Record) (journal.Position, error) {
	return journal.Position{}, nil
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// body1K is n events of about 1 KB.
func body1K(n int) string {
	var list []string
	for i := range n {
		var props []string
		for k := range 24 {
			props = append(props, fmt.Sprintf(`"property_%d":"value %d of %d, some text"`, k, k, i))
		}
		list = append(list, fmt.Sprintf(`{"id":"0193a3c0-7b00-7000-8000-%012x","type":"track","name":"Track Played","time":"2026-11-22T10:00:00.123Z","user_id":"u%d","anonymous_id":"a%d","properties":{%s},"context":{"page":{"url":"https://example.org/a/b"}}}`, i, i, i, strings.Join(props, ",")))
	}
	return `{"batch":[` + strings.Join(list, ",") + `]}`
}

// BenchmarkDoor is the whole handler without sockets and without a disk.
// BenchmarkBare is the least a handler could do: read and validate.
func BenchmarkDoor(b *testing.B) {
	for _, n := range []int{1, 50} {
		for name, body := range map[string]string{"plain": body1K(n), "gzip": gz(body1K(n))} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				d, _ := newDoor(b, Options{Journal: null{}})
				bench(b, d.Handler(), body, n)
			})
		}
	}
}

func BenchmarkBare(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && sniff(body) == gzipped {
			var zr *gzip.Reader
			if zr, err = gzip.NewReader(strings.NewReader(string(body))); err == nil {
				body, err = io.ReadAll(zr)
			}
		}
		if err != nil || !jsontext.Value(body).IsValid() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	for _, n := range []int{1, 50} {
		for name, body := range map[string]string{"plain": body1K(n), "gzip": gz(body1K(n))} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) { bench(b, bare, body, n) })
		}
	}
}

func bench(b *testing.B, h http.Handler, body string, events int) {
	b.Helper()
	reader := strings.NewReader(body)
	r, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/events", io.NopCloser(reader))
	r.ContentLength, r.RemoteAddr = int64(len(body)), "192.0.2.1:1234"
	r.Header.Set("Authorization", "Basic ZGVtbzo=")
	r.Header.Set("User-Agent", "bench/1")
	w := &sink{header: make(http.Header)}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}
