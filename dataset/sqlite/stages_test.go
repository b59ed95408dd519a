package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// overRaw is a stage over raw, hour by hour, and over one over another stage.
func overRaw(name string) dataset.Deployment { return over(name, dataset.Raw) }

func over(name, input string) dataset.Deployment {
	depth := 2
	if input == dataset.Raw {
		depth = 1
	}
	return stageOver(name, input, "same", dataset.Hour, depth)
}

// openWith opens a catalog with these stages deployed.
func openWith(t *testing.T, stages ...dataset.Deployment) (*Catalog, *clock) {
	t.Helper()
	c, k := openTest(t)
	deploy(t, c, stages...)
	return c, k
}

// hourOf is an hour of the days most tests are about, counted from the first.
func hourOf(n int) dataset.Partition {
	return dataset.PartitionAt(dataset.Hour, time.Date(2026, 4, 1, n, 0, 0, 0, time.UTC))
}

// forSeconds checks a property as often as rapid likes, but begins no other round
// when so many seconds are over.
func forSeconds(t *testing.T, most int, property func(*rapid.T)) {
	t.Helper()
	begun := time.Now()
	rapid.Check(t, func(r *rapid.T) {
		if time.Since(begun) < time.Duration(most)*time.Second {
			property(r)
		}
	})
}

// stillThere checks that nothing is gone of what a partition reads.
func stillThere(t *testing.T, c *Catalog, stage string, p dataset.Partition) {
	t.Helper()
	in, _, err := c.Inputs(t.Context(), stage, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Segments(t.Context(), in); err != nil {
		t.Errorf("%s@%s reads what was collected: %v", stage, p, err)
	}
}

// buildS answers what is due of s with b.
func buildS(t *testing.T, c *Catalog, key string, b dataset.Build) {
	t.Helper()
	for _, k := range tasks(t, c) {
		if k.Dataset == "s" {
			commit(t, c, k, key, b)
		}
	}
}

func pin(t *testing.T, c *Catalog, p dataset.Pin) dataset.Pin {
	t.Helper()
	p.Reason, p.Actor = "last good", "ann"
	p, err := c.Pin(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unpin(t *testing.T, c *Catalog, id int64) dataset.Pin {
	t.Helper()
	p, err := c.Unpin(t.Context(), id, "ann")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reads says what a partition reads now, as INPUT@PARTITION=ROWS.
func reads(t *testing.T, c *Catalog, stage string, p dataset.Partition) []string {
	t.Helper()
	inputs, _, err := c.Inputs(t.Context(), stage, p)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, q := range inputs {
		if q.Version == 0 {
			out = append(out, q.Dataset+"=absent")
			continue
		}
		out = append(out, fmt.Sprintf("%s@%s=%d", q.Dataset, q.Partition, q.Rows))
	}
	return out
}

func waive(t *testing.T, c *Catalog, w dataset.Waiver) dataset.Waiver {
	t.Helper()
	w.Reason, w.Actor = "agreed", "ann"
	w, err := c.Waive(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func unwaive(t *testing.T, c *Catalog, id int64) {
	t.Helper()
	if _, err := c.Unwaive(t.Context(), id, "ann"); err != nil {
		t.Fatal(err)
	}
}

func refusal(t *testing.T, err error, code string) {
	t.Helper()
	r, ok := errors.AsType[*dataset.Refusal](err)
	if !ok || r.Code != code || r.Fix == "" {
		t.Errorf("got %v, want a refusal %s with a fix", err, code)
	}
}

// statusOf gives the counts of one dataset.
func statusOf(t *testing.T, c *Catalog, name string) DatasetStatus {
	t.Helper()
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Datasets {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no dataset %s", name)
	return DatasetStatus{}
}

// versionsOfS builds closed partition p of s in n versions, refused rows included,
// and returns their numbers. Their trace keys are k1, k2 and so on.
func versionsOfS(t *testing.T, c *Catalog, p dataset.Partition, n int) {
	t.Helper()
	load(t, c, segment(dataset.Raw, p, "raw", 1))
	for i := range n {
		out, no := segment("s", p, fmt.Sprintf("out%d", i+1), int64(i+1)), segment("s_rejected", p, fmt.Sprintf("no%d", i+1), int64(i+1))
		buildS(t, c, fmt.Sprintf("k%d", i+1), dataset.Build{Content: &dataset.NewContent{Segment: &out, Rejected: &no}})
		closeAll(t, c)
		load(t, c, segment(dataset.Raw, p, fmt.Sprintf("raw%d", i), 1))
	}
	buildS(t, c, fmt.Sprintf("k%d", n), dataset.Build{Reuse: true})
}

func collect(t *testing.T, c *Catalog, grace time.Duration) []string {
	t.Helper()
	gone, err := c.Collect(t.Context(), grace)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(gone))
}
