package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/reedbed/reedbed/alert"
	"github.com/reedbed/reedbed/arrival"
	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/examples"
	"github.com/reedbed/reedbed/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when the tests run, for what they show.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fake is a program without anything behind it. The functions, where set,
// answer in place of the values.
type fake struct {
	mu       sync.Mutex // guards what follows
	status   web.Status
	alerts   alert.Log
	cards    map[string]web.CardData // by SQL
	asked    int                     // runs of cards
	statuses int                     // how often the status was asked

	card  func(ctx context.Context, sql string) (web.CardData, error)
	query func(ctx context.Context, sql, format string, w io.Writer) (web.QueryInfo, error)
	why   func(dataset.Reference) (sqlite.Account, error)
	diff  func(compare.Request) (compare.Result, error)
	tail  func(ctx context.Context) (<-chan web.TailEvent, error)
	fails error // of Status and of the alerts
	ready error
}

func (f *fake) Status(context.Context) (web.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses++
	return f.status, f.fails
}

func (f *fake) Card(ctx context.Context, sql string) (web.CardData, error) {
	f.mu.Lock()
	f.asked++
	data, ok := f.cards[sql]
	data.Revision = f.status.Revision
	f.mu.Unlock()
	if f.card != nil {
		return f.card(ctx, sql)
	}
	if !ok {
		return web.CardData{}, fmt.Errorf("no such card: %s", sql)
	}
	return data, nil
}

func (f *fake) Query(ctx context.Context, sql, format string, w io.Writer) (web.QueryInfo, error) {
	return f.query(ctx, sql, format, w)
}

func (f *fake) Why(_ context.Context, r dataset.Reference) (sqlite.Account, error) { return f.why(r) }

func (f *fake) Diff(_ context.Context, r compare.Request) (compare.Result, error) { return f.diff(r) }

func (f *fake) Tail(ctx context.Context) (<-chan web.TailEvent, error) { return f.tail(ctx) }

func (f *fake) Ready() error { return f.ready }

// change edits what the next readers see.
func (f *fake) change(edit func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit()
}

func (f *fake) runs() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// busy is a project that works on something.
func busy() web.Status {
	return web.Status{
		Journal:    web.JournalStatus{End: 30_210, Loaded: 30_090},
		Totals:     web.Totals{Acknowledged: 30_210, Loaded: 29_480, Quarantined: 120, DuplicatesRemoved: 490},
		Quarantine: web.QuarantineStatus{Rows: 120},
		Watermark:  noon.Add(-4 * time.Second),
		Revision:   841,
		Version:    "1.2.3",
		Datasets: []sqlite.DatasetStatus{
			{Name: "raw", Partitions: 49, Open: 2, Fresh: 49, Rows: 29_480},
			{Name: "quarantine", Partitions: 30, Open: 1, Fresh: 30, Rows: 120},
			{Name: "events", Partitions: 49, Open: 2, Fresh: 47, Stale: 2, Rows: 29_402},
			{Name: "plays", Partitions: 49, Open: 2, Fresh: 46, Stale: 2, Running: 1, Rows: 21_877},
			{Name: "plays_classified", Partitions: 49, Open: 2, Fresh: 46, Deferred: 3, Rows: 21_877},
			{Name: "play_counts_hourly", Partitions: 49, Open: 2, Fresh: 49, Rows: 8_120},
			{Name: "listening_sessions", Partitions: 49, Open: 2, Fresh: 49, Rows: 4_031},
			{Name: "royalties", Partitions: 3, Open: 1, Fresh: 3, Rows: 411},
		},
	}
}

// plays is the example project's dashboard with answers for its cards.
func plays(t *testing.T) ([]web.Dashboard, *fake) {
	t.Helper()
	folder, err := fs.Sub(examples.FS, "plays/dashboards")
	if err != nil {
		t.Fatal(err)
	}
	boards, problems := web.ReadDashboards(folder, "dashboards")
	if len(problems) > 0 || len(boards) != 1 {
		t.Fatalf("the example's dashboards: %v, %d boards", problems, len(boards))
	}
	f := &fake{status: busy(), cards: map[string]web.CardData{}}
	for _, c := range boards[0].Cards {
		f.cards[c.SQL] = answer(c)
	}
	return boards, f
}

func answer(c web.Card) web.CardData {
	d := web.CardData{Columns: []string{"label", "value"}, AsOf: noon.Add(-time.Second)}
	switch c.Kind {
	case web.Number:
		d.Columns, d.Rows = []string{"value"}, [][]any{{json.Number("21877")}}
	case web.Series:
		d.Columns = []string{"time", "value"}
		for i := range 48 {
			at := noon.Add(time.Duration(i-47) * time.Hour)
			d.Rows = append(d.Rows, []any{at.Format(time.RFC3339), json.Number(fmt.Sprint(300 + (i*37+i*i*11)%420))})
		}
	case web.Ranked:
		for i, l := range labels(c.Title) {
			d.Rows = append(d.Rows, []any{l, json.Number(fmt.Sprint(4210 / (i + 1)))})
		}
	}
	return d
}

func labels(title string) []any {
	switch {
	case strings.Contains(title, "tracks"):
		return []any{"Nightjar at the Weir", "Slow Water", hostile, "Reed Warbler, Part II (extended version with a title nobody can read to its end)", "Sedge", "Marsh Light", "Bittern", "Eel Run", "Alder", "Cut Bank"}
	case strings.Contains(title, "countries"):
		return []any{"DE", "US", "BR", "unknown", "JP", "FR", "GB", "IN", "PL", "ZA"}
	case strings.Contains(title, "Websites"):
		return []any{"example.org", "blog.example.net", "مدونة.مثال", "forum.example.com"}
	case strings.Contains(title, "Apps"):
		return []any{"web", "android", "ios", nil, "desktop", ""}
	default:
		return []any{"listener-0193", "listener-0044", "listener-1201", "listener-0800", "listener-0007"}
	}
}

// hostile is what somebody might send as the name of a track.
const hostile = `<img src=x onerror=alert(1)>"'` + "`" + `</script><script>alert(2)</script>{{.}}`

type setting func(*web.Options)

// handler serves a fake, on loopback unless a setting says otherwise.
func handler(t *testing.T, f *fake, settings ...setting) http.Handler {
	t.Helper()
	o := web.Options{
		Plan: func(context.Context) (converge.Plan, error) {
			return converge.Plan{Changes: []converge.Change{{FileChange: dataset.FileChange{File: "stages/a.sql", Changes: []string{"new stage"}}}}}, nil
		},
		Arrivals: func() web.Arrivals {
			return web.Arrivals{Since: f.status.Watermark, Groups: []arrival.Group{
				{Source: "player", Protocol: "native", AppVersion: "<b>2.1", Events: 12345, Quarantined: 2, Streams: 17, Missing: 3},
			}}
		},
		Alerts:  func(context.Context) (alert.Log, error) { return f.alerts, f.fails },
		Backend: f, Project: "plays", URL: "http://127.0.0.1:8080", WriteKey: func() string { return "demo" }, Loopback: true,
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		Collect: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "collected ", r.URL.Path) }),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "reedbed_up 1\n") }),
	}
	began := time.Now()
	o.Now = func() time.Time { return noon.Add(time.Since(began)) }
	for _, s := range settings {
		s(&o)
	}
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func with(boards []web.Dashboard) setting {
	return func(o *web.Options) { o.Dashboards = boards }
}

// ask sends one request as a client on this machine does.
func ask(h http.Handler, method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
