package sqlite

import (
	"context"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestADeploymentComputesEachPartitionOnce deploys random changes to random
// projects that have converged, and answers what is due in any order the catalog
// allows. Whatever ways lead from what changed to a partition, some shorter than
// others, it is computed when all of them have come to rest, and never from a mix
// of old and new.
func TestADeploymentComputesEachPartitionOnce(t *testing.T) {
	parent := "/dev/shm" // nothing here waits for a disk
	if _, err := os.Stat(parent); err != nil {
		parent = t.TempDir()
	}
	forSeconds(t, 5, func(r *rapid.T) {
		dir, err := os.MkdirTemp(parent, "reedbed-once-") //nolint:usetesting // gone after each case
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHistory(r, dir, drawStages(r, 7))
		defer func() { h.must(h.c.Close()) }()
		for range rapid.IntRange(1, 5).Draw(r, "loads") {
			h.load()
		}
		h.converge()
		if rapid.Bool().Draw(r, "close") {
			_, err := h.c.ClosePartitions(context.Background(), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
			h.must(err)
			h.converge()
		}
		clear(h.built)
		for i := range h.stages {
			if rapid.Bool().Draw(r, "changes") {
				h.stages[i].CodeIdentity = []byte("other code")
			}
		}
		_, err = h.deployAll()
		h.must(err)
		for {
			due, err := listDue(context.Background(), h.c, Ask{Limit: 100_000})
			h.must(err)
			if len(due) == 0 {
				break
			}
			h.answer(rapid.SampledFrom(due).Draw(r, "next"))
		}
		if left := h.dueNow(); len(left) > 0 {
			r.Fatalf("put off, though a person brought it about: %v", left)
		}
		for name, n := range h.built {
			if n > 1 {
				r.Fatalf("%s was computed %d times for one deployment", name, n)
			}
		}
	})
}
