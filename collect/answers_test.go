package collect

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/collect/protocol"
)

// TestAnswers is docs/protocol-answers.md as a table.
func TestAnswers(t *testing.T) {
	const key = "/v1/events?key=demo"
	track := `{"messageId":"m1","event":"Played","userId":"u"}`
	tests := []struct {
		name                  string
		call                  call
		status                int
		accepted, quarantined int
		code                  string // of the error, or contained in the first quarantine reason
	}{
		// Native shapes.
		{"object", call{path: key, body: one}, 200, 1, 0, ""},
		{"array", call{path: key, body: "[" + one + "," + one + "]"}, 200, 2, 0, ""},
		{"batch", call{path: key, body: `{"batch":[` + one + `]}`}, 200, 1, 0, ""},
		{"lines", call{path: key, body: one + "\n" + one + "\n"}, 200, 2, 0, ""},
		{"empty body", call{path: key}, 200, 0, 0, ""},
		{"empty batch", call{path: key, body: `{"batch":[]}`}, 200, 0, 0, ""},
		{"trailing slash", call{path: "/v1/events/?key=demo", body: one}, 200, 1, 0, ""},
		{"chunked", call{path: key, body: one, chunked: true}, 200, 1, 0, ""},
		// Mixed and bad events.
		{"one bad of three", call{path: key, body: "[" + one + "," + bad + "," + one + "]"}, 200, 2, 1, "missing_name"},
		{"a line that is no JSON", call{path: key, body: one + "\nnope\n" + one}, 200, 2, 1, "not_an_object"},
		{"not JSON at all", call{path: key, body: "hello"}, 200, 0, 1, "not_an_object"},
		{"duplicate key", call{path: key, body: `{"name":"a","name":"b"}`}, 200, 0, 1, "duplicate_key"},
		{"invalid UTF-8", call{path: key, body: "{\"name\":\"\xff\"}"}, 200, 0, 1, "invalid_utf8"},
		{"too deep", call{path: key, body: `{"name":"a","properties":{"d":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}}"}, 200, 0, 1, "too_deep"},
		{"oversize event", call{path: key, body: `{"name":"a","properties":{"s":"` + strings.Repeat("x", 2<<20) + `"}}`}, 200, 0, 1, "too_l"},
		{"too many events", call{path: key, body: strings.Repeat(`{"name":"a"}`+"\n", 10_001)}, 200, 10_000, 1, "too_many_events"},
		{"clock in 1970", call{path: key, body: `{"name":"a","time":"1970-01-01T00:00:00Z"}`}, 200, 1, 0, ""},
		{"clock in 9999", call{path: key, body: `{"name":"a","time":"9999-12-31T23:59:59Z"}`}, 200, 1, 0, ""},
		{"NUL escaped", call{path: key, body: `{"name":"a\u0000b"}`}, 200, 1, 0, ""},
		{"NUL bare", call{path: key, body: "{\"name\":\"a\x00b\"}"}, 200, 0, 1, "invalid_json"},
		{"1e400", call{path: key, body: `{"name":"a","properties":{"n":1e400}}`}, 200, 0, 1, "number_range"},
		{"19 digits", call{path: key, body: `{"name":"a","properties":{"n":12345678901234567890}}`}, 200, 1, 0, ""},
		{"a number of 5,000 digits", call{path: key, body: `{"name":"a","properties":{"n":` + strings.Repeat("9", 5000) + `}}`}, 200, 0, 1, "number"},
		// Encodings.
		{"gzip", call{path: key, body: gz(one)}, 200, 1, 0, ""},
		{"gzip of nothing", call{path: key, body: gz("")}, 200, 0, 0, ""},
		{"zstd", call{path: key, body: zs(one)}, 200, 1, 0, ""},
		{"gzip not announced, other type", call{path: key, body: gz(one), header: map[string]string{"Content-Type": "text/plain"}}, 200, 1, 0, ""},
		{"announced but plain", call{path: key, body: one, header: map[string]string{"Content-Encoding": "gzip"}}, 200, 1, 0, ""},
		{"announced as br but gzip", call{path: key, body: gz(one), header: map[string]string{"Content-Encoding": "br"}}, 200, 1, 0, ""},
		{"gzip cut short", call{path: key, body: gz(one)[:20]}, 200, 0, 1, "truncated_body"},
		{"gzip header only", call{path: key, body: "\x1f\x8b\x08"}, 200, 0, 1, "truncated_body"},
		{"gzip with a wrong checksum", call{path: key, body: gz(one)[:len(gz(one))-8] + "00000000"}, 200, 0, 1, "bad_compression"},
		{"zstd cut short", call{path: key, body: zs(one)[:12]}, 200, 0, 1, "truncated_body"},
		{"zstd rubbish", call{path: key, body: "\x28\xb5\x2f\xfdrubbish and more"}, 200, 0, 1, ""},
		{"compressed twice", call{path: key, body: gz(gz(one))}, 200, 0, 1, "nested_compression"},
		// Keys.
		{"no key", call{path: "/v1/events", body: one}, 401, 0, 0, "no_write_key"},
		{"unknown key", call{path: "/v1/events?key=nope", body: one}, 401, 0, 0, "unknown_write_key"},
		{"unknown key in the body", call{path: "/v1/events", body: `{"writeKey":"nope","name":"a"}`}, 401, 0, 0, "unknown_write_key"},
		{"key in the body", call{path: "/v1/events", body: `{"writeKey":"demo","batch":[` + one + `]}`}, 200, 1, 0, ""},
		{"key in the event", call{path: "/v1/events", body: `{"writeKey":"demo","name":"a"}`}, 200, 1, 0, ""},
		{"no key, not JSON", call{path: "/v1/events", body: "hello"}, 401, 0, 0, "no_write_key"},
		{"no key, broken gzip", call{path: "/v1/events", body: gz(one)[:20]}, 401, 0, 0, "no_write_key"},
		{"writeKey in the query", call{path: "/v1/events?writeKey=old-demo", body: one}, 200, 1, 0, ""},
		{"bearer", call{path: "/v1/events", body: one, header: map[string]string{"Authorization": "Bearer demo"}}, 200, 1, 0, ""},
		{"someone else's bearer beside a key in the body", call{path: "/v1/batch", body: `{"writeKey":"demo","batch":[]}`, header: map[string]string{"Authorization": "Bearer oauth"}}, 200, 0, 0, ""},
		{"basic", call{path: "/v1/events", body: one, header: map[string]string{"Authorization": "Basic ZGVtbzo="}}, 200, 1, 0, ""},
		{"basic without colon", call{path: "/v1/events", body: one, header: map[string]string{"Authorization": "basic ZGVtbw=="}}, 200, 1, 0, ""},
		{"basic with password", call{path: "/v1/events", body: one, header: map[string]string{"Authorization": "Basic ZGVtbzpwdw=="}}, 200, 1, 0, ""},
		{"basic, not base64", call{path: "/v1/events", body: one, header: map[string]string{"Authorization": "Basic %%%"}}, 401, 0, 0, "no_write_key"},
		{"basic, unknown", call{path: "/v1/events", body: one, header: map[string]string{"Authorization": "Basic bm9wZTo="}}, 401, 0, 0, "unknown_write_key"},
		{"X-Write-Key", call{path: "/v1/events", body: one, header: map[string]string{"X-Write-Key": "demo"}}, 200, 1, 0, ""},
		{"a key of 10,000 bytes", call{path: "/v1/events?key=" + strings.Repeat("k", 10_000), body: one}, 401, 0, 0, "unknown_write_key"},
		// Segment.
		{"segment batch", call{path: "/v1/batch?key=demo", body: `{"batch":[{"type":"track","event":"a"}],"sentAt":"2026-11-22T10:00:00Z"}`}, 200, 1, 0, ""},
		{"segment batch, one bad", call{path: "/v1/b?key=demo", body: `{"batch":[{"type":"track","event":"a"},{"type":"track"}]}`}, 200, 1, 1, "missing_name"},
		{"segment track", call{path: "/v1/track?key=demo", body: track}, 200, 1, 0, ""},
		{"segment t", call{path: "/v1/t?key=demo", body: track}, 200, 1, 0, ""},
		{"segment not JSON", call{path: "/v1/batch?key=demo", body: "}{"}, 200, 0, 1, "not_an_object"},
		{"segment empty batch", call{path: "/v1/batch?key=demo", body: `{"batch":[]}`}, 200, 0, 0, ""},
		{"segment no key", call{path: "/v1/batch", body: `{"batch":[]}`}, 401, 0, 0, "no_write_key"},
		// Paths, methods, sizes.
		{"unknown path", call{path: "/v1/nothing?key=demo", body: one}, 404, 0, 0, "unknown_path"},
		{"doubled slash", call{path: "//v1/events?key=demo", body: one}, 404, 0, 0, "unknown_path"},
		{"get", call{method: http.MethodGet, path: key}, 405, 0, 0, "wrong_method"},
		{"larger than the limit", call{path: key, body: strings.Repeat("x", 20<<20+1)}, 413, 0, 0, "too_large"},
		{"larger than the limit, length unknown", call{path: key, body: strings.Repeat("x", 20<<20+1), chunked: true}, 413, 0, 0, "too_large"},
		{"origin of another site", call{path: key, body: one, header: map[string]string{"Origin": "https://evil.example"}}, 403, 0, 0, "origin_not_allowed"},
		{"origin of another site, key in the body", call{path: "/v1/events", body: `{"writeKey":"demo","name":"a"}`, header: map[string]string{"Origin": "https://evil.example"}}, 403, 0, 0, "origin_not_allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, m := newDoor(t, Options{})
			w := tt.call.do(d)
			a := parse(t, w)
			if w.Code != tt.status || a.Accepted != tt.accepted || a.Quarantined != tt.quarantined {
				t.Fatalf("got %d, accepted %d, quarantined %d; want %d, %d, %d\n%.400s", w.Code, a.Accepted, a.Quarantined, tt.status, tt.accepted, tt.quarantined, w.Body)
			}
			if ok, q := m.counts(); ok != tt.accepted || q != tt.quarantined {
				t.Errorf("journalled %d and %d refused", ok, q)
			}
			checkCode(t, a, tt.status, tt.code)
			if strings.HasPrefix(tt.call.path, "/v1/events") && w.Code == 200 && len(a.Results) != tt.accepted+tt.quarantined {
				t.Errorf("%d results", len(a.Results))
			}
			if n, b := d.gate.inFlight(); n != 0 || b != 0 {
				t.Errorf("the gate still holds %d requests, %d bytes", n, b)
			}
		})
	}
}

func checkCode(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if status != 200 {
		if a.Error == nil || a.Error.Code != code {
			t.Fatalf("error %+v, want code %q", a.Error, code)
		}
		if a.Error.Message == "" || a.Error.Where == "" || a.Error.Fix == "" {
			t.Errorf("an error says what, where and the fix: %+v", a.Error)
		}
		return
	}
	if a.Error != nil {
		t.Errorf("a 2xx with an error: %+v", a.Error)
	}
	for _, r := range a.Results {
		if r.Status == "quarantined" {
			if !strings.Contains(r.Reason, code) {
				t.Errorf("reason %q does not contain %q", r.Reason, code)
			}
			return
		}
	}
}

func TestNativeResultsAreInOrder(t *testing.T) {
	d, m := newDoor(t, Options{})
	body := "[" + one + "," + bad + `,{"name":"no id"},{"id":"quote \" and é","name":"x"}]`
	w := call{path: "/v1/events?key=demo", body: body}.do(d)
	a := parse(t, w)
	var got []string
	for _, r := range a.Results {
		got = append(got, r.ID+"="+r.Status)
	}
	want := []string{"e1=ok", "e2=quarantined", "=ok", `quote " and é=ok`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	b := m.last(t)
	if !b.ReceivedAt.Equal(a.ReceivedAt) || a.ReceivedAt.IsZero() {
		t.Errorf("answered %v, journalled %v", a.ReceivedAt, b.ReceivedAt)
	}
	if string(b.Items[1].Raw) != bad || string(b.Items[0].Raw) != one {
		t.Error("raw bytes were changed")
	}
}

func TestSegmentAnswer(t *testing.T) {
	d, m := newDoor(t, Options{})
	w := call{path: "/v1/batch?key=demo", body: `{"batch":[{"type":"track","event":"a"},{"type":"track","messageId":"m2"}]}`}.do(d)
	a := parse(t, w)
	if a.Success == nil || !*a.Success || len(a.Results) != 1 || *a.Results[0].Index != 1 || a.Results[0].ID != "m2" {
		t.Errorf("%s", w.Body)
	}
	if b := m.last(t); b.Protocol != "segment" || b.Source != "web" {
		t.Errorf("journalled as %q of %q", b.Protocol, b.Source)
	}
}

func TestEventLimits(t *testing.T) {
	d, _ := newDoor(t, Options{Limits: Limits{Events: protocol.Limits{Events: 2, EventBytes: 100}}})
	long := `{"name":"` + strings.Repeat("x", 100) + `"}`
	w := call{path: "/v1/events?key=demo", body: "[" + one[:len(one)-len(`,"properties":{"n":1}}`)] + "}," + long + "," + one + "]"}.do(d)
	if a := parse(t, w); a.Accepted != 1 || a.Quarantined != 2 {
		t.Errorf("%s", w.Body)
	}
}

func TestUndecodableBodyIsKeptWhole(t *testing.T) {
	d, m := newDoor(t, Options{})
	body := gz(one)[:30]
	call{path: "/v1/events?key=demo", body: body}.do(d)
	if got := m.last(t).Items[0].Raw; string(got) != body {
		t.Errorf("kept %q, sent %q", got, body)
	}
}

func TestReuseLeaksNothing(t *testing.T) {
	d, m := newDoor(t, Options{})
	call{path: "/v1/batch?key=demo", body: gz(`{"batch":[{"type":"track","event":"a"}],"context":{"secret":1}}`)}.do(d)
	call{path: "/v1/batch?key=demo", body: gz(one)[:20]}.do(d)
	call{path: "/v1/events?key=app-key", body: one}.do(d)
	if b := m.last(t); b.Source != "app" || strings.Contains(string(b.Shared), "secret") || len(b.Items) != 1 {
		t.Errorf("%+v", b)
	}
	if b := m.batches[1]; strings.Contains(string(b.Shared), "secret") {
		t.Errorf("shared fields of another request: %s", b.Shared)
	}
}
