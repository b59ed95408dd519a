package collect

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/internal/recorded"
)

// captured is one request as a real client sent it.
type captured struct {
	Method, URL string
	Headers     map[string]string
	Body        string
}

// TestReplay posts what unmodified clients sent, in calm and when answers were
// lost or failed: every request is taken, and every id it names is journalled.
func TestReplay(t *testing.T) {
	for _, client := range []string{"segment-node", "segment-go", "rudder-node", "rudder-go"} {
		for _, scenario := range []string{"ok", "ackloss", "flaky500", "flaky429"} {
			t.Run(client+"/"+scenario, func(t *testing.T) { replay(t, client, scenario) })
		}
	}
}

func replay(t *testing.T, client, scenario string) {
	f, err := os.Open(recorded.Path(t, "captures", client, scenario+".requests.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, m := newDoor(t, Options{Sources: []Source{{Name: "sdk", Keys: []string{"wk_test"}}}})
	want := make(map[string]bool)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var c captured
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		r := c.request()
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if a := parse(t, w); w.Code != 200 || a.Quarantined != 0 || a.Accepted == 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, id := range messageIDs(t, c.Body) {
			want[id] = true
		}
	}
	got := decodedIDs(t, m)
	for id := range want {
		if !got[id] {
			t.Errorf("id %s is not in the journal", id)
		}
	}
	if len(want) == 0 || len(got) != len(want) {
		t.Errorf("%d ids sent, %d journalled", len(want), len(got))
	}
}

// request makes the request again; bodies were recorded expanded.
func (c captured) request() *http.Request {
	body := c.Body
	if strings.Contains(c.Headers["content-encoding"], "gzip") {
		body = gz(body)
	}
	r := httptest.NewRequest(c.Method, c.URL, strings.NewReader(body))
	for k, v := range c.Headers {
		if k != "content-length" && k != "host" {
			r.Header.Set(k, v)
		}
	}
	return r
}

func messageIDs(t *testing.T, body string) (ids []string) {
	var b struct{ Batch []struct{ MessageID string } }
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Batch {
		ids = append(ids, e.MessageID)
	}
	return ids
}

func decodedIDs(t *testing.T, m *memory) map[string]bool {
	ids := make(map[string]bool)
	for _, b := range m.batches {
		p, _ := protocol.ByName(b.Protocol)
		d := protocol.NewDecoder(p, protocol.Limits{})
		d.Begin(b.Shared)
		for _, item := range b.Items {
			e, err := d.Decode(item.Raw)
			if err != nil {
				t.Fatal(err)
			}
			ids[strings.Clone(e.ID)] = true
		}
	}
	return ids
}
