package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/web"
)

// told is an event of the tracker, as far as tests look at it.
type told struct {
	ID, Type, Name string
	Anonymous      string `json:"anonymous_id"`
	User           string `json:"user_id"`
	Session        string `json:"session_id"`
	Stream         string `json:"stream_id"`
	Seq, Dropped   int
	Previous       *struct {
		Stream       string `json:"stream_id"`
		Seq, Dropped int
	}
	Properties map[string]any
	Context    struct {
		Page struct{ URL, Referrer string }
		App  map[string]string
	}
}

// collector is a front door that answers what it is told to.
type collector struct {
	mu      sync.Mutex
	answers []int // statuses of the next answers; then 200
	bodies  []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, string(body))
	if len(c.answers) > 0 {
		status := c.answers[0]
		c.answers = c.answers[1:]
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		return
	}
	fmt.Fprint(w, `{"received_at":"2026-11-22T00:00:00Z"}`)
}

func (c *collector) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bodies)
}

func (c *collector) answer(statuses ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = statuses
}

// events are those of all requests, each id once.
func (c *collector) events(t *testing.T) (list []told) {
	t.Helper()
	seen := map[string]bool{}
	for _, body := range c.requests() {
		var request struct {
			SentAt int64 `json:"sent_at"`
			Batch  []told
		}
		if err := json.Unmarshal([]byte(body), &request); err != nil || request.SentAt == 0 {
			t.Fatalf("a request without its time or not of JSON: %v: %s", err, body)
		}
		for _, e := range request.Batch {
			if !seen[e.ID] {
				seen[e.ID] = true
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b told) int { return a.Seq - b.Seq })
	return list
}

// site serves pages that carry the tracker: /?before=SCRIPT&with=ATTRIBUTES.
func site(t *testing.T, ctx context.Context) (*collector, func(before, attributes string)) {
	t.Helper()
	c := &collector{}
	h := handler(t, &fake{}, func(o *web.Options) { o.Tracker, o.Collect = "/t/", c })
	mux := http.NewServeMux()
	mux.Handle("/t/", h)
	mux.HandleFunc("/favicon.ico", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Page</title><script>%s</script><script src="/t/t.js" data-key="demo" %s></script>`+
			`<button data-ev="Signed Up" data-ev-plan="pro"><b>Sign up</b></button><a href="http://example.org/x">away</a>`,
			r.FormValue("before"), r.FormValue("with"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return c, func(before, attributes string) {
		t.Helper()
		// What an earlier page says when it is left is none of this one's.
		steps := []chromedp.Action[chromedp.Void]{chromedp.Navigate(server.URL + "/favicon.ico"), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("localStorage.clear(); null"))
			return err
		}), chromedp.Navigate(server.URL + "/?before=" + before + "&with=" + attributes)}
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
		until(t, ctx, "'track' in (window.reedbed || {})")
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies, c.answers = nil, nil
	}
}

func tells(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	tell := "(async () => { " + script + "; await reedbed.flush(); return true })()"
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](tell, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

func names(list []told) (names []string) {
	for _, e := range list {
		names = append(names, strings.TrimSpace(e.Type+" "+e.Name))
	}
	return names
}

func TestTrackerInABrowser(t *testing.T) {
	ctx := browser(t)
	c, open := site(t, ctx)
	stored := func() int { return evaluate[int](t, ctx, "localStorage.length") }

	t.Run("consent", func(t *testing.T) {
		open("reedbed=[['track','Before the script']]", `data-consent="wait"`)
		tells(t, ctx, "reedbed.track('Early')")
		if n := len(c.requests()) + stored(); n != 0 {
			t.Errorf("%d requests and keys before consent", n)
		}
		tells(t, ctx, "reedbed.consent(true)")
		want := []string{"track Before the script", "page", "track Early"}
		if diff := cmp.Diff(want, names(c.events(t))); diff != "" {
			t.Error(diff)
		}
		tells(t, ctx, "localStorage['rb.demo.c'] = '0'; reedbed.track('Taken back in another tab')")
		tells(t, ctx, "reedbed.consent(false); reedbed.track('Late')")
		if n := stored(); n != 1 || len(c.events(t)) != 3 {
			t.Errorf("after consent was taken back %d keys are stored, and told is %q", n, names(c.events(t)))
		}
	})

	t.Run("global privacy control", func(t *testing.T) {
		open("Object.defineProperty(navigator,'globalPrivacyControl',{value:true})", "")
		tells(t, ctx, "reedbed.consent(true); reedbed.track('Hidden')")
		if n := len(c.requests()) + stored(); n != 0 {
			t.Errorf("%d requests and keys", n)
		}
	})

	t.Run("by itself", func(t *testing.T) {
		for _, before := range []string{"", "Object.defineProperty(window,'navigation',{value:undefined})"} {
			open(before, `data-app="shop" data-version="7"`)
			tells(t, ctx, `history.pushState(0, '', '/second'); history.replaceState(0, '', '#part');
				document.querySelector('b').click();
				addEventListener('click', e => e.preventDefault()); document.querySelector('a').click()`)
			got := c.events(t)
			want := []string{"page", "page", "track Signed Up", "track Outbound Link"}
			if diff := cmp.Diff(want, names(got)); diff != "" {
				t.Fatal(diff)
			}
			if got[2].Properties["plan"] != "pro" || got[3].Properties["url"] != "http://example.org/x" {
				t.Errorf("clicks carry %v and %v", got[2].Properties, got[3].Properties)
			}
			if !strings.HasSuffix(got[1].Context.Page.URL, "/second") || !strings.Contains(got[1].Context.Page.Referrer, "/?before=") {
				t.Errorf("the second page is %+v", got[1].Context.Page)
			}
			if diff := cmp.Diff(map[string]string{"name": "shop", "version": "7"}, got[0].Context.App); diff != "" {
				t.Error(diff)
			}
		}
	})

	t.Run("who", func(t *testing.T) {
		open("", `data-off="pages"`)
		tells(t, ctx, "reedbed.track('A'); reedbed.identify('ada', {plan: 'pro'}); reedbed.track('B'); reedbed.reset(); reedbed.track('C')")
		got := c.events(t)
		if got[0].User != "" || got[1].User != "ada" || got[2].User != "ada" || got[3].User != "" {
			t.Errorf("users %q", []string{got[0].User, got[1].User, got[2].User, got[3].User})
		}
		if got[0].Anonymous != got[2].Anonymous || got[0].Session != got[2].Session || got[2].Anonymous == got[3].Anonymous {
			t.Errorf("ids %+v", got)
		}
	})
}

func TestTrackerNumbersInABrowser(t *testing.T) {
	ctx := unwatched(t) // Chromium's console says each refusal
	c, open := site(t, ctx)

	t.Run("sent again as it was", func(t *testing.T) {
		open("", `data-off="pages"`)
		c.answer(503, 429)
		tells(t, ctx, "reedbed.track('Kept', {text: '\\ud800 half'})")
		until(t, ctx, "Object.keys(localStorage).filter(k => k.includes('.q')).length == 0")
		requests := c.requests()
		if len(requests) != 3 {
			t.Fatalf("%d requests, want 3", len(requests))
		}
		batch := func(s string) string { return s[strings.Index(s, `"batch"`):] }
		if batch(requests[0]) != batch(requests[1]) || batch(requests[0]) != batch(requests[2]) {
			t.Errorf("an event changed on its way: %q", requests)
		}
	})

	t.Run("drops and ends", func(t *testing.T) {
		open("", `data-off="pages"`)
		c.answer(400)
		tells(t, ctx, "reedbed.track('A'); reedbed.track('B')")
		tells(t, ctx, "reedbed.track('C')")
		// The device was away for an hour.
		tells(t, ctx, `const key = Object.keys(localStorage).find(k => k.startsWith('rb.demo.s'));
			const s = JSON.parse(localStorage[key]); s.time -= 36e5; s.owner = 0; localStorage[key] = JSON.stringify(s);
			reedbed.track('D')`)
		tells(t, ctx, "reedbed.track('E')")
		byName := map[string]told{}
		for _, e := range c.events(t) {
			byName[e.Name] = e
		}
		if e := byName["C"]; e.Seq != 2 || e.Dropped != 2 || e.Previous != nil {
			t.Errorf("after two drops: %+v", e)
		}
		d, e := byName["D"], byName["E"]
		if d.Seq != 0 || d.Previous == nil || d.Previous.Stream != byName["C"].Stream || d.Previous.Seq != 2 || d.Previous.Dropped != 2 {
			t.Errorf("a stream begins with %+v", d)
		}
		if e.Stream != d.Stream || e.Seq != 1 || e.Previous != nil {
			t.Errorf("once answered, a stream goes on with %+v", e)
		}
	})
}

// The token that a person reads /try with is in no event.
func TestTryTellsNoToken(t *testing.T) {
	ctx := browser(t)
	c := &collector{}
	server := httptest.NewServer(handler(t, &fake{}, func(o *web.Options) {
		o.Tracker, o.Collect, o.Loopback, o.Token = "/t/", c, false, "secret-of-all"
	}))
	t.Cleanup(server.Close)
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/try?token=secret-of-all")); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "'track' in (window.reedbed || {})")
	tells(t, ctx, "document.getElementById('agree').click()")
	if len(c.events(t)) == 0 {
		t.Error("nothing is told")
	}
	for _, body := range c.requests() {
		if strings.Contains(body, "secret-of-all") {
			t.Errorf("told is %s", body)
		}
	}
}
