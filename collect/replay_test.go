package collect

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/recorded"
)

// captured is one request as a real client sent it.
type captured struct {
	Method, URL string
	Headers     map[string]string
	Body        string
	Gzip        bool `json:"sniffed_gzip"`
}

// clients are those recorded, and how an id of theirs is spelt in a request;
// "" for one that sends none, whose events are told apart by their text.
var clients = map[string]string{
	"segment-node": messageID, "segment-go": messageID, "rudder-node": messageID, "rudder-go": messageID, "browser-segment": messageID,
	"jitsu": messageID, "browser-jitsu": messageID,
	"snowplow-node": eid, "snowplow-go": eid, "snowplow-node-get": `[?&]eid=([^&]*)`, "snowplow-node-keep": eid, "browser-snowplow": eid,
	"posthog-node": `"uuid":"([^"]+)"`, "browser-posthog": `"uuid":"([^"]+)"`, "posthog-go": `"timestamp":"([^"]+)"`,
	"cloudevents": `"id":"([^"]+)"`, "cloudevents-go": `"id":"([^"]+)"`, "browser-plausible": "",
}

const (
	messageID = `"messageId":"([^"]+)"`
	eid       = `"eid":"([^"]+)"`
)

// TestReplay sends what unmodified clients sent, in calm and when connections
// broke and answers were lost or failed: every request is taken, and every
// distinct event in them is counted once.
func TestReplay(t *testing.T) {
	for client, id := range clients {
		files, err := filepath.Glob(filepath.Join(recorded.Path(t, "captures", client), "*.requests.jsonl"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no recordings of %s: %v", client, err)
		}
		for _, file := range files {
			scenario, _, _ := strings.Cut(filepath.Base(file), ".")
			t.Run(client+"/"+scenario, func(t *testing.T) { replay(t, file, id) })
		}
	}
}

func replay(t *testing.T, file, id string) {
	d, m := newDoor(t, Options{Sources: []Source{{Name: "sdk", Keys: []string{"wk_test", "k", "phc_test", "app", "web", "example.com"}}}})
	want, ids := make(map[string]bool), regexp.MustCompile(id)
	requests := recordedRequests(t, file)
	if len(requests) == 0 {
		t.Skip("no body was recorded: the connection was reset before it was read")
	}
	for _, c := range requests {
		r := c.request()
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code/100 != 2 {
			t.Fatalf("%s: %d %s", c.URL, w.Code, w.Body)
		}
		for _, found := range c.ids(ids, id) {
			want[found] = true
		}
	}
	got := counted(t, m)
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("%d distinct events sent, %d counted", len(want), len(got))
	}
	for _, e := range got {
		for found := range want {
			if id != "" && strings.Contains(e, found) {
				delete(want, found)
			}
		}
	}
	if id != "" && len(want) > 0 && !strings.Contains(id, "timestamp") {
		t.Errorf("not counted: %v", want)
	}
}

// recordedRequests are those of a file that were recorded whole.
func recordedRequests(t *testing.T, file string) (list []captured) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 64<<20); lines.Scan(); {
		var c captured
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		empty := c.Body == "" && c.Method == http.MethodPost && c.Headers["ce-id"] == ""
		if !empty && c.Method != http.MethodOptions && !strings.HasPrefix(c.Body, "!") && !strings.HasSuffix(c.Body, "…") {
			list = append(list, c)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// request makes the request again; bodies were recorded expanded.
func (c captured) request() *http.Request {
	body := c.Body
	if c.Gzip || strings.Contains(c.Headers["content-encoding"], "gzip") {
		body = gz(body)
	}
	r := httptest.NewRequest(c.Method, c.URL, strings.NewReader(body))
	for k, v := range c.Headers {
		if k != "content-length" && k != "host" {
			r.Header.Set(k, v)
		}
	}
	if c.URL == "/ce" {
		r.Header.Set("X-Write-Key", "wk_test") // no CloudEvent names one
	}
	return r
}

// ids finds the events of a request by the dumbest means.
func (c captured) ids(spelling *regexp.Regexp, id string) (found []string) {
	if strings.HasSuffix(c.URL, "/m") {
		return nil
	}
	if c.Headers["ce-id"] != "" {
		return []string{c.Headers["ce-id"]}
	}
	if id == "" {
		return []string{c.Body}
	}
	text := c.Body
	if c.Method == http.MethodGet {
		text, _ = url.PathUnescape(c.URL)
	}
	matches := spelling.FindAllStringSubmatch(text, -1)
	if strings.HasPrefix(text, `{"messageId":`) && strings.Contains(text, `"batch":[`) {
		matches = matches[1:] // a batch's own
	}
	for _, m := range matches {
		found = append(found, m[1])
	}
	return found
}

// counted are the events the loader would count: one id, one payload.
func counted(t *testing.T, m *memory) (ids []string) {
	t.Helper()
	payloads := make(map[string]uint64)
	for _, b := range m.batches {
		p, _ := protocol.ByName(b.Protocol)
		d := protocol.NewDecoder(p, protocol.Limits{})
		d.Begin(b.Shared)
		for _, item := range b.Items {
			e, err := d.Read(&event.Item{Raw: item.Raw, Outline: item.Outline})
			if err != nil {
				t.Fatalf("%s: %v", item.Raw, err)
			}
			id := strings.Clone(d.ID(b.ReceivedAt))
			before, known := payloads[id]
			switch {
			case !known:
				payloads[id] = d.PayloadHash()
				ids = append(ids, id)
			case before != d.PayloadHash():
				t.Errorf("%s came with another content: %s", id, item.Raw)
			}
			if e.Time.IsZero() && b.Protocol != protocol.Plausible {
				t.Errorf("no time: %s", item.Raw)
			}
		}
	}
	return ids
}
