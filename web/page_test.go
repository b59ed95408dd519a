package web_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reedbed/reedbed/anomaly"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/web"
)

// wireBudget is what a first visit may cost: the page and all it needs.
const wireBudget = 60 << 10

func TestPageSaysWhatItShould(t *testing.T) {
	boards, f := plays(t)
	body := text(t, ask(handler(t, f, with(boards)), "GET", "/", ""))
	for _, want := range []string{
		"<title>plays · Reedbed</title>", "30,210", "29,480", ">120<", ">490<",
		"Everything received by 11:59:56 UTC is loaded; completeness is not measured: no stage `completeness` does.", "Catching up:</strong> 120 events wait to be loaded, 4 partitions are stale, 1 is running, 3 are put off",
		"Most played tracks", "Top countries", "Who played the most", "Websites", "Apps", "Plays per hour",
		"2 of 49 stale", "3 of 49 deferred", "As of 11:59:59 UTC", "The newest hours may still change", "The same as a table",
		`<noscript><meta http-equiv="refresh"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(body, "No events yet") {
		t.Error("the page says there are no events")
	}
}

// Text of events, of files and of errors is text wherever it comes to stand.
func TestHostileTextStaysText(t *testing.T) {
	boards, f := plays(t)
	for i := range boards[0].Cards {
		boards[0].Cards[i].Title = hostile
	}
	boards[0].Title = hostile
	f.status.Version = hostile
	f.status.Problems = []stage.Problem{{File: hostile, Line: 1, What: hostile, Fix: hostile}}
	f.status.Datasets[0].Name = hostile
	unusual := anomaly.Effect{Kind: anomaly.Volume, Series: anomaly.Series{Source: "web", Event: "event of " + hostile}, What: hostile}
	f.status.Anomalies = []anomaly.Anomaly{{Effect: unusual}}
	for sql, d := range f.cards {
		d.Columns = append(d.Columns, hostile)
		f.cards[sql] = d
	}
	f.cards[boards[0].Cards[0].SQL] = web.CardData{Columns: []string{"time", "value"}, Rows: [][]any{{hostile, 1}}}
	f.cards[boards[0].Cards[1].SQL] = web.CardData{Columns: []string{"value"}, Rows: [][]any{{hostile}}}
	f.cards[boards[0].Cards[2].SQL] = web.CardData{Columns: []string{hostile}, Rows: [][]any{{1}}}
	h := handler(t, f, with(boards), func(o *web.Options) { o.Project = hostile })
	for _, path := range []string{"/", "/fragment"} {
		body := text(t, ask(h, "GET", path, ""))
		for _, live := range []string{"<img", "<script>", "</script><", `onerror=alert(1)>"`} {
			if strings.Contains(body, live) {
				t.Errorf("%s holds %q", path, live)
			}
		}
		for _, shown := range []string{"&lt;img src=x onerror=alert(1)&gt;", "event of &lt;img"} {
			if !strings.Contains(body, shown) {
				t.Errorf("%s does not show %s at all", path, shown)
			}
		}
	}
}

func TestLinksCarryTheToken(t *testing.T) {
	h := handler(t, &fake{}, func(o *web.Options) { o.Loopback, o.Token = false, `a&"b` })
	body := text(t, ask(h, "GET", "/?token=a%26%22b", ""))
	if !strings.Contains(body, `href="/api/v1/status?token=a%26%22b"`) {
		t.Errorf("links lose the token: %s", body)
	}
	if body := text(t, ask(h, "GET", "/", "", "Authorization", `Bearer a&"b`)); strings.Contains(body, "token=") {
		t.Error("links show a token that came in a header")
	}
}

func TestEmptyProjectTellsHowToBegin(t *testing.T) {
	f := &fake{status: web.Status{Converged: true}}
	h := handler(t, f, func(o *web.Options) { o.WriteKey = func() string { return "it's" } })
	body := text(t, ask(h, "GET", "/", ""))
	want := `curl http://127.0.0.1:8080/v1/events -u &#39;it&#39;\&#39;&#39;s:&#39; -d &#39;{&#34;id&#34;:&#34;first-1&#34;,&#34;type&#34;:&#34;track&#34;,&#34;name&#34;:&#34;Hello&#34;}&#39;`
	if !strings.Contains(body, want) {
		t.Errorf("the page does not say %s:\n%s", want, body)
	}
}

func TestPageWithoutStatus(t *testing.T) {
	f := &fake{fails: errors.New("catalog: disk I/O error")}
	r := ask(handler(t, f), "GET", "/", "")
	if body := text(t, r); r.StatusCode != http.StatusOK || !strings.Contains(body, "catalog: disk I/O error") {
		t.Errorf("%d: %s", r.StatusCode, body)
	}
}

func TestFailedCardKeepsToItself(t *testing.T) {
	boards, f := plays(t)
	delete(f.cards, boards[0].Cards[3].SQL)
	body := text(t, ask(handler(t, f, with(boards)), "GET", "/", ""))
	if strings.Count(body, "This card failed: ") != 1 || strings.Count(body, "<ol>") != 5 {
		t.Errorf("%d cards failed, %d ranked cards have rows; want 1 and 5",
			strings.Count(body, "This card failed: "), strings.Count(body, "<ol>"))
	}
}

func TestUnchangedFragmentIsNotSent(t *testing.T) {
	boards, f := plays(t)
	began := time.Now()
	now := noon
	h := handler(t, f, with(boards), func(o *web.Options) { o.Now = func() time.Time { return now.Add(time.Since(began)) } })
	first := ask(h, "GET", "/fragment", "")
	tag := first.Header.Get("ETag")
	if first.StatusCode != http.StatusOK || tag == "" {
		t.Fatalf("first answer is %d with ETag %q", first.StatusCode, tag)
	}
	now = now.Add(2 * time.Second)
	again := ask(h, "GET", "/fragment", "", "If-None-Match", tag)
	if body := text(t, again); again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("unchanged: %d with %d bytes", again.StatusCode, len(body))
	}
	f.change(func() { f.status.Revision++; f.status.Totals.Loaded++ })
	now = now.Add(2 * time.Second)
	if r := ask(h, "GET", "/fragment", "", "If-None-Match", tag); r.StatusCode != http.StatusOK || r.Header.Get("ETag") == tag {
		t.Errorf("changed: %d with ETag %q", r.StatusCode, r.Header.Get("ETag"))
	}
}

func TestFirstVisitIsSmall(t *testing.T) {
	boards, f := plays(t)
	h := handler(t, f, with(boards))
	page := text(t, ask(h, "GET", "/", ""))
	paths := []string{"/"}
	for _, part := range strings.Split(page, `"/static/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		paths = append(paths, "/static/"+name)
	}
	if len(paths) != 4 {
		t.Fatalf("the page needs %q, want a style sheet, a script and an icon", paths[1:])
	}
	sent := 0
	for _, p := range paths {
		r := ask(h, "GET", p, "", "Accept-Encoding", "gzip")
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", p, r.StatusCode)
		}
		size := len(text(t, r))
		for name, values := range r.Header {
			size += len(name) + len(strings.Join(values, "")) + 4
		}
		t.Logf("%6d bytes %s", size, p)
		sent += size
	}
	if sent > wireBudget {
		t.Errorf("a first visit takes %d bytes, the budget is %d", sent, wireBudget)
	}
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	h := handler(t, &fake{})
	page := text(t, ask(h, "GET", "/", ""))
	_, rest, _ := strings.Cut(page, `"/static/page`)
	name, _, _ := strings.Cut(rest, `"`)
	r := ask(h, "GET", "/static/page"+name, "")
	if got := r.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control of the style sheet is %q", got)
	}
	if r := ask(h, "GET", "/static/page.css", ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("a name without hash answers %d", r.StatusCode)
	}
}
