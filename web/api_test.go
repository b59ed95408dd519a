package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/query"
	"github.com/reedbed/reedbed/web"
)

// rows answers every query with a text, after what was asked.
func rows(answer string) func(context.Context, string, string, io.Writer) (web.QueryInfo, error) {
	return func(_ context.Context, sql, format string, w io.Writer) (web.QueryInfo, error) {
		_, err := fmt.Fprintf(w, "%s|%s|%s", sql, format, answer)
		return web.QueryInfo{Rows: 3, Truncated: true, Revision: 9}, err
	}
}

func TestSQLFormsOfRequest(t *testing.T) {
	h := handler(t, &fake{query: rows("ok")})
	for _, c := range []struct{ path, body, want, contentType string }{
		{"/api/v1/sql", `{"sql":"SELECT 1"}`, "SELECT 1|json|ok", "application/json"},
		{"/api/v1/sql", ` {"sql":"SELECT 1","format":"csv"}`, "SELECT 1|csv|ok", "text/csv; charset=utf-8"},
		{"/api/v1/sql", "SELECT 1", "SELECT 1|json|ok", "application/json"},
		{"/api/v1/sql?format=table", "SELECT 1", "SELECT 1|table|ok", "text/plain; charset=utf-8"},
		{"/api/v1/sql?format=ndjson", "SELECT 1", "SELECT 1|ndjson|ok", "application/x-ndjson"},
		{"/api/v1/sql?format=parquet", "SELECT 1", "SELECT 1|parquet|ok", "application/vnd.apache.parquet"},
	} {
		r := ask(h, "POST", c.path, c.body)
		if got := text(t, r); r.StatusCode != 200 || got != c.want || r.Header.Get("Content-Type") != c.contentType {
			t.Errorf("%s %s: %d %s %q", c.path, c.body, r.StatusCode, r.Header.Get("Content-Type"), got)
		}
		want := http.Header{"Reedbed-Rows": {"3"}, "Reedbed-Truncated": {"true"}, "Reedbed-Revision": {"9"}}
		if diff := cmp.Diff(want, r.Trailer); diff != "" {
			t.Errorf("trailers (-want +got):\n%s", diff)
		}
	}
}

func TestSQLErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{
			&engine.SQLError{Line: 2, Column: 7, Message: "no column x", Hint: "did you mean y?"}, 400,
			`{"error":{"code":"sql_error","message":"no column x","line":2,"column":7,"fix":"did you mean y?"}}`,
		},
		{
			fmt.Errorf("query: %w", &query.UnknownTable{Name: "pays", Known: []string{"plays", "raw"}}), 400,
			`{"error":{"code":"unknown_dataset","message":"there is no dataset \"pays\"","fix":"use one of plays, raw"}}`,
		},
		{
			fmt.Errorf("%w: two statements", engine.ErrNotSelect), 400,
			`{"error":{"code":"not_select","message":"not one SELECT statement: two statements","fix":"write exactly one SELECT statement"}}`,
		},
		{
			fmt.Errorf("%w \"xml\"", query.ErrFormat), 400,
			`{"error":{"code":"unknown_format","message":"unknown output format \"xml\"","fix":"leave format out for JSON"}}`,
		},
		{
			engine.ErrLimit, 422,
			`{"error":{"code":"limit_reached","message":"limit reached","fix":"read less: fewer columns, a shorter time, or a LIMIT"}}`,
		},
		{
			engine.ErrDeadline, 504,
			`{"error":{"code":"deadline_passed","message":"deadline passed","fix":"read less, or raise query.deadline in reedbed.yaml"}}`,
		},
		{engine.ErrWorkerDied, 503, `{"error":{"code":"worker_died","message":"worker died","fix":"try again"}}`},
		{
			errors.New("/secret/path: no space left"), 500,
			`{"error":{"code":"internal","message":"the query failed for a reason of ours","fix":"try again; the program's log says more"}}`,
		},
	} {
		h := handler(t, &fake{query: func(context.Context, string, string, io.Writer) (web.QueryInfo, error) {
			return web.QueryInfo{}, c.err
		}})
		r := ask(h, "POST", "/api/v1/sql", "SELECT x")
		if got := strings.TrimSpace(text(t, r)); r.StatusCode != c.status || got != c.want || r.Header.Get("Trailer") != "" {
			t.Errorf("%v: %d %s\nwant %d %s", c.err, r.StatusCode, got, c.status, c.want)
		}
	}
}

func TestSQLBadRequests(t *testing.T) {
	h := handler(t, &fake{query: rows("")})
	for _, c := range []struct {
		method, body string
		status       int
		code         string
	}{
		{"GET", "", 405, "wrong_method"},
		{"PUT", "SELECT 1", 405, "wrong_method"},
		{"POST", `{"sql":`, 400, "bad_request"},
		{"POST", `{"sql":"SELECT 1","fromat":"csv"}`, 400, "bad_request"},
		{"POST", `{"sql":"SELECT 1","sql":"SELECT 2"}`, 400, "bad_request"},
		{"POST", strings.Repeat(" ", 1<<20+1), 413, "too_large"},
	} {
		r := ask(h, c.method, "/api/v1/sql", c.body)
		if got := text(t, r); r.StatusCode != c.status || !strings.Contains(got, `"code":"`+c.code+`"`) {
			t.Errorf("%s %.40s: %d %s", c.method, c.body, r.StatusCode, got)
		}
	}
}

// A reader must be able to tell a part from the whole.
func TestSQLFailingHalfwayCutsTheConnection(t *testing.T) {
	server := httptest.NewServer(handler(t, &fake{query: func(_ context.Context, _, _ string, w io.Writer) (web.QueryInfo, error) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<16))
		return web.QueryInfo{}, errors.New("worker lost")
	}}))
	defer server.Close()
	r, err := server.Client().Post(server.URL+"/api/v1/sql", "text/plain", strings.NewReader("SELECT 1"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.ReadAll(r.Body); err == nil {
		t.Error("a cut answer reads as a whole one")
	}
}

func TestSQLEndsWhenTheClientLeaves(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(handler(t, &fake{query: func(ctx context.Context, _, _ string, _ io.Writer) (web.QueryInfo, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return web.QueryInfo{}, ctx.Err()
	}}))
	defer server.Close()
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/api/v1/sql", strings.NewReader("SELECT 1"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		leave()
	}()
	if _, err := server.Client().Do(request); !errors.Is(err, context.Canceled) {
		t.Errorf("the request ended with %v", err)
	}
	<-ended
}

func TestStatusKeepsItsShape(t *testing.T) {
	f := &fake{status: web.Status{Converged: true, Journal: web.JournalStatus{End: 5, Loaded: 4}, Revision: 7, Version: "v"}}
	want := `{"converged":true,"journal":{"end":5,"loaded":4},"datasets":[],"quarantine":{"rows":0},` +
		`"totals":{"acknowledged":0,"loaded":0,"quarantined":0,"duplicates_removed":0},"failures":[],"holds":[],"warnings":[],"anomalies":[],"late":[],"problems":[],"revision":7,"version":"v"}` + "\n"
	if got := text(t, ask(handler(t, f), "GET", "/api/v1/status", "")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.status = busy()
	var got struct{ Datasets []map[string]any }
	if err := json.Unmarshal([]byte(text(t, ask(handler(t, f), "GET", "/api/v1/datasets", ""))), &got); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(got.Datasets[0]))
	if want := strings.Fields("absent deferred erased failed fresh held name open partitions rows running stale waived"); !slices.Equal(keys, want) {
		t.Errorf("a dataset has %v, want %v", keys, want)
	}
	f.fails = errors.New("catalog broken")
	if r := ask(handler(t, f), "GET", "/api/v1/status", ""); r.StatusCode != http.StatusServiceUnavailable || strings.Contains(text(t, r), "broken") {
		t.Errorf("a failing status answers %d", r.StatusCode)
	}
}

func TestAlerts(t *testing.T) {
	f := &fake{alerts: alert.Log{Open: []alert.Logged{{
		Alert:      alert.Alert{Key: "held/plays", Severity: alert.Error, Title: "plays is held", Count: 2, First: "a", Last: "b", Since: noon},
		Deliveries: []alert.Sent{{Hook: "a.example#1", Message: "msg_1", Kind: alert.Raised, Result: alert.Waiting, Tries: 1, Created: noon, Next: noon, Error: "no"}},
	}}, Resolved: []alert.Logged{}}}
	h := handler(t, f)
	want := `{"open":[{"key":"held/plays","severity":"error","title":"plays is held","count":2,"first":"a","last":"b","since":"2026-11-22T12:00:00Z",` +
		`"deliveries":[{"hook":"a.example#1","id":"msg_1","kind":"raised","result":"waiting","tries":1,"created":"2026-11-22T12:00:00Z","next":"2026-11-22T12:00:00Z","error":"no"}]}],` +
		`"resolved":[]}` + "\n"
	if got := text(t, ask(h, "GET", "/api/v1/alerts", "")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.fails = errors.New("catalog broken")
	if r := ask(h, "GET", "/api/v1/alerts", ""); r.StatusCode != http.StatusServiceUnavailable || strings.Contains(text(t, r), "broken") {
		t.Errorf("failing alerts answer %d", r.StatusCode)
	}
}

func TestTail(t *testing.T) {
	sent := []web.TailEvent{
		{Source: "player", ID: "1", Type: "track", Name: "Played", ReceivedAt: noon, Event: json.RawMessage("{\n\n\"a\": \"\\n\\ndata: no\"}")},
		{Source: "player", ID: "2", Reason: "not JSON", Text: "a\n\ndata: {}", ReceivedAt: noon, Missed: 4},
		{Source: "player", ID: "3", ReceivedAt: noon, Event: json.RawMessage("{claims to be JSON")},
	}
	events := make(chan web.TailEvent, len(sent))
	for _, e := range sent {
		events <- e
	}
	close(events)
	f := &fake{tail: func(context.Context) (<-chan web.TailEvent, error) { return events, nil }}
	r := ask(handler(t, f), "GET", "/api/v1/tail", "")
	if got := r.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type is %q", got)
	}
	var got []web.TailEvent
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e web.TailEvent
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		got = append(got, e)
	}
	sent[0].Event = json.RawMessage(`{"a":"\n\ndata: no"}`)
	sent[2].Text, sent[2].Event = string(sent[2].Event), nil
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestTailEndsWithItsReader(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(handler(t, &fake{tail: func(ctx context.Context) (<-chan web.TailEvent, error) {
		context.AfterFunc(ctx, func() { close(ended) })
		return make(chan web.TailEvent), nil
	}}))
	defer server.Close()
	r, err := server.Client().Get(server.URL + "/api/v1/tail")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r.Body).ReadString('\n'); err != nil || line != ": following\n" {
		t.Errorf("the stream begins with %q, %v", line, err)
	}
	r.Body.Close()
	<-ended
}

// The document names exactly what the API answers.
func TestOpenAPIMatchesTheRoutes(t *testing.T) {
	f := &fake{query: rows(""), tail: func(context.Context) (<-chan web.TailEvent, error) { return nil, errors.New("no tail") }}
	f.why = func(dataset.Reference) (sqlite.Account, error) { return sqlite.Account{}, nil }
	f.diff = func(compare.Request) (compare.Result, error) { return compare.Result{}, nil }
	h := handler(t, f)
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(text(t, ask(h, "GET", "/api/v1/openapi.json", ""))), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Paths) != 12 {
		t.Errorf("%d paths, want 12", len(document.Paths))
	}
	for path, methods := range document.Paths {
		for _, method := range []string{"get", "post"} {
			_, documented := methods[method]
			r := ask(h, strings.ToUpper(method), path, "{}")
			if answered := r.StatusCode != 404 && r.StatusCode != 405; answered != documented {
				t.Errorf("%s %s: documented %t, answers %d", method, path, documented, r.StatusCode)
			}
		}
	}
	if r := ask(h, "GET", "/api/v1/nothing", ""); r.StatusCode != 404 {
		t.Errorf("a path that is not documented answers %d", r.StatusCode)
	}
}

func TestProbesAndPassThrough(t *testing.T) {
	f := &fake{ready: errors.New("journal: disk is full")}
	h := handler(t, f)
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/livez", 200, "ok\n"},
		{"GET", "/readyz", 503, "not ready: journal: disk is full\n"},
		{"GET", "/metrics", 200, "reedbed_up 1\n"},
		{"POST", "/v1/events", 200, "collected /v1/events"},
		{"OPTIONS", "/v1/batch", 200, "collected /v1/batch"},
		{"GET", "/nothing", 404, "404 page not found\n"},
	} {
		if r := ask(h, c.method, c.path, ""); r.StatusCode != c.status || text(t, r) != c.body {
			t.Errorf("%s %s answers %d", c.method, c.path, r.StatusCode)
		}
	}
	f.ready = nil
	if r := ask(h, "GET", "/readyz", ""); r.StatusCode != 200 {
		t.Errorf("/readyz answers %d when ready", r.StatusCode)
	}
}

func TestPlanIsReadAndDeployedElsewhere(t *testing.T) {
	h := handler(t, &fake{})
	if r := ask(h, "GET", "/api/v1/plan", ""); r.StatusCode != 200 || !strings.Contains(text(t, r), `"file":"stages/a.sql","changes":["new stage"]`) {
		t.Errorf("plan answers %d", r.StatusCode)
	}
	for _, path := range []string{"/api/v1/plan", "/api/v1/apply", "/api/v1/rollback"} {
		if r := ask(h, "POST", path, "{}"); r.StatusCode != 403 || !strings.Contains(text(t, r), "control_socket_only") {
			t.Errorf("POST %s answers %d", path, r.StatusCode)
		}
	}
}
