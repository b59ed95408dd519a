package collect

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveOn starts a real listener with timeouts short enough for a test.
func serveOn(t *testing.T, d *Door, connections int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Server(d.Handler())
	s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(LimitListener(l, connections)); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() { _ = s.Close(); wg.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDribblersAreClosed: a header, a body, or nothing at all that never comes
// to an end is closed by the server.
func TestDribblersAreClosed(t *testing.T) {
	d, m := newDoor(t, Options{})
	addr := serveOn(t, d, 10)
	head := "POST /v1/events?key=demo HTTP/1.1\r\nHost: x\r\n"
	for name, tt := range map[string]struct{ text, answer string }{
		"nothing":           {"", ""},
		"half a header":     {head, ""},
		"half a body":       {head + "Content-Length: 100\r\n\r\n{", "408"},
		"half a chunk":      {head + "Transfer-Encoding: chunked\r\n\r\n100\r\n{", "408"},
		"a broken chunk":    {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
		"idle after answer": {head + "Content-Length: 2\r\n\r\n[]", "200"},
		"header too large":  {head + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := io.ReadAll(dial(t, addr, tt.text)) // ends when the server closes
			status, _, _ := strings.Cut(strings.TrimPrefix(string(got), "HTTP/1.1 "), " ")
			if status != tt.answer {
				t.Errorf("answered %q, want %q", status, tt.answer)
			}
		})
	}
	if n, b := d.gate.inFlight(); n != 0 || b != 0 {
		t.Errorf("the gate still holds %d requests, %d bytes", n, b)
	}
	if ok, q := m.counts(); ok+q != 0 {
		t.Errorf("%d events stored", ok+q)
	}
}

// TestShedsBeforeTheBody: a client that waits for 100-continue is answered
// without ever sending its body.
func TestShedsBeforeTheBody(t *testing.T) {
	d, _ := newDoor(t, Options{})
	addr := serveOn(t, d, 10)
	for name, tt := range map[string]struct{ head, answer string }{
		"unknown key": {"POST /v1/events?key=nope HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n", "401"},
		"too large":   {"POST /v1/events?key=demo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n", "413"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr, tt.head+"Expect: 100-continue\r\n\r\n")
			got := make([]byte, 12)
			if _, err := io.ReadFull(c, got); err != nil || string(got[9:]) != tt.answer {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}

func TestLimitListener(t *testing.T) {
	d, _ := newDoor(t, Options{})
	addr := serveOn(t, d, 1)
	first := dial(t, addr, "")
	second := dial(t, addr, "POST /v1/events?key=demo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]")
	// The second is served only once the server closed the first.
	if got, err := io.ReadAll(second); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Errorf("%q %v", got, err)
	}
	if _, err := io.ReadAll(first); err != nil {
		t.Error(err)
	}
}
