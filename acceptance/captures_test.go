package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// captured is one recorded request of a client library.
type captured struct {
	Method  string
	URL     string
	Headers map[string]string
	Body    string // as it was before compression
}

// sdks are those whose recordings are sent, a protocol each, and how an
// event's own id is spelt in a request.
var sdks = map[string]string{
	"segment-node": `"messageId":"([^"]+)"`, "rudder-node": `"messageId":"([^"]+)"`, "jitsu": `"messageId":"([^"]+)"`,
	"segment-go":    `"type":"[a-z]+","messageId":"([^"]+)"`, // its batches have ids of their own
	"snowplow-node": `"eid":"([^"]+)"`, "snowplow-go": `"eid":"([^"]+)"`, "posthog-node": `"uuid":"([^"]+)"`,
	"posthog-go": `"timestamp":"([^"]+)"`, // it sends no id, and no time twice
}

// What real client libraries sent, with answers that came, got lost or were
// errors, so that they repeated themselves: each event is counted once.
func TestCapturedRequests(t *testing.T) {
	p := newProject(t, "empty")
	config := "name: captures\nsources:\n  - name: sdk\n    keys: [wk_test, k, app, phc_test]\n"
	if err := os.WriteFile(filepath.Join(p.dir, "reedbed.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	n := p.up(t).listening(t)
	sent := map[string]int{}
	for client, id := range sdks {
		for _, name := range []string{"ok", "ackloss", "flaky500"} {
			replay(t, n, shared(t, "captures", client, name+".requests.jsonl"), regexp.MustCompile(id), sent)
		}
	}
	s := n.converged(t)
	copies := 0
	for _, times := range sent {
		copies += times
	}
	if len(sent) == 0 || copies == len(sent) {
		t.Errorf("void: %d copies of %d events", copies, len(sent))
	}
	if a := s.Totals; a.Loaded != int64(len(sent)) || a.DuplicatesRemoved != int64(copies-len(sent)) || a.Quarantined != 0 {
		t.Errorf("sent %d copies of %d events: %+v", copies, len(sent), a)
	}
	type row struct {
		ID string `json:"event_id"`
		N  int
	}
	for _, r := range rows[row](t, n, "SELECT event_id, count(*) AS n FROM raw GROUP BY event_id") {
		derived := strings.HasPrefix(r.ID, "d_")
		if r.N != 1 || sent[r.ID] == 0 && !derived {
			t.Errorf("event %q is there %d times, was sent %d times", r.ID, r.N, sent[r.ID])
		}
		delete(sent, r.ID)
	}
	for id := range sent {
		if _, err := time.Parse(time.RFC3339Nano, id); err != nil {
			t.Errorf("missing: %s", id)
		}
	}
	n.stop(t)
}

// replay sends the requests of a file and counts how often each id was in them.
func replay(t *testing.T, n *node, file string, id *regexp.Regexp, sent map[string]int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Buffer(nil, 10<<20); lines.Scan(); {
		var c captured
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		for _, found := range id.FindAllStringSubmatch(c.Body, -1) {
			sent[found[1]]++
		}
		if err := c.send(t, n); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func (c captured) send(t *testing.T, n *node) error {
	t.Helper()
	header := http.Header{}
	for name, value := range c.Headers {
		if !strings.EqualFold(name, "host") && !strings.EqualFold(name, "content-length") && !strings.EqualFold(name, "connection") {
			header.Set(name, value)
		}
	}
	body := []byte(c.Body)
	if header.Get("Content-Encoding") == "gzip" {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(body); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		body = packed.Bytes()
	}
	status, answer, err := n.do(t.Context(), c.Method, c.URL, header, body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("answered %d: %s", status, answer)
	}
	return err
}
