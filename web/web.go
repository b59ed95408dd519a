// Package web shows what the program knows: the page at /, the JSON API under
// /api/v1/ and the probes. It knows HTTP, HTML and the words people read.
//
// It asks everything of its Backend, and must never know the catalog, the
// journal or the engine by itself, never change anything, and never take text
// that came with an event for anything but text.
package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/converge"
)

// Options is what the handler is made of. Backend, Collect and Log are
// required.
type Options struct {
	Backend Backend
	// Collect is the front door; it gets every request under /v1/, and whatever
	// else it Takes, as it came.
	Collect http.Handler
	Takes   func(*http.Request) bool // nil: nothing else
	// Metrics answers /metrics; nil: there are none.
	Metrics http.Handler
	// Plan says what deploying the project's own files would do; nil: nobody does.
	Plan func(context.Context) (converge.Plan, error)
	// Alerts says what is and was wrong, and who was told; nil: nobody does.
	Alerts func(context.Context) (alert.Log, error)
	// Arrivals says what comes in of late, counted while somebody asks; nil: nobody does.
	Arrivals   func() Arrivals
	Dashboards []Dashboard
	Project    string // the project's name
	URL        string // where people reach the listener: http://127.0.0.1:8080
	// WriteKey is one of some source, for the line that sends a first event; nil: there is none.
	WriteKey func() string
	// Tracker is the path under which browsers get the tracker and post what
	// it tells, such as /t/; "": it is not served. /try is a page that carries it.
	Tracker string
	// Loopback says that only this machine reaches the listener; then nobody
	// needs the Token to read. Without both, nobody can read.
	Loopback bool
	Token    string
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// server holds what the handlers share. Everything but the board is set by New
// and never changed; the board has its own lock.
type server struct {
	Options
	assets  *assets
	pages   *pages
	board   *board
	tracker *tracker
}

// New makes the program's one handler. It starts no goroutine by itself; cards
// are computed while somebody looks.
func New(o Options) (http.Handler, error) {
	if o.Backend == nil || o.Collect == nil || o.Log == nil {
		return nil, errors.New("web: Options.Backend, Collect and Log are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &server{Options: o, board: newBoard(o), tracker: newTracker(o.Tracker, o.Collect)}
	var err error
	if s.assets, err = newAssets(); err != nil {
		return nil, err
	}
	if s.pages, err = newPages(s.assets); err != nil {
		return nil, err
	}
	return s.routes(), nil
}

func (s *server) routes() http.Handler {
	read := guard{loopback: s.Loopback, token: s.Token}.wrap
	pages := http.NewServeMux()
	pages.HandleFunc("GET /livez", s.livez)
	pages.HandleFunc("GET /readyz", s.readyz)
	pages.Handle("GET /static/", gzhttp.GzipHandler(s.assets))
	pages.Handle("GET /{$}", read(gzhttp.GzipHandler(http.HandlerFunc(s.page))))
	pages.Handle("GET /datasets/{dataset}/{partition}", read(gzhttp.GzipHandler(http.HandlerFunc(s.whyPage))))
	pages.Handle("GET /fragment", read(gzhttp.GzipHandler(http.HandlerFunc(s.fragment))))
	if s.Metrics != nil {
		pages.Handle("GET /metrics", read(s.Metrics))
	}
	pages.Handle("/api/", http.NewCrossOriginProtection().Handler(read(s.api())))

	all := http.NewServeMux()
	all.Handle("/v1/", s.Collect)
	if s.Tracker != "" {
		all.Handle(s.Tracker, s.tracker.routes())
		pages.Handle("GET /try", read(gzhttp.GzipHandler(http.HandlerFunc(s.tryPage))))
	}
	all.Handle("/", harden(pages))
	if s.Takes == nil {
		return all
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Takes(r) {
			s.Collect.ServeHTTP(w, r)
			return
		}
		all.ServeHTTP(w, r)
	})
}

// livez answers as long as anything does.
func (s *server) livez(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.Backend.Ready(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+err.Error()+"\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
