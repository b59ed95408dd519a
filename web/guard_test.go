package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/web"
)

// readPaths need leave to be read.
var readPaths = []string{"/", "/fragment", "/metrics", "/api/v1/status", "/api/v1/datasets", "/api/v1/alerts", "/api/v1/arrivals", "/api/v1/openapi.json", "/api/v1/nothing"}

// openPaths are for everybody: probes, static files, and the front door, which
// has its own keys.
var openPaths = []string{"/livez", "/readyz", "/v1/events", "/v1/nothing"}

func TestWhoMayRead(t *testing.T) {
	away := func(token string) setting {
		return func(o *web.Options) { o.Loopback, o.Token = false, token }
	}
	for _, c := range []struct {
		name    string
		setting setting
		query   string
		header  []string
		code    string // of the error, "" for leave
	}{
		{"loopback", func(*web.Options) {}, "", nil, ""},
		{"loopback by name", func(*web.Options) {}, "", []string{"Host", "localhost:8080"}, ""},
		{"loopback, IPv6", func(*web.Options) {}, "", []string{"Host", "[::1]:8080"}, ""},
		{"loopback, IPv6 without port", func(*web.Options) {}, "", []string{"Host", "[::1]"}, ""},
		{"rebound name", func(*web.Options) {}, "", []string{"Host", "evil.example"}, "host_not_allowed"},
		{"rebound name with port", func(*web.Options) {}, "", []string{"Host", "localhost.evil.example:8080"}, "host_not_allowed"},
		{"rebound address", func(*web.Options) {}, "", []string{"Host", "10.0.0.1:8080"}, "host_not_allowed"},
		{"no host", func(*web.Options) {}, "", []string{"Host", ""}, "host_not_allowed"},
		{"away, no token set", away(""), "", nil, "no_token_set"},
		{"away, no token set, empty one sent", away(""), "?token=", []string{"Authorization", "Bearer "}, "no_token_set"},
		{"away, none sent", away("s3cret"), "", nil, "token_needed"},
		{"away, wrong one", away("s3cret"), "", []string{"Authorization", "Bearer s3cre"}, "token_needed"},
		{"away, other scheme", away("s3cret"), "", []string{"Authorization", "Basic s3cret"}, "token_needed"},
		{"away, bearer", away("s3cret"), "", []string{"Authorization", "Bearer s3cret"}, ""},
		{"away, bearer in small letters", away("s3cret"), "", []string{"Authorization", "bearer s3cret"}, ""},
		{"away, query", away("s3cret"), "?token=s3cret", nil, ""},
		{"away, wrong bearer beats query", away("s3cret"), "?token=s3cret", []string{"Authorization", "Bearer x"}, "token_needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := handler(t, &fake{}, c.setting)
			for _, path := range readPaths {
				r := ask(h, "GET", path+c.query, "", c.header...)
				body := text(t, r)
				refused := r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden
				if refused != (c.code != "") || refused && !strings.Contains(body, `"code":"`+c.code+`"`) {
					t.Errorf("%s answers %d %s", path, r.StatusCode, body)
				}
			}
			for _, path := range openPaths {
				if r := ask(h, "GET", path, "", c.header...); r.StatusCode != http.StatusOK {
					t.Errorf("%s answers %d", path, r.StatusCode)
				}
			}
		})
	}
}

func TestOtherSitesCannotAsk(t *testing.T) {
	h := handler(t, &fake{query: rows("x")})
	for name, header := range map[string][]string{
		"cross-site fetch": {"Sec-Fetch-Site", "cross-site"},
		"other origin":     {"Origin", "https://evil.example"},
	} {
		if r := ask(h, "POST", "/api/v1/sql", "SELECT 1", header...); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
		if r := ask(h, "POST", "/v1/events", "{}", header...); r.StatusCode != http.StatusOK {
			t.Errorf("%s: the front door answers %d", name, r.StatusCode)
		}
	}
	if r := ask(h, "POST", "/api/v1/sql", "SELECT 1", "Sec-Fetch-Site", "same-origin"); r.StatusCode != http.StatusOK {
		t.Errorf("same origin: %d", r.StatusCode)
	}
}

func TestHeaders(t *testing.T) {
	h := handler(t, &fake{})
	want := http.Header{
		"Content-Security-Policy": {"default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; " +
			"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Cache-Control":                {"no-store"},
	}
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/fragment": "text/html; charset=utf-8", "/api/v1/status": "application/json",
		"/api/v1/nothing": "application/json", "/readyz": "text/plain; charset=utf-8", "/nothing": "text/plain; charset=utf-8",
	} {
		got := ask(h, "GET", path, "").Header
		want.Set("Content-Type", contentType)
		for _, varies := range []string{"Etag", "Vary", "Content-Length"} {
			got.Del(varies)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("headers of %s (-want +got):\n%s", path, diff)
		}
	}
	if got := ask(h, "POST", "/v1/events", "{}").Header; got.Get("Content-Security-Policy") != "" {
		t.Errorf("the front door's answers carry headers for pages: %v", got)
	}
}
