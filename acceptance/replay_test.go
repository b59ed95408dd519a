package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/simulate"
	"github.com/reedbed/reedbed/web"
)

// identity is what makes a row of raw one of its own.
type identity struct {
	Source  string `json:"source"`
	ID      string `json:"event_id"`
	Payload uint64 `json:"payload_hash"`
	Flagged bool   `json:"id_conflict"`
}

const identities = "SELECT source, event_id, payload_hash, id_conflict FROM raw ORDER BY ALL"

// The journal alone gives everything back: loaded again into an empty catalog,
// it makes the same events, partitions and content, in built-in datasets and in
// every stage, although load cycles fall differently and history comes all at
// once.
func TestReplayOfTheJournal(t *testing.T) {
	p := newProject(t, "plays", "REEDBED_JOURNAL_GRACE=1d", "REEDBED_QUERY_ROWS=10000000", "REEDBED_QUERY_BYTES=1GiB")
	n := p.up(t).deployed(t)
	traffic(t, n)
	p.must(t, "import", "-C", p.dir, "--source", "player", "--format", "combined", filepath.Join("testdata", "access.log"))
	live := n.converged(t)
	ids := rows[identity](t, n, identities)
	n.stop(t)
	record := p.record(t)
	if a := live.Totals; a.DuplicatesRemoved == 0 || a.Quarantined == 0 {
		t.Errorf("void: the traffic had %+v", a)
	}

	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.Mkdir(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"store", "catalog.db", "catalog.db-wal", "catalog.db-shm"} {
		if err := os.Rename(p.data(name), filepath.Join(kept, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	n = p.up(t).deployed(t)
	again := n.converged(t)
	if diff := cmp.Diff(ids, rows[identity](t, n, identities)); diff != "" {
		t.Errorf("the replay has other events:\n%s", diff)
	}
	if diff := cmp.Diff([]any{live.Totals, live.Journal}, []any{again.Totals, again.Journal}); diff != "" {
		t.Errorf("the replay has other figures:\n%s", diff)
	}
	n.stop(t)
	if diff := cmp.Diff(record, p.record(t)); diff != "" {
		t.Errorf("the replay has other content:\n%s", diff)
	}
	compared(t, again)
}

// compared says how much was compared.
func compared(t *testing.T, s web.Status) {
	t.Helper()
	partitions := int64(0)
	for _, d := range s.Datasets {
		partitions += d.Partitions
	}
	t.Logf("%d datasets with %d partitions are the same; %+v", len(s.Datasets), partitions, s.Totals)
}

// traffic is everything at once: history, repeats, late and skewed clocks,
// garbage, and ids that come again with other content.
func traffic(t *testing.T, n *node) {
	t.Helper()
	c := simulate.Default()
	c.Rate, c.Events = 1500, sized(9000, 3000)
	c.Listeners, c.Tracks = 500, 200
	c.Duplicates, c.Late, c.Skewed, c.Malformed = 0.1, 0.05, 0.05, 0.02
	c.Attack = simulate.Attack{After: time.Second, For: 2 * time.Second, Share: 0.3, Listeners: 5}
	c.History = simulate.History{Events: sized(4000, 1000), Span: 8 * time.Hour, Rate: 4000}
	report, err := simulate.Run(t.Context(), n.client, n.url, c, nil)
	if err != nil || report.Abandoned+report.Refused > 0 {
		t.Fatalf("traffic: %v, %+v", err, report)
	}
	for i := range 200 {
		var body bytes.Buffer
		fmt.Fprintf(&body, `{"id":"same-%d","name":"Conflict","time":"2026-11-22T00:00:00Z","properties":{"n":%d}}`, i%20, i%40)
		status, answer, err := n.do(t.Context(), http.MethodPost, "/v1/events?key=demo", nil, body.Bytes())
		if err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %v", status, answer, err)
		}
	}
}
