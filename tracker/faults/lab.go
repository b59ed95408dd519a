package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// lab is the server under test, the sites that carry the trackers, and the way
// between the two, which fails when it is told to.
type lab struct {
	dir      string
	trackers []tracker
	modules  string // where the packages are; "": nowhere
	binary   string
	server   *url.URL
	reedbed  *exec.Cmd
	sites    *http.Server
	way      *http.Server
	sitePort int
	wayPort  int

	mu     sync.Mutex
	faults map[string]fault // by run
	tried  []tried
}

// fault is what the way does to requests.
type fault int

const (
	fine fault = iota
	busy       // 503
	cut        // the connection ends without an answer
)

func newLab(ctx context.Context, dir, modules string, trackers []tracker) (*lab, error) {
	l := &lab{dir: dir, modules: modules, trackers: trackers, binary: filepath.Join(dir, "reedbed"), faults: map[string]fault{}}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", l.binary, "./cmd/reedbed").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build reedbed: %w\n%s", err, out)
	}
	var lc net.ListenConfig
	sites, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	way, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.sitePort, l.wayPort = sites.Addr().(*net.TCPAddr).Port, way.Addr().(*net.TCPAddr).Port
	if l.server, err = l.up(ctx); err != nil {
		return nil, err
	}
	l.sites = &http.Server{Handler: http.HandlerFunc(l.site), ReadHeaderTimeout: time.Minute}
	l.way = &http.Server{Handler: l.between(l.server), ReadHeaderTimeout: time.Minute}
	go func() { _ = l.sites.Serve(sites) }()
	go func() { _ = l.way.Serve(way) }()
	return l, nil
}

// up runs a project whose source takes events of the sites' origins.
func (l *lab) up(ctx context.Context) (*url.URL, error) {
	project := l.project()
	if err := os.MkdirAll(project, 0o755); err != nil {
		return nil, err
	}
	var text strings.Builder
	text.WriteString("name: faults\nlisten: 127.0.0.1:0\nload: {cycle: 250ms}\nsources:\n- name: site\n  keys: [demo]\n  origins:\n")
	for _, t := range l.trackers {
		for _, c := range cases() {
			fmt.Fprintf(&text, "  - %s\n", l.origin(runName(t, c)))
		}
	}
	if err := os.WriteFile(filepath.Join(project, "reedbed.yaml"), []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	l.reedbed = exec.CommandContext(ctx, l.binary, "up", "-C", project)
	l.reedbed.Cancel = func() error { return l.reedbed.Process.Signal(os.Interrupt) }
	l.reedbed.Stderr = os.Stderr
	out, err := l.reedbed.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.reedbed.Start(); err != nil {
		return nil, err
	}
	var at string
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		if found, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			at = found
		}
	}
	if at == "" {
		return nil, errors.New("reedbed up does not listen")
	}
	return url.Parse(at)
}

func (l *lab) project() string { return filepath.Join(l.dir, "project") }

func (l *lab) close() error {
	_ = l.sites.Close()
	_ = l.way.Close()
	_ = l.reedbed.Process.Signal(os.Interrupt)
	return l.reedbed.Wait()
}

// origin is that of the site of a run; browsers take all names under localhost
// for this machine.
func (l *lab) origin(run string) string {
	return fmt.Sprintf("http://%s.localhost:%d", run, l.sitePort)
}

// collector is where the pages of a run find the server.
func (l *lab) collector(run string) string {
	return fmt.Sprintf("http://collector-%s.localhost:%d", run, l.wayPort)
}

func (l *lab) site(w http.ResponseWriter, r *http.Request) {
	run, _, _ := strings.Cut(r.Host, ".")
	for _, t := range l.trackers {
		if !strings.HasPrefix(run, t.name+"-") {
			continue
		}
		if text, ok := t.served(l.collector(run), l.wayPort)[r.URL.Path]; ok {
			kind := "text/html; charset=utf-8"
			if strings.HasSuffix(r.URL.Path, ".js") {
				kind = "text/javascript; charset=utf-8"
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(text))
			return
		}
	}
	http.NotFound(w, r)
}

// between passes requests on to the server, unless the run's fault says no.
func (l *lab) between(server *url.URL) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(server)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // pages that are left end their requests
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		run, _, _ := strings.Cut(strings.TrimPrefix(r.Host, "collector-"), ".")
		switch l.fault(run) {
		case busy:
			if r.Method == http.MethodOptions {
				break // a preflight has no events
			}
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			h.Set("Access-Control-Allow-Credentials", "true")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case cut:
			panic(http.ErrAbortHandler) // ends the connection and says nothing
		}
		proxy.ServeHTTP(w, r)
	})
}

func (l *lab) fault(run string) fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults[run]
}

func (l *lab) set(run string, f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[run] = f
}

// sql asks the server what it has, one JSON object a line.
func (l *lab) sql(ctx context.Context, query string) (string, error) {
	c := exec.CommandContext(ctx, l.binary, "sql", "-C", l.project(), "--format", "ndjson", query)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("reedbed sql: %w\n%s", err, errs.Bytes())
	}
	return string(out), nil
}
