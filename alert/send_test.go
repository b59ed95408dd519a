package alert

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// box is an outbox in memory.
type box struct {
	mu      sync.Mutex
	waiting []Delivery
	tried   []Delivery
}

func (b *box) NextDelivery(_ context.Context, hook string) (Delivery, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.waiting {
		if d.Hook == hook {
			return d, true, nil
		}
	}
	return Delivery{}, false, nil
}

func (b *box) Tried(_ context.Context, d Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tried = append(b.tried, d)
	for i, w := range b.waiting {
		if w.ID != d.ID {
			continue
		}
		b.waiting[i] = d
		if d.Result != Waiting {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
		}
		return nil
	}
	return errors.New("no such delivery")
}

func (b *box) tries() []Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Delivery{}, b.tried...)
}

func sender(t *testing.T, b *box, log *slog.Logger, hooks ...Hook) (*Sender, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	s, err := New(Options{Hooks: hooks, Outbox: b, Log: log, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	return s, registry
}

// counted is reedbed_webhook_deliveries_total by result.
func counted(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "reedbed_webhook_deliveries_total" {
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

func run(ctx context.Context, s *Sender) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// While one hook holds on to a request, another takes all of its messages.
func TestAHookThatHangsDelaysNobody(t *testing.T) {
	reached, release := make(chan struct{}, 100), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{}; <-release }))
	defer hangs.Close()
	defer close(release)
	took := make(chan string, 10)
	works := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { took <- r.Header.Get("webhook-id") }))
	defer works.Close()
	a, b := Hook{URL: hangs.URL, Key: []byte("k"), AllowPrivate: true}, Hook{URL: works.URL, Key: []byte("k"), AllowPrivate: true}
	out := &box{waiting: []Delivery{
		{ID: 1, Hook: a.Name(), Message: "msg_1", Created: time.Now()},
		{ID: 2, Hook: b.Name(), Message: "msg_1", Created: time.Now()},
		{ID: 3, Hook: b.Name(), Message: "msg_2", Created: time.Now()},
	}}
	s, _ := sender(t, out, slog.New(slog.DiscardHandler), a, b)
	stop := run(t.Context(), s)
	<-reached
	if got := []string{<-took, <-took}; !cmp.Equal(got, []string{"msg_1", "msg_2"}) {
		t.Errorf("got %v", got)
	}
	stop()
	for _, d := range out.tries() {
		if d.Hook == a.Name() {
			t.Errorf("a try that was cut off counts: %+v", d)
		}
	}
}

// piped makes a line's client reach a server in memory, so that time is the test's.
func piped(t *testing.T, s *Sender, answer http.HandlerFunc) (stop func()) {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: answer, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	for _, line := range s.lines {
		line.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			client, inside := net.Pipe()
			l.conns <- inside
			return client, nil
		}
	}
	return func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-done
	}
}

type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A hook that hangs is left after five seconds and tried again, later each time,
// with the same id; its state is told once when it fails and once when it works.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := Hook{URL: "http://hook.example/x", Key: []byte("k"), AllowPrivate: true}
		out := &box{waiting: []Delivery{{ID: 1, Hook: h.Name(), Message: "msg_1", Created: began, Next: began}}}
		var said bytes.Buffer
		s, registry := sender(t, out, slog.New(slog.NewTextHandler(&said, nil)), h)
		var ids []string
		shut := piped(t, s, func(_ http.ResponseWriter, r *http.Request) {
			if ids = append(ids, r.Header.Get("webhook-id")); len(ids) <= 6 {
				<-r.Context().Done()
			}
		})
		stop := run(t.Context(), s)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		stop()
		shut()
		if !cmp.Equal(ids, []string{"msg_1", "msg_1", "msg_1", "msg_1", "msg_1", "msg_1", "msg_1"}) {
			t.Fatalf("sent %v", ids)
		}
		tries := out.tries()
		for i, d := range tries[:6] {
			if d.Result != Waiting || d.Error != "no answer within 5s" {
				t.Errorf("try %d: %+v", i, d)
			}
		}
		if last := tries[6]; last.Result != Delivered || last.Tries != 7 || last.Error != "" {
			t.Errorf("the last try: %+v", last)
		}
		if fails, works := strings.Count(said.String(), "a webhook fails"), strings.Count(said.String(), "takes messages again"); fails != 1 || works != 1 {
			t.Errorf("said %s", said.String())
		}
		if diff := cmp.Diff(map[string]float64{"delivered": 1, "dropped": 0, "failed": 6}, counted(t, registry)); diff != "" {
			t.Error(diff)
		}
	})
}

// A message is given up a day after it was written, not before.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := Hook{URL: "http://hook.example/x", Key: []byte("k"), AllowPrivate: true}
		out := &box{waiting: []Delivery{{ID: 1, Hook: h.Name(), Message: "msg_1", Created: began, Next: began}}}
		s, _ := sender(t, out, slog.New(slog.DiscardHandler), h)
		shut := piped(t, s, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		stop := run(t.Context(), s)
		time.Sleep(30 * time.Hour)
		synctest.Wait()
		stop()
		shut()
		tries := out.tries()
		last := tries[len(tries)-1]
		if last.Result != Dropped || last.Error != "it answered 503 Service Unavailable" || len(out.waiting) != 0 {
			t.Errorf("the last try: %+v", last)
		}
		if n := len(tries); n < 30 || n > 70 {
			t.Errorf("%d tries in a day", n)
		}
		for _, d := range tries[:len(tries)-1] {
			if d.Result != Waiting {
				t.Errorf("given up early: %+v", d)
			}
		}
	})
}

func TestPause(t *testing.T) {
	for tries := 1; tries < 100; tries++ {
		longest, shortest := pause(tries, 0), pause(tries, 0.999999)
		if longest > mostPause || longest < pause(max(1, tries-1), 0) || shortest < longest/2 || shortest >= longest {
			t.Errorf("after %d tries: %s to %s", tries, shortest, longest)
		}
	}
	if got := pause(1, 0); got != firstPause {
		t.Errorf("the first pause is %s", got)
	}
}

func TestNewRefusesPlainHTTP(t *testing.T) {
	for _, h := range []Hook{
		{URL: "http://a.example", Key: []byte("k")},
		{URL: "ftp://a.example", Key: []byte("k"), AllowPrivate: true},
		{URL: "https://", Key: []byte("k")},
		{URL: "https://a.example"},
	} {
		if _, err := New(Options{Hooks: []Hook{h}}); err == nil {
			t.Errorf("%+v is taken", h)
		}
	}
}
