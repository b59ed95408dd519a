package collect

import (
	"net/http"
	"testing"
)

func corsSources() []Source {
	return []Source{
		{Name: "web", Keys: []string{"demo"}, Origins: []string{"https://example.org", "http://localhost:3000"}},
		{Name: "shop", Keys: []string{"shop"}, Origins: []string{"https://shop.example"}},
		{Name: "app", Keys: []string{"app"}},
	}
}

// TestOrigins posts to source web, and asks beforehand, from each origin.
func TestOrigins(t *testing.T) {
	tests := []struct {
		origin          string
		preflight, post bool
	}{
		{"https://example.org", true, true},
		{"http://localhost:3000", true, true},
		{"https://shop.example", true, false}, // listed, but by another source
		{"null", false, false},
		{"https://example.org.evil.test", false, false},
		{"https://evilexample.org", false, false},
		{"https://sub.example.org", false, false},
		{"http://example.org", false, false},
		{"https://example.org:8443", false, false},
		{"https://example.org:443", false, false},
		{"https://example.org/", false, false},
		{"https://example.org.", false, false},
		{"https://EXAMPLE.org", false, false},
		{"https://example.org@evil.test", false, false},
		{"https://evil.test#https://example.org", false, false},
		{"http://localhost:3001", false, false},
		{"http://localhost", false, false},
		{"file://", false, false},
		{"*", false, false},
		{"https://example.org https://evil.test", false, false},
	}
	d, m := newDoor(t, Options{Sources: corsSources()})
	for _, tt := range tests {
		w := call{method: http.MethodOptions, path: "/v1/events", header: map[string]string{
			"Origin": tt.origin, "Access-Control-Request-Method": "POST",
		}}.do(d)
		checkGrant(t, "preflight from "+tt.origin, w.Header(), tt.origin, tt.preflight)
		if w.Code != http.StatusNoContent {
			t.Errorf("preflight answered %d", w.Code)
		}
		before, _ := m.counts()
		w = call{path: "/v1/events?key=demo", body: one, header: map[string]string{"Origin": tt.origin}}.do(d)
		checkGrant(t, "post from "+tt.origin, w.Header(), tt.origin, tt.post)
		after, _ := m.counts()
		if stored := after > before; stored != tt.post || stored != (w.Code == 200) {
			t.Errorf("post from %s: status %d, stored %v", tt.origin, w.Code, stored)
		}
	}
}

func checkGrant(t *testing.T, what string, h http.Header, origin string, granted bool) {
	t.Helper()
	wantOrigin, wantCredentials := "", ""
	if granted {
		wantOrigin, wantCredentials = origin, "true"
	}
	if got := h.Get("Access-Control-Allow-Origin"); got != wantOrigin {
		t.Errorf("%s: allows origin %q, want %q", what, got, wantOrigin)
	}
	if got := h.Get("Access-Control-Allow-Credentials"); got != wantCredentials {
		t.Errorf("%s: credentials %q, want %q", what, got, wantCredentials)
	}
	if h.Get("Vary") == "" {
		t.Errorf("%s: no Vary", what)
	}
}

func TestPreflightHeaders(t *testing.T) {
	d, _ := newDoor(t, Options{Sources: corsSources()})
	w := call{method: http.MethodOptions, path: "/v1/t", header: map[string]string{"Origin": "https://example.org"}}.do(d)
	for k, want := range map[string]string{
		"Access-Control-Allow-Headers":  "authorization, content-encoding, content-type, x-retry-count, x-write-key, sp-anonymous, ce-id, ce-source, ce-specversion, ce-type, ce-time, ce-subject, ce-dataschema",
		"Access-Control-Expose-Headers": "Retry-After",
		"Access-Control-Max-Age":        "86400",
		"Access-Control-Allow-Methods":  "GET, POST, OPTIONS",
	} {
		if got := w.Header().Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
}

func TestAnyOriginNeverGetsCredentials(t *testing.T) {
	d, _ := newDoor(t, Options{Sources: []Source{{Name: "web", Keys: []string{"demo"}, Origins: []string{"*", "https://example.org"}}}})
	for origin, want := range map[string][2]string{
		"https://anyone.test": {"*", ""},
		"null":                {"*", ""},
		"https://example.org": {"https://example.org", "true"},
	} {
		w := call{path: "/v1/events?key=demo", body: one, header: map[string]string{"Origin": origin}}.do(d)
		h := w.Header()
		if got := [2]string{h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials")}; got != want {
			t.Errorf("%s: %q, want %q", origin, got, want)
		}
	}
}

func TestPostsWithoutAllowList(t *testing.T) {
	d, _ := newDoor(t, Options{Sources: corsSources()})
	// A source without origins takes events from any page, but no page may
	// read the answer.
	w := call{path: "/v1/events?key=app", body: one, header: map[string]string{"Origin": "https://example.org"}}.do(d)
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	// A page of the collector's own host needs no listing, another port does.
	for host, status := range map[string]int{"events.test:8080": 200, "events.test": 403} {
		w := call{path: "/v1/events?key=demo", body: one, header: map[string]string{"Origin": "http://events.test:8080", "Host": host}}.do(d)
		if w.Code != status {
			t.Errorf("host %s: %d, want %d", host, w.Code, status)
		}
	}
}

func TestShedAnswersCanBeReadByPages(t *testing.T) {
	d, _ := newDoor(t, Options{Sources: corsSources(), Limits: Limits{InFlight: 1}})
	held, _ := d.gate.admit(d.imports, 0, d.now())
	defer held.release()
	w := call{path: "/v1/t", body: `{"writeKey":"demo"}`, header: map[string]string{"Origin": "https://example.org"}}.do(d)
	h := w.Header()
	if w.Code != 429 || h.Get("Retry-After") == "" || h.Get("Access-Control-Expose-Headers") != "Retry-After" || h.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("%d %v", w.Code, h)
	}
}

// An image on a page of another site is judged by what it says of that page.
func TestImagesOfOtherSites(t *testing.T) {
	d, _ := newDoor(t, Options{Sources: corsSources()})
	for referer, status := range map[string]int{"https://example.org/a?b": 200, "": 200, "https://evil.example/": 403, "nonsense": 200} {
		w := call{method: http.MethodGet, path: "/v1/pixel.gif?key=demo&name=a", header: map[string]string{"Referer": referer}}.do(d)
		if w.Code != status {
			t.Errorf("%s: %d, want %d", referer, w.Code, status)
		}
	}
}
