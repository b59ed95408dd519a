package converge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// TestJudgedConvergesToWhatScratchGives holds stages of random projects at work to
// contracts that change, of their own and of who reads them. Nobody ever sees
// what breaks a contract of everybody's; and when all contracts are gone,
// everything is as if there had been none.
func TestJudgedConvergesToWhatScratchGives(t *testing.T) { disturbed(t, (*world).holdTo) }

// holdTo does one random thing to contracts or to what they hold.
func (w *world) holdTo(t *rapid.T) {
	w.pass(time.Second)
	w.held = true
	d := &w.stages[rapid.IntRange(0, len(w.stages)-1).Draw(t, "stage")]
	switch rapid.SampledFrom([]string{"own", "own", "reader", "approve", "settle"}).Draw(t, "judge") {
	case "own":
		d.holds = rapid.SampledFrom([]string{"", "{columns: {value: {max: 3}}}", "{columns: {value: {max: 40}}}", "{rows: {min: 2}}", "{rows: {max: 1}}"}).Draw(t, "contract")
		w.deploy()
	case "reader":
		in := rapid.SampledFrom(d.program.Inputs).Draw(t, "input")
		if strings.HasSuffix(in, "_rejected") || !slices.ContainsFunc(w.stages, func(s definition) bool { return s.name == in }) {
			return
		}
		w.relies = map[string]string{"r.yaml": fmt.Sprintf("owner: test\nconsumer: %s\ndatasets: {%s: {columns: {value: {max: 5}}}}\n", d.name, in)}
		w.deploy()
	case "approve":
		w.approve(t)
	case "settle":
		w.settle()
		w.checkJudged()
	}
}

// approve lets something pass that is held.
func (w *world) approve(t *rapid.T) {
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	if len(s.Holds) == 0 {
		return
	}
	h := rapid.SampledFrom(s.Holds).Draw(t, "hold")
	_, err = w.catalog.Approve(context.Background(), dataset.Reference{Dataset: h.Dataset, Partition: h.Partition}, dataset.Approval{Actor: "test", Reason: "test"})
	if _, refused := errors.AsType[*dataset.Refusal](err); !refused {
		w.must(err)
	}
	w.converger.Wake()
}

// checkJudged looks for a version that readers see and that its gate, which
// nobody overruled, did not let pass; and for states that do not add up.
func (w *world) checkJudged() {
	if _, converged := w.state(); !converged {
		w.tb.Fatal("not converged")
	}
	// What statistics say depends on what else is there, and these partitions are too
	// small for it.
	if n := w.comparisons(); n > 0 {
		w.tb.Fatalf("%d versions were compared", n)
	}
	w.must(w.ledger.each(`SELECT d.name, p.name, v.detail FROM pointers x JOIN partitions p ON p.id = x.partition_id JOIN datasets d ON d.id = p.dataset_id
		JOIN verdicts v ON v.partition_id = p.id AND v.version = x.version
		WHERE x.view = 'main' AND d.retired_at IS NULL AND d.paused = 0 AND d.gate IS NOT NULL
		AND json_array_length(v.detail, '$.broken') > 0 AND v.detail ->> '$.approved' IS NULL`, func(rows *sql.Rows) error {
		var name, p, detail string
		err := rows.Scan(&name, &p, &detail)
		w.tb.Fatalf("readers see %s@%s, which breaks its contract: %s", name, p, detail)
		return err
	}))
}
