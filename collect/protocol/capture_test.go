package protocol

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/internal/recorded"
)

// captured is one request a real client sent, as recorded.
type captured struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	IDs    any    `json:"ids"`
	Body   string `json:"body"`
}

func captures(t *testing.T, client string) []captured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recorded.Path(t, "captures", client), "*.requests.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings of %s: %v", client, err)
	}
	var all []captured
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var c captured
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			broken := strings.HasPrefix(c.Body, "!") // the recorder could not decompress what was cut off
			metrics := strings.HasSuffix(c.URL, "/m")
			if c.Method == "POST" && !broken && !metrics {
				all = append(all, c)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// pathType is what the front door makes of a Segment path.
func pathType(url string) string {
	last := url[strings.LastIndexByte(url, '/')+1:]
	for _, typ := range []string{"track", "page", "screen", "identify", "group", "alias"} {
		if last == typ || last == typ[:1] {
			return typ
		}
	}
	return ""
}

// cutOff says that the recorder kept only the start of a long body.
func (c captured) cutOff() bool { return strings.HasSuffix(c.Body, "…") }

// eventIDs returns the ids of the request's events, by the dumbest means. The
// recorder listed every messageId it saw, so a batch that has one of its own
// comes with it.
func eventIDs(t *testing.T, c captured) []string {
	ids := []string{}
	for _, m := range regexp.MustCompile(`"messageId":"([^"]*)"`).FindAllStringSubmatch(c.Body, -1) {
		ids = append(ids, m[1])
	}
	if listed, ok := c.IDs.([]any); ok && len(ids) != len(listed) {
		t.Fatalf("the recorder saw %v, the test %v", listed, ids)
	}
	if strings.HasPrefix(c.Body, `{"messageId":`) && strings.Contains(c.Body, `"batch":[`) {
		ids = ids[1:]
	}
	return ids
}

func TestRecordedSegmentClients(t *testing.T) {
	for _, client := range []string{"segment-node", "segment-go", "rudder-node", "rudder-go", "browser-segment"} {
		t.Run(client, func(t *testing.T) {
			proto, _ := ByName(Segment)
			door, loader := NewDecoder(proto, Limits{}), NewDecoder(proto, Limits{})
			events := 0
			for _, c := range captures(t, client) {
				got := door.Split([]byte(c.Body), pathType(c.URL))
				items := got.Items
				if n := len(items) - 1; c.cutOff() && items[n].Refusal.Code == "truncated" {
					items = items[:n]
				}
				want := eventIDs(t, c)
				if c.cutOff() && len(want) > len(items) {
					want = want[:len(items)] // the recording stops inside an event, behind its id
				}
				if diff := cmp.Diff(want, append([]string{}, got.IDs[:len(items)]...)); diff != "" {
					t.Fatalf("%s: ids (-recorded +split)\n%s\n%s", c.URL, diff, c.Body)
				}
				loader.Begin(got.Shared)
				for i, item := range items {
					e, err := loader.Decode(item.Raw)
					if err != nil || item.Refusal.Code != "" {
						t.Fatalf("refused: %v, %v: %s", err, item.Refusal, item.Raw)
					}
					if e.ID != got.IDs[i] || e.Type == "" || e.Time.IsZero() {
						t.Fatalf("envelope is incomplete: %+v", e)
					}
					if e.SentAt.IsZero() && !c.cutOff() {
						t.Fatalf("no send time: %+v", e)
					}
				}
				events += len(items)
			}
			t.Logf("%d events", events)
		})
	}
}

// The request bodies analytics-go's own tests expect it to send.
func TestSegmentFixtures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recorded.Path(t, "segment", "analytics-go", "fixtures"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	d := decoder(t, Segment)
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := d.Split(body, "")
		if len(r.Items) != strings.Count(string(body), `"type":`) {
			t.Errorf("%s: %d items", filepath.Base(file), len(r.Items))
		}
		for i, item := range r.Items {
			if item.Refusal.Code != "" || r.IDs[i] == "" {
				t.Errorf("%s: item %d: %+v, id %q", filepath.Base(file), i, item.Refusal, r.IDs[i])
			}
		}
	}
}
