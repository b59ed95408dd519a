package acceptance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// undecodable are requests of events that are too large for a limit of 1 KiB, with
// some beside them that decode and some that never will.
func undecodable(requests int) (bodies [][]byte) {
	for i := range requests {
		var b bytes.Buffer
		for k := range 50 {
			at := time.Date(2026, 5, 1, i%3, 0, k, 0, time.UTC).Format(time.RFC3339)
			fmt.Fprintf(&b, `{"id":"large-%d-%d","name":"P","time":%q,"properties":{"pad":%q}}`+"\n", i, k, at, strings.Repeat("x", 1100+k))
		}
		fmt.Fprintf(&b, `{"id":"small-%d","name":"P","time":"2026-05-01T00:00:00Z"}`+"\n", i)
		fmt.Fprintf(&b, `{"id":"nameless-%d"}`+"\n", i)
		bodies = append(bodies, b.Bytes())
	}
	return bodies
}

func (n *node) take(t *testing.T, body []byte) {
	t.Helper()
	status, answer, err := n.do(t.Context(), http.MethodPost, "/v1/events?key=demo", nil, body)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d: %s, %v", status, answer, err)
	}
}

// compacted waits until segments were joined.
func (n *node) compacted(t *testing.T) {
	t.Helper()
	merged := regexp.MustCompile(`(?m)^reedbed_load_segments_merged_total (\d+)`)
	eventually(t, convergeLimit, "compaction", func() error {
		_, page, err := n.do(t.Context(), http.MethodGet, "/metrics", nil, nil)
		if err != nil {
			return err
		}
		if m := merged.FindSubmatch(page); m == nil || string(m[1]) == "0" {
			return fmt.Errorf("nothing was joined")
		}
		return nil
	})
}

// 500 undecodable bodies become events when the size limit is raised, each once,
// also if the node is killed again and again while they do, and if some are sent
// again meanwhile.
func TestQuarantineHeals(t *testing.T) {
	p := newProject(t, "empty", "REEDBED_LIMITS_EVENT=1KiB", "REEDBED_LOAD_CYCLE=10ms")
	bodies := undecodable(10)
	n := p.up(t).listening(t)
	for _, body := range bodies { // each a load of its own
		n.take(t, body)
		n.converged(t)
	}
	n.compacted(t)
	if s := n.converged(t); s.Totals.Loaded != 10 || s.Totals.Quarantined != 510 {
		t.Fatalf("before: %+v", s.Totals)
	}
	n.kill()

	p.env = append(slices.Clone(p.env), "REEDBED_LIMITS_EVENT=4KiB")
	for i := range 4 {
		n = p.up(t).listening(t)
		n.take(t, bodies[i])
		pause(t.Context(), time.Duration(rand.IntN(60))*time.Millisecond)
		n.kill()
	}
	n = p.up(t).listening(t)
	n.take(t, bodies[4])
	eventually(t, convergeLimit, "healing", func() error {
		if s := n.converged(t); s.Totals.Quarantined != 10 || s.Quarantine.Rows != 10 {
			return fmt.Errorf("%+v, %d rows of quarantine", s.Totals, s.Quarantine.Rows)
		}
		return nil
	})
	s := n.converged(t)
	if s.Totals.Loaded != 510 || s.Totals.DuplicatesRemoved != s.Totals.Acknowledged-520 {
		t.Errorf("after: %+v", s.Totals)
	}
	type count struct{ N, IDs, Hours, Pads int }
	got := rows[count](t, n, `SELECT count(*) AS n, count(DISTINCT event_id) AS ids, count(DISTINCT date_trunc('hour', occurred_at)) AS hours,
		count(*) FILTER (length(properties ->> '$.pad') >= 1100) AS pads FROM raw`)
	if want := (count{510, 510, 3, 500}); got[0] != want {
		t.Errorf("raw is %+v, want %+v", got[0], want)
	}
	var out bytes.Buffer
	list := p.command(t.Context(), "quarantine", "list", "-C", p.dir)
	list.Stdout = &out
	if err := list.Run(); err != nil || !strings.Contains(out.String(), "missing_name") || strings.Contains(out.String(), "too_large") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	p.must(t, "verify", "-C", p.dir, "--all", "--seed", strconv.Itoa(1))
}
