package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reedbed/reedbed/alert"
)

const limited = `/* @stage
owner: shop
partition: hour
inputs: {raw: {window: same}}
contract:
  columns:
    price: {max: %d}
*/
SELECT event_id, (properties ->> '$.price')::BIGINT AS price FROM raw
`

// message is what a webhook is told.
type message struct {
	ID, Type, Source string
	Data             alert.Alert
}

// receiver is a webhook, and what it is told.
func receiver(t *testing.T) (told chan message, url string) {
	t.Helper()
	told = make(chan message, 100)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.ID != r.Header.Get("webhook-id") {
			t.Errorf("told %+v, %v", m, err)
		}
		told <- m
	}))
	t.Cleanup(s.Close)
	return told, s.URL
}

// tells has the project tell webhooks.
func (p project) tells(t *testing.T, urls ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "reedbed.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "\nalerts:\n  webhooks:\n"...)
	for _, url := range urls {
		text = fmt.Appendf(text, "  - {url: %q, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, allow_private: true}\n", url)
	}
	p.write(t, "reedbed.yaml", string(text))
}

// 60 hours that break one rule are one alert; it is told to a webhook that works
// while another hangs, is still known after a kill, and is over when the contract
// is mended. Nobody gives a command for that but to apply it.
func TestHoldsAreToldToWebhooks(t *testing.T) {
	t.Parallel() // it waits most of the time
	told, works := receiver(t)
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)

	p := newProject(t, "empty", "REEDBED_LOAD_CYCLE=10ms")
	p.tells(t, hangs.URL, works)
	p.write(t, "stages/prices.sql", fmt.Sprintf(limited, 10))

	n := p.up(t).listening(t)
	var body strings.Builder
	for hour := range 60 {
		at := time.Date(2026, 5, 1, hour, 0, 0, 0, time.UTC).Format(time.RFC3339)
		fmt.Fprintf(&body, `{"id":"e-%d","name":"Sold","time":%q,"properties":{"price":%d}}`+"\n", hour, at, 11+hour)
	}
	n.take(t, []byte(body.String()))
	n.converged(t)
	raised := <-told
	if raised.Type != "com.reedbed.alert.raised" || raised.Source == "" || raised.Data.Title != "prices is held: columns.price.max of contract prices" ||
		raised.Data.Owner != "shop" || raised.Data.Count != 60 || raised.Data.First != "2026-05-01T00" || raised.Data.Last != "2026-05-03T11" {
		t.Errorf("told %+v", raised)
	}
	n.kill()

	p.write(t, "stages/prices.sql", fmt.Sprintf(limited, 100))
	n = p.up(t).deployed(t)
	p.must(t, "apply", "-C", p.dir)
	resolved := <-told
	for resolved.ID == raised.ID { // it was killed before it knew that this was taken
		resolved = <-told
	}
	if resolved.Type != "com.reedbed.alert.resolved" || resolved.Data.Key != raised.Data.Key || resolved.Data.Resolved.IsZero() {
		t.Errorf("told %+v", resolved)
	}
	var log alert.Log
	_, answer, err := n.do(t.Context(), http.MethodGet, "/api/v1/alerts", nil, nil)
	if err != nil || json.Unmarshal(answer, &log) != nil || len(log.Open) != 0 || len(log.Resolved) != 1 || len(log.Resolved[0].Deliveries) != 4 {
		t.Fatalf("%s, %v", answer, err)
	}
	for _, d := range log.Resolved[0].Deliveries {
		if d.Result != alert.Waiting && d.Error != "" || len(told) > 0 {
			t.Errorf("%+v, and %d messages more", d, len(told))
		}
	}
	if _, page, err := n.do(t.Context(), http.MethodGet, "/metrics", nil, nil); err != nil || !strings.Contains(string(page), `reedbed_alerts{severity="error"} 0`) {
		t.Errorf("metrics: %v\n%s", err, page)
	}
}
