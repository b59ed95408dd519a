package main

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestParseAnswer(t *testing.T) {
	for _, c := range []struct {
		text          string
		total, status int
		ok            bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\nhel", 52, 200, true},
		{"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", 36, 204, true},
		{"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}", 73, 503, true},
		{"HTTP/1.1 200 OK\r\nContent-Le", 0, 0, false},
		{"", 0, 0, false},
	} {
		total, status, ok := parseAnswer([]byte(c.text))
		if total != c.total || status != c.status || ok != c.ok {
			t.Errorf("%q: %d, %d, %v", c.text, total, status, ok)
		}
	}
}

// Both servers take what the client sends, at a pace and without, and every
// event is answered.
func TestClientAndServers(t *testing.T) {
	for name, open := range map[string]func(string) (*http.Server, func() error, error){"bare": bareServer, "door": doorServer} {
		t.Run(name, func(t *testing.T) {
			s, release, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := errors.Join(s.Close(), release()); err != nil {
					t.Error(err)
				}
			}()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = s.Serve(listener) }()
			for _, rate := range []float64{0, 500} {
				got, err := job{Address: listener.Addr().String(), Connections: 4, Batch: 3, Requests: 42, Rate: rate, Seed: 1}.run()
				if err != nil || got.Events != 3*42 || got.Failed != 0 || got.P50 <= 0 || got.P99 < got.P50 {
					t.Errorf("rate %v: %+v, %v", rate, got, err)
				}
				if spent := 41 / max(rate, 1) * float64(time.Second); rate > 0 && got.Wall < time.Duration(spent) {
					t.Errorf("42 requests at %v a second took %v", rate, got.Wall)
				}
			}
		})
	}
}

func TestClientCountsRefusals(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = s.Serve(listener) }()
	defer s.Close()
	got, err := job{Address: listener.Addr().String(), Connections: 2, Batch: 1, Requests: 10}.run()
	if err != nil || got.Failed != 10 || got.Events != 0 || got.FirstFailure == "" {
		t.Errorf("%+v, %v", got, err)
	}
}
