package collect

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/internal/recorded"
)

// TestCloudEventsConformance runs the scenarios of the specification's own
// suite for HTTP.
func TestCloudEventsConformance(t *testing.T) {
	text, err := os.ReadFile(recorded.Path(t, "cloudevents-conformance", "features", "http-protocol-binding.feature"))
	if err != nil {
		t.Fatal(err)
	}
	scenarios := strings.Split(string(text), "Scenario Outline:")[1:]
	if len(scenarios) < 2 {
		t.Fatalf("%d scenarios", len(scenarios))
	}
	for _, s := range scenarios {
		blocks := strings.Split(s, `"""`)
		_, examples, _ := strings.Cut(s, "Examples:")
		for _, media := range cells(examples)[1:] {
			t.Run(media[0], func(t *testing.T) {
				e := conforming(t, strings.ReplaceAll(blocks[1], "<contentType>", media[0]))
				for _, row := range cells(s[strings.Index(s, "the attributes are:"):strings.Index(s, "And the data")])[1:] {
					want := strings.ReplaceAll(row[1], "<contentType>", media[0])
					if got, _ := e[row[0]].(string); got != want {
						t.Errorf("%s: %q, want %q", row[0], got, want)
					}
				}
				var data any
				if err := json.Unmarshal([]byte(blocks[3]), &data); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(data, e["data"]); diff != "" {
					t.Errorf("data (-want +got)\n%s", diff)
				}
			})
		}
	}
}

// cells reads the rows of a table.
func cells(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") {
			row := strings.Split(strings.Trim(line, "|"), "|")
			for i := range row {
				row[i] = strings.TrimSpace(row[i])
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// conforming sends a request as the suite writes it and returns what is kept.
func conforming(t *testing.T, text string) map[string]any {
	t.Helper()
	text = strings.TrimSpace(regexp.MustCompile(`(?m)^ {8}`).ReplaceAllString(text, ""))
	text = regexp.MustCompile(`Content-Length: \d+\n`).ReplaceAllString(text, "")
	head, body, _ := strings.Cut(text, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	d, m := newDoor(t, Options{})
	sent := httptest.NewRequest(http.MethodPost, "/v1/cloudevents?key=demo", strings.NewReader(body))
	sent.Header = r.Header
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, sent)
	if a := parse(t, w); w.Code != 200 || a.Accepted != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var e map[string]any
	if err := json.Unmarshal(m.last(t).Items[0].Raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCloudEventsBinary(t *testing.T) {
	head := map[string]string{"Ce-Id": "1", "Ce-Source": "/s", "Ce-Specversion": "1.0", "Ce-Type": "t"}
	for _, tt := range []struct {
		name, media, body string
		header            map[string]string
		want              map[string]any
	}{
		{"percent-encoded", "", "", map[string]string{"Ce-Subject": "Euro%20%E2%82%AC%20%F0%9F%98%80"}, map[string]any{"subject": "Euro € 😀"}},
		{"in quotes", "", "", map[string]string{"Ce-Subject": `"a \"b\" \\"`}, map[string]any{"subject": `a "b" \`}},
		{"UTF-8 as it is", "", "", map[string]string{"Ce-Subject": "Ünï"}, map[string]any{"subject": "Ünï"}},
		{"another encoding", "", "", map[string]string{"Ce-Subject": "\xdcn"}, map[string]any{"subject": "Ün"}},
		{"a percent that is none", "", "", map[string]string{"Ce-Subject": "100%"}, map[string]any{"subject": "100%"}},
		{"percent-encoded, no UTF-8", "", "", map[string]string{"Ce-Subject": "%ff"}, map[string]any{"subject": "%ff"}},
		{"JSON", "application/json", `[1]`, nil, map[string]any{"data": []any{1.0}, "datacontenttype": "application/json"}},
		{"another JSON", "application/geo+json; charset=utf-8", `{}`, nil, map[string]any{"data": map[string]any{}, "datacontenttype": "application/geo+json; charset=utf-8"}},
		{"JSON that is none", "application/json", `{`, nil, map[string]any{"data_base64": "ew==", "datacontenttype": "application/json"}},
		{"JSON with a name twice", "application/json", `{"a":1,"a":2}`, nil, map[string]any{"data_base64": "eyJhIjoxLCJhIjoyfQ==", "datacontenttype": "application/json"}},
		{"text", "text/plain", "hi \"you\"\n", nil, map[string]any{"data": "hi \"you\"\n", "datacontenttype": "text/plain"}},
		{"text that is none", "text/plain", "\xff", nil, map[string]any{"data_base64": "/w==", "datacontenttype": "text/plain"}},
		{"bytes", "image/png", "\x89P", nil, map[string]any{"data_base64": "iVA=", "datacontenttype": "image/png"}},
		{"a header that must not be", "text/plain", "", map[string]string{"Ce-Datacontenttype": "x", "Ce-Data": "y"}, map[string]any{"datacontenttype": "text/plain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, m := newDoor(t, Options{})
			c := call{path: "/ce?key=demo", body: tt.body, header: map[string]string{}}
			for _, h := range []map[string]string{head, tt.header} {
				maps.Copy(c.header, h)
			}
			if tt.media != "" {
				c.header["Content-Type"] = tt.media
			}
			if w := c.do(d); w.Code != 200 || parse(t, w).Accepted != 1 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			want := map[string]any{"id": "1", "source": "/s", "specversion": "1.0", "type": "t"}
			maps.Copy(want, tt.want)
			var got map[string]any
			if err := json.Unmarshal(m.last(t).Items[0].Raw, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWebhookHandshake(t *testing.T) {
	d, _ := newDoor(t, Options{Sources: []Source{{Name: "a", Keys: []string{"k"}}, {Name: "b", Keys: []string{"slow"}, Rate: 2}}})
	for path, want := range map[string][2]string{
		"/ce?key=k": {"eventemitter.example.com", "*"}, "/ce?key=slow": {"eventemitter.example.com", "120"}, "/ce?key=nope": {}, "/ce": {}, "/v1/events?key=k": {},
	} {
		w := call{method: http.MethodOptions, path: path, header: map[string]string{"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "10"}}.do(d)
		got := [2]string{w.Header().Get("WebHook-Allowed-Origin"), w.Header().Get("WebHook-Allowed-Rate")}
		if w.Code/100 != 2 || got != want {
			t.Errorf("%s: %d %q, want %q", path, w.Code, got, want)
		}
	}
}
