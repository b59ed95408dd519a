package collect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	gifimage "image/gif"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// clientSources are one for each way a key is spelt.
func clientSources() []Source {
	return []Source{
		{Name: "web", Keys: []string{"demo", "example.com"}, Origins: []string{"https://example.org"}},
		{Name: "app", Keys: []string{"app-key", "com.acme"}, ClientIP: event.IPFull},
	}
}

// TestClientAnswers is the part of docs/protocol-answers.md on clients of other
// servers, as a table.
func TestClientAnswers(t *testing.T) {
	const (
		tp2 = "/com.snowplowanalytics.snowplow/tp2"
		pp  = `{"e":"pp","eid":"1","aid":"demo"}`
		ph  = `{"event":"P","distinct_id":"u","api_key":"demo"}`
		ce  = `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}`
	)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	binary := map[string]string{"Ce-Id": "1", "Ce-Source": "/s", "Ce-Specversion": "1.0", "Ce-Type": "t", "Content-Type": "application/json"}
	tests := []struct {
		name                  string
		call                  call
		status                int
		accepted, quarantined int
		code                  string
	}{
		{"segment, import", call{path: "/v1/import?key=demo", body: `{"batch":[{"type":"page"}]}`}, 200, 1, 0, ""},
		{"segment, beacon", call{path: "/beacon/v1/batch?writeKey=demo", body: `{"batch":[{"type":"page"}]}`}, 200, 1, 0, ""},
		{"segment, JSON under a form's type", call{path: "/v1/batch?key=demo", body: `{"batch":[{"type":"page"}]}`, header: form}, 200, 1, 0, ""},
		{"jitsu", call{path: "/api/s/track", body: `{"event":"P","writeKey":"demo:***"}`, header: map[string]string{"X-Write-Key": "demo:secret"}}, 200, 1, 0, ""},
		{"jitsu, another key", call{path: "/api/s/track", body: `{}`, header: map[string]string{"X-Write-Key": "nope:demo"}}, 401, 0, 0, "unknown_write_key"},

		{"snowplow", call{path: tp2, body: `{"schema":"iglu:a","data":[` + pp + `]}`}, 200, 1, 0, ""},
		{"snowplow, no outer schema", call{path: tp2, body: `{"data":[` + pp + `]}`}, 200, 1, 0, ""},
		{"snowplow, one bad of two", call{path: tp2, body: `{"data":[` + pp + `,{"e":"ue","aid":"demo","ue_px":"%%"}]}`}, 200, 1, 1, "bad_embedded"},
		{"snowplow, ue_px that is not base64", call{path: tp2, body: `{"data":[{"e":"ue","aid":"demo","ue_px":"!"}]}`}, 200, 0, 1, "bad_embedded"},
		{"snowplow, cut short", call{path: tp2, body: `{"data":[` + pp + `,{"e":"p`}, 200, 1, 1, "truncated"},
		{"snowplow, another vendor's path", call{path: "/com.acme/v1", body: `{"data":[{"e":"pp"}]}`}, 200, 1, 0, ""},
		{"snowplow, another path that ends in tp2", call{path: "/anything/tp2", body: `{"data":[` + pp + `]}`}, 200, 1, 0, ""},
		{"snowplow, no key", call{path: tp2, body: `{"data":[{"e":"pp"}]}`}, 401, 0, 0, "no_write_key"},
		{"snowplow, unknown key", call{path: tp2, body: `{"data":[{"e":"pp","aid":"nope"}]}`}, 401, 0, 0, "unknown_write_key"},
		{"snowplow, nothing", call{path: tp2 + "?key=demo", body: `{"data":[]}`}, 200, 0, 0, ""},
		{"snowplow, redirects are off", call{path: "/r/tp2/more?u=https://evil.example", body: pp}, 404, 0, 0, "unknown_path"},
		{"snowplow, a bomb under another label", call{path: tp2, body: gz(strings.Repeat("[", 8<<20)), header: map[string]string{"Content-Encoding": "br"}}, 413, 0, 0, "too_dense"},
		{"a misspelt path", call{path: "/v1/evnts", body: pp}, 404, 0, 0, "unknown_path"},

		{"posthog, batch", call{path: "/batch/", body: `{"api_key":"demo","batch":[{"event":"P"},{"event":""}]}`}, 200, 1, 1, "missing_name"},
		{"posthog, one", call{path: "/i/v0/e/", body: ph}, 200, 1, 0, ""},
		{"posthog, capture", call{path: "/capture/", body: ph}, 200, 1, 0, ""},
		{"posthog, gzip as text", call{path: "/e/?compression=gzip-js", body: gz(ph), header: map[string]string{"Content-Type": "text/plain"}}, 200, 1, 0, ""},
		{"posthog, form", call{path: "/e/", body: "data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(ph))), header: form}, 200, 1, 0, ""},
		{"posthog, form with plain JSON", call{path: "/e/", body: "data=" + url.QueryEscape(ph) + "&ip=1", header: form}, 200, 1, 0, ""},
		{"posthog, base64", call{path: "/e/?compression=base64", body: base64.StdEncoding.EncodeToString([]byte(ph))}, 200, 1, 0, ""},
		{"posthog, get", call{method: http.MethodGet, path: "/e/?data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(ph)))}, 200, 1, 0, ""},
		{"posthog, a form that does not decode", call{path: "/e/?key=demo", body: "data=%zz", header: form}, 200, 0, 1, "bad_form"},
		{"posthog, neither JSON nor base64", call{path: "/e/?key=demo", body: "hello!"}, 200, 0, 1, "not_an_object"},
		{"posthog, no key", call{path: "/e/", body: `{"event":"P"}`}, 401, 0, 0, "no_write_key"},

		{"cloudevents, structured", call{path: "/ce?key=demo", body: ce, header: map[string]string{"Content-Type": "application/cloudevents+json"}}, 200, 1, 0, ""},
		{"cloudevents, batch", call{path: "/v1/cloudevents?key=demo", body: "[" + ce + ",{}]", header: map[string]string{"Content-Type": "application/cloudevents-batch+json"}}, 200, 1, 1, "missing_attribute"},
		{"cloudevents, binary", call{path: "/ce?key=demo", body: `{"a":1}`, header: binary}, 200, 1, 0, ""},
		{"cloudevents, binary without source", call{path: "/ce?key=demo", body: `{}`, header: map[string]string{"Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": "t"}}, 200, 0, 1, "missing_attribute"},
		{"cloudevents, another format", call{path: "/ce?key=demo", body: "Obj\x01", header: map[string]string{"Content-Type": "application/cloudevents+avro"}}, 200, 0, 1, "not_an_object"},
		{"cloudevents, no key", call{path: "/ce", body: ce}, 401, 0, 0, "no_write_key"},

		{"plausible", call{path: "/api/event", body: `{"n":"pageview","u":"https://a","d":"example.com"}`}, 202, 1, 0, ""},
		{"plausible, no name", call{path: "/api/event", body: `{"d":"example.com"}`}, 202, 0, 1, "missing_name"},
		{"plausible, a form", call{path: "/api/event?key=demo", body: "n=pageview", header: form}, 202, 0, 1, "not_an_object"},
		{"plausible, another site", call{path: "/api/event", body: `{"n":"pageview","d":"other.com"}`}, 401, 0, 0, "unknown_write_key"},
		{"plausible, forged origin", call{path: "/api/event", body: `{"n":"pageview","d":"example.com"}`, header: map[string]string{"Origin": "https://evil.example"}}, 403, 0, 0, "origin_not_allowed"},

		{"pixel, no key", call{method: http.MethodGet, path: "/v1/pixel.gif?name=a"}, 401, 0, 0, "no_write_key"},
		{"pixel, posted", call{path: "/v1/pixel.gif?name=a&key=demo"}, 405, 0, 0, "wrong_method"},
		{"native, by get", call{method: http.MethodGet, path: "/v1/events?key=demo&name=a"}, 405, 0, 0, "wrong_method"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, m := newDoor(t, Options{Sources: clientSources()})
			w := tt.call.do(d)
			a := parse(t, w)
			if w.Code != tt.status || a.Accepted != tt.accepted || a.Quarantined != tt.quarantined {
				t.Fatalf("got %d, accepted %d, quarantined %d; want %d, %d, %d\n%.400s", w.Code, a.Accepted, a.Quarantined, tt.status, tt.accepted, tt.quarantined, w.Body)
			}
			if ok, q := m.counts(); ok != tt.accepted || q != tt.quarantined {
				t.Errorf("journalled %d and %d refused", ok, q)
			}
			if w.Code/100 == 2 {
				checkCode(t, a, 200, tt.code)
			} else {
				checkCode(t, a, w.Code, tt.code)
			}
		})
	}
}

// What is asked for as an image is answered with one.
func TestImages(t *testing.T) {
	if size, err := gifimage.DecodeConfig(bytes.NewReader(gif)); err != nil || size.Width != 1 || size.Height != 1 {
		t.Errorf("the image: %+v, %v", size, err)
	}
	for path, want := range map[string][2]int{
		"/v1/pixel.gif?key=demo&name=Mail+Opened&a=%C3%BC": {1, 0},
		"/v1/pixel?key=demo&name=a&name=b":                 {0, 1}, // a name twice
		"/v1/pixel?key=demo&name=%ff":                      {0, 1},
		"/v1/pixel?key=demo&name=%zz":                      {0, 1},
		"/v1/pixel?key=demo":                               {0, 0},
		"/i?e=pp&aid=demo":                                 {1, 0},
		"/ice.png?e=pv&aid=demo&url=https%3A%2F%2Fa":       {1, 0},
		"/com.acme/tp1?e=pp":                               {1, 0},
		"/i?e=ue&ue_px=%25&aid=demo":                       {0, 1},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			d, m := newDoor(t, Options{Sources: clientSources()})
			w := call{method: method, path: path}.do(d)
			if w.Code != 200 || w.Header().Get("Content-Type") != "image/gif" || w.Body.Len() != 43 || !strings.Contains(w.Header().Get("Cache-Control"), "no-store") {
				t.Errorf("%s: %d %v, %d bytes", path, w.Code, w.Header(), w.Body.Len())
			}
			if ok, bad := m.counts(); ok != want[0] || bad != want[1] {
				t.Errorf("%s: journalled %d and %d refused, want %v", path, ok, bad, want)
			}
		}
	}
}

// lastEvent is what the loader makes of the only event journalled last.
func lastEvent(t *testing.T, m *memory) event.Envelope {
	t.Helper()
	b := m.last(t)
	p, _ := protocol.ByName(b.Protocol)
	d := protocol.NewDecoder(p, protocol.Limits{})
	d.Begin(b.Shared)
	e, err := d.Read(&b.Items[0])
	if err != nil || len(b.Items) != 1 {
		t.Fatalf("%d items: %v", len(b.Items), err)
	}
	return e
}

func TestSnowplowCookie(t *testing.T) {
	const known = "8d965648-9175-4d03-bbde-e2807141d7f2"
	tests := []struct {
		name          string
		header        map[string]string
		cookie, owner string // of the answer, and of the event; * is a new one
		address       string
	}{
		{"a server", nil, "", "", "192.0.2.1"},
		{"a page", map[string]string{"Origin": "https://example.org"}, "*", "*", "192.0.2.1"},
		{"a page that was here", map[string]string{"Cookie": "a=b; sp=" + known}, known, known, "192.0.2.1"},
		{"an abused cookie", map[string]string{"Cookie": "sp=alert(1)"}, "*", "*", "192.0.2.1"},
		{"anonymous", map[string]string{"Sp-Anonymous": "*", "Cookie": "sp=" + known}, "expired", "", ""},
		{"anonymous, no cookie", map[string]string{"Sp-Anonymous": "*", "Origin": "https://example.org"}, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, m := newDoor(t, Options{Sources: clientSources()})
			w := call{path: "/com.acme/tp2", body: `{"data":[{"e":"pp"}]}`, header: tt.header}.do(d)
			if w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			cookie, owner := w.Header().Get("Set-Cookie"), lastEvent(t, m).AnonymousID
			switch tt.cookie {
			case "":
				if cookie != "" {
					t.Errorf("sets %q", cookie)
				}
			case "expired":
				if !strings.HasPrefix(cookie, "sp=;") || !strings.HasSuffix(cookie, "Max-Age=0") {
					t.Errorf("sets %q", cookie)
				}
			case "*":
				if !isUUID(owner) || owner == known || !strings.HasPrefix(cookie, "sp="+owner+";") {
					t.Errorf("sets %q for %q", cookie, owner)
				}
			default:
				if owner != tt.cookie || !strings.HasPrefix(cookie, "sp="+owner+"; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=31536000") {
					t.Errorf("sets %q for %q", cookie, owner)
				}
			}
			if tt.owner == "" && owner != "" {
				t.Errorf("belongs to %q", owner)
			}
			if got := m.last(t).ClientIP; got != tt.address {
				t.Errorf("address %q, want %q", got, tt.address)
			}
		})
	}
}

// The parameters of a POST win over those of its events, and one that is
// refused costs nothing.
func TestSnowplowQuery(t *testing.T) {
	d, m := newDoor(t, Options{Sources: clientSources()})
	for query, user := range map[string]string{"uid=q&key=demo": "q", "uid=q&uid=r": "u", "uid=%ff": "u", "%zz": "u"} {
		w := call{path: "/com.acme/tp2?" + query, body: `{"data":[{"e":"pp","uid":"u"}]}`}.do(d)
		if got := lastEvent(t, m).UserID; w.Code != 200 || got != user {
			t.Errorf("%s: %d, user %q, want %q", query, w.Code, got, user)
		}
	}
}

func TestVisitors(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	d, m := newDoor(t, Options{Sources: clientSources(), Now: func() time.Time { return now }, TrustedProxies: proxies})
	visit := func(domain, address, agent string) string {
		w := call{path: "/api/event", body: `{"n":"pageview","d":"` + domain + `"}`, header: map[string]string{"X-Forwarded-For": address, "User-Agent": agent}}.do(d)
		if w.Code != http.StatusAccepted {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return lastEvent(t, m).AnonymousID
	}
	first := visit("example.com", "198.51.100.7", "A")
	if first == "" || visit("example.com", "198.51.100.7", "A") != first {
		t.Error("one visitor is two")
	}
	others := []string{
		visit("example.com", "198.51.100.8", "A"), visit("example.com", "198.51.100.7", "B"), visit("app-key", "198.51.100.7", "A"),
	}
	now = now.Add(24 * time.Hour)
	for _, other := range append(others, visit("example.com", "198.51.100.7", "A")) {
		if other == first {
			t.Error("two visitors are one")
		}
	}
}

// What browsers' clients ask for before they send anything.
func TestBoot(t *testing.T) {
	d, m := newDoor(t, Options{Sources: clientSources()})
	page := map[string]string{"Origin": "https://anyone.test", "Host": "events.example"}
	for path, key := range map[string]string{"/v1/projects/demo/settings": "demo", "/some/cdn/v1/projects/app-key/settings": "app-key"} {
		w := call{method: http.MethodGet, path: path, header: page}.do(d)
		var got struct {
			Integrations map[string]struct{ APIKey, APIHost, Protocol string }
			Plan         json.RawMessage
			Metrics      struct{ SampleRate *float64 }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%s: %d %v %v", path, w.Code, err, w.Header())
		}
		want := map[string]struct{ APIKey, APIHost, Protocol string }{"Segment.io": {key, "events.example/v1", "https"}}
		if diff := cmp.Diff(want, got.Integrations); diff != "" || *got.Metrics.SampleRate != 0 {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
	for path, want := range map[string]string{
		"/array/demo/config":    `"hasFeatureFlags":false`,
		"/array/demo/config.js": `window._POSTHOG_REMOTE_CONFIG["demo"]={config:{`,
		"/flags/?v=2":           `"errorsWhileComputingFlags":false`,
		"/decide/":              `"featureFlags":{}`,
		"/v1/m":                 `"success":true`,
	} {
		method := http.MethodPost
		if strings.HasPrefix(path, "/array") {
			method = http.MethodGet
		}
		w := call{method: method, path: path, header: page, body: `{"token":"demo"}`}.do(d)
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if !strings.HasSuffix(path, ".js") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: no JSON: %s", path, w.Body)
		}
	}
	for path, status := range map[string]int{
		"/v1/projects/nope/settings": 401, "/array/nope/config": 401, "/v1/projects//settings": 404, "/v1/projects/a/b/settings": 404, "/array/demo/else": 404,
		"/flags": 405,
	} {
		if w := (call{method: http.MethodGet, path: path}).do(d); w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
	}
	if len(m.batches) != 0 {
		t.Errorf("%d batches stored", len(m.batches))
	}
	// A page whose origin is listed may ask with credentials.
	w := call{method: http.MethodGet, path: "/array/demo/config", header: map[string]string{"Origin": "https://example.org"}}.do(d)
	checkGrant(t, "config", w.Header(), "https://example.org", true)
}

func TestScheme(t *testing.T) {
	for _, tt := range []struct{ host, origin, proto, want string }{
		{"events.example", "https://a.example", "", "https"},
		{"events.example", "http://a.example", "", "http"},
		{"events.example", "http://a.example", "https", "https"},
		{"events.example", "", "", "https"},
		{"localhost:8080", "", "", "http"},
		{"127.0.0.1:8080", "https://a.example", "", "http"},
		{"[::1]:8080", "", "", "http"},
	} {
		r := &http.Request{Host: tt.host, Header: http.Header{"Origin": {tt.origin}, "X-Forwarded-Proto": {tt.proto}}}
		if got := scheme(r); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// A protocol's clients are told to come back by the status they come back for.
func TestComeBackByClient(t *testing.T) {
	now := time.Unix(1e9, 0)
	d, _ := newDoor(t, Options{Sources: []Source{{Name: "s", Keys: []string{"k"}, Rate: 1, Origins: []string{"https://example.org"}}}, Now: func() time.Time { return now }})
	for path, want := range map[string]int{
		"/v1/events": 429, "/v1/t": 429, "/api/s/track": 503, "/com.acme/tp2": 503, "/e/": 503, "/ce": 429, "/api/event": 503,
	} {
		now = now.Add(time.Hour)
		c := call{path: path + "?key=k", body: `{"a":1}`, header: map[string]string{"Origin": "https://example.org"}}
		if w := c.do(d); w.Code/100 != 2 {
			t.Errorf("%s: first: %d", path, w.Code)
		}
		w := c.do(d)
		if w.Code != want || parse(t, w).Error.Code != "rate_limited" || w.Header().Get("Access-Control-Expose-Headers") != "Retry-After" {
			t.Errorf("%s: second: %d %s", path, w.Code, w.Body)
		}
		checkRetryAfter(t, w.Header(), w.Code)
	}
}

var proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
