package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
)

// fault is what happens to every third request with events of a client, from the first on.
type fault struct {
	name   string
	status int  // it is answered with this instead; 0: not
	reset  bool // the connection is reset
	passes bool // the request reaches the server all the same
}

func faults() []fault {
	return []fault{
		{name: "ok", passes: true},
		{name: "503", status: http.StatusServiceUnavailable},
		{name: "reset", reset: true},
		{name: "ackloss", reset: true, passes: true},
		{name: "429", status: http.StatusTooManyRequests},
	}
}

// everyNth request fails.
const everyNth = 3

// mark is what makes an event one of a row: the row's name and a number.
var mark = regexp.MustCompile(`[a-z0-9_]+#[0-9]+;`)

// ledger is what the way saw of a row's events.
type ledger struct {
	mu       sync.Mutex
	requests int
	refused  map[string]bool // events that were in a request that did not reach the server
	reached  map[string]bool // events that did, at least once
}

// enter notes a request and says whether the fault hits it.
func (l *ledger) enter(body []byte, f fault) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == nil {
		l.refused, l.reached = map[string]bool{}, map[string]bool{}
	}
	marks := mark.FindAll(body, -1)
	if len(marks) == 0 { // preflights and settings have no events
		return false
	}
	hit := f.name != "ok" && l.requests%everyNth == 0
	l.requests++
	to := l.reached
	if hit && !f.passes {
		to = l.refused
	}
	for _, m := range marks {
		to[string(m)] = true
	}
	return hit
}

// arrived counts the events that have reached the server.
func (l *ledger) arrived() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.reached)
}

// tries counts the requests with events.
func (l *ledger) tries() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// dropped counts the events that the client gave up after they were refused.
func (l *ledger) dropped() int {
	n := 0
	for m := range l.refused {
		if !l.reached[m] {
			n++
		}
	}
	return n
}

// newWay listens for one client and passes its requests on, but for those that
// the fault hits.
func newWay(ctx context.Context, server *url.URL, f fault, l *ledger) (*httptest.Server, error) {
	var lc net.ListenConfig
	at, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(server)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that end their requests
	way := &httptest.Server{Listener: at, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !l.enter(plain(body), f) {
			proxy.ServeHTTP(w, r)
			return
		}
		if f.passes {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
		}
		if f.reset {
			reset(w)
			return
		}
		h := w.Header()
		h.Set("Retry-After", "1")
		if origin := r.Header.Get("Origin"); origin != "" { // as the server's own
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", "Retry-After")
		}
		w.WriteHeader(f.status)
	})}}
	way.Start()
	return way, nil
}

// reset ends a connection as a machine does that went away.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// plain is a body without its compression, whatever its headers say.
func plain(body []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return body
	}
	return text
}
