package collect

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a journal that keeps decoded batches, and fails when told to.
type memory struct {
	mu      sync.Mutex
	batches []event.Batch
	events  uint64
	fail    func() error // called before each record is kept
	block   chan struct{}
}

func (m *memory) Append(ctx context.Context, r journal.Record) (journal.Position, error) {
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
			return journal.Position{}, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(); err != nil {
			return journal.Position{}, err
		}
	}
	b, err := event.DecodeBatch(bytes.Clone(r.Payload))
	if err != nil {
		panic(err)
	}
	if int(r.Events) != len(b.Items) || int(r.Refused) != refusals(b.Items) {
		panic(fmt.Sprintf("record says %d events, %d refused; its batch has %d, %d", r.Events, r.Refused, len(b.Items), refusals(b.Items)))
	}
	m.batches = append(m.batches, b)
	m.events += uint64(r.Events)
	return journal.Position{Record: uint64(len(m.batches)), Event: m.events}, nil
}

func (m *memory) counts() (accepted, refused int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.batches {
		n := refusals(b.Items)
		refused += n
		accepted += len(b.Items) - n
	}
	return accepted, refused
}

func (m *memory) last(t *testing.T) event.Batch {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.batches) == 0 {
		t.Fatal("nothing was appended")
	}
	return m.batches[len(m.batches)-1]
}

func testSources() []Source {
	return []Source{
		{Name: "web", Keys: []string{"demo", "old-demo"}, Origins: []string{"https://example.org"}, ClientIP: event.IPTruncate},
		{Name: "app", Keys: []string{"app-key"}, ClientIP: event.IPFull},
	}
}

// failer is testing.TB or *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func newDoor(t failer, o Options) (*Door, *memory) {
	t.Helper()
	m, _ := o.Journal.(*memory)
	if o.Journal == nil {
		m = new(memory)
		o.Journal = m
	}
	if o.Sources == nil {
		o.Sources = testSources()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

// call is one request of a test.
type call struct {
	method, path, body string
	header             map[string]string
	chunked            bool
}

func (c call) do(d *Door) *httptest.ResponseRecorder {
	method := c.method
	if method == "" {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, c.path, strings.NewReader(c.body))
	if c.chunked {
		r.ContentLength = -1
	}
	for k, v := range c.header {
		if k == "Host" {
			r.Host = v
			continue
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, r)
	return w
}

// answer is the union of all answer bodies.
type answer struct {
	Success     *bool
	ReceivedAt  time.Time `json:"received_at"`
	Accepted    int
	Quarantined int
	Results     []struct {
		Index              *int
		ID, Status, Reason string
	}
	Error *struct{ Code, Message, Where, Fix string }
}

func parse(t testing.TB, w *httptest.ResponseRecorder) answer {
	t.Helper()
	var a answer
	dec := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	if err := dec.Decode(&a); err != nil {
		t.Fatalf("status %d: the answer is no JSON: %v\n%s", w.Code, err, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	return a
}

func gz(s string) string {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	return w
})

func zs(s string) string { return string(zstdEncoder().EncodeAll([]byte(s), nil)) }

const (
	one = `{"id":"e1","type":"track","name":"Played","time":"2026-11-22T10:00:00Z","properties":{"n":1}}`
	bad = `{"id":"e2","type":"track"}` // a track needs a name
)
