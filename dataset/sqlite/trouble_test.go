package sqlite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reedbed/reedbed/dataset"
)

// answerAll commits what is due of a dataset, with the verdict and the key that fn
// gives for each partition.
func answerAll(t *testing.T, c *Catalog, name string, fn func(p dataset.Partition) (key string, v *dataset.Verdict)) {
	t.Helper()
	for _, k := range tasks(t, c) {
		if k.Dataset == name {
			key, v := fn(k.Partition)
			s := segment(name, k.Partition, key+string(k.Partition), int64(len(key)))
			commit(t, c, k, key, dataset.Build{Content: &dataset.NewContent{Segment: &s}, Verdict: v})
		}
	}
}

func troubles(t *testing.T, c *Catalog) []Trouble {
	t.Helper()
	out, err := c.Troubles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Since.IsZero() {
			t.Errorf("%+v began at no time", out[i])
		}
	}
	return out
}

func expectTroubles(t *testing.T, c *Catalog, want ...Trouble) {
	t.Helper()
	if diff := cmp.Diff(want, troubles(t, c), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Trouble{}, "Since")); diff != "" {
		t.Fatalf("troubles (-want +got):\n%s", diff)
	}
}

// However many partitions break a rule, it is one cause; what waits for them is
// none.
func TestTroubles(t *testing.T) {
	c, _ := openWith(t, overRaw("s"), over("r", "s"))
	var segments []dataset.NewSegment
	for i := range 1000 {
		segments = append(segments, segment(dataset.Raw, hourOf(i), "raw"+strconv.Itoa(i), 1))
	}
	load(t, c, segments...)
	broken := dataset.Broken{Contract: "s", Owner: "team", Rule: "columns.x.max", What: "too large"}
	answerAll(t, c, "s", func(p dataset.Partition) (string, *dataset.Verdict) {
		b := broken
		b.What = "too large in " + string(p)
		warning := dataset.Broken{Contract: "s", Rule: "rows", What: "few", Warning: true}
		return "one", &dataset.Verdict{Broken: []dataset.Broken{warning, b, {Contract: "s", Rule: "later", What: "late"}}}
	})
	held := Trouble{
		Kind: HeldBack, Dataset: "s", Owner: "team", Contract: "s", Rule: "columns.x.max", Count: 1000,
		First: hourOf(0), Last: hourOf(999), What: "too large in " + string(hourOf(999)),
	}
	expectTroubles(t, c, held)
	for _, k := range tasks(t, c) {
		if k.Dataset == "r" {
			commit(t, c, k, "waits", dataset.Build{Waits: []dataset.Promoted{{Dataset: "s", Partition: k.Partition}}})
		}
	}
	expectTroubles(t, c, held)

	load(t, c, segment(dataset.Raw, hourOf(999), "more", 2))
	answerAll(t, c, "s", func(dataset.Partition) (string, *dataset.Verdict) { return "two", &dataset.Verdict{} })
	held.Count, held.Last, held.What = 999, hourOf(998), "too large in "+string(hourOf(998))
	expectTroubles(t, c, held)
}

func TestTroublesOfReaders(t *testing.T) {
	c, _ := openWith(t, overRaw("s"), over("r", "s"))
	load(t, c, segment(dataset.Raw, hourOf(1), "a", 1), segment(dataset.Raw, hourOf(2), "b", 1))
	answerAll(t, c, "s", func(dataset.Partition) (string, *dataset.Verdict) {
		return "one", &dataset.Verdict{
			For:    map[string][]dataset.Broken{"r": {{Contract: "needs", Owner: "royalties", Rule: "entropy", What: "collapsed"}}},
			Broken: []dataset.Broken{{Contract: "board", Owner: "people", Rule: "rows", What: "few", Warning: true}},
		}
	})
	apart := Trouble{
		Kind: HeldApart, Dataset: "s", Owner: "royalties", For: "r", Contract: "needs", Rule: "entropy", What: "collapsed",
		Count: 2, First: hourOf(1), Last: hourOf(2),
	}
	warned := Trouble{Kind: Warned, Dataset: "s", Owner: "people", Contract: "board", Rule: "rows", What: "few", Count: 2, First: hourOf(1), Last: hourOf(2)}
	expectTroubles(t, c, apart, warned)
	load(t, c, segment(dataset.Raw, hourOf(1), "cc", 2), segment(dataset.Raw, hourOf(2), "dd", 2))
	answerAll(t, c, "s", func(dataset.Partition) (string, *dataset.Verdict) { return "better", &dataset.Verdict{} })
	expectTroubles(t, c)
}

// What somebody applied moved everything, and one hour is unusual: people hear of it for
// a day, and what a contract says for as long as it is so.
func TestWarningsEnd(t *testing.T) {
	c, k := openWith(t, overRaw("s"))
	load(t, c, segment(dataset.Raw, hourOf(1), "a", 1), segment(dataset.Raw, hourOf(2), "b", 1))
	rows := dataset.Broken{Contract: "s", Owner: "team", Rule: "rows", What: "few", Warning: true}
	odd := dataset.Broken{Contract: "s", Owner: "team", Rule: dataset.Statistics, What: "odd", Warning: true}
	far := dataset.Broken{Contract: "s", Owner: "team", Rule: dataset.Difference, What: "far", Warning: true}
	answerAll(t, c, "s", func(p dataset.Partition) (string, *dataset.Verdict) {
		if p == hourOf(1) {
			return "one", &dataset.Verdict{Moved: &far}
		}
		return "one", &dataset.Verdict{Broken: []dataset.Broken{rows, odd}, Moved: &far}
	})
	warned := func(rule, what string, count int64, first dataset.Partition) Trouble {
		return Trouble{Kind: Warned, Dataset: "s", Owner: "team", Contract: "s", Rule: rule, What: what, Count: count, First: first, Last: hourOf(2)}
	}
	lasting := warned("rows", "few", 1, hourOf(2))
	expectTroubles(t, c, lasting, warned(dataset.Statistics, "odd", 1, hourOf(2)), warned(dataset.Difference, "far", 2, hourOf(1)))
	if all, err := c.Warnings(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("warnings: %+v, %v", all, err)
	}
	a, err := c.Why(t.Context(), dataset.Reference{Dataset: "s", Partition: hourOf(2)})
	if err != nil || len(a.Version.Warnings) != 3 {
		t.Errorf("why: %+v, %v", a.Version, err)
	}
	k.t = k.t.Add(25 * time.Hour)
	expectTroubles(t, c, lasting)
}

func TestTroublesOfRuns(t *testing.T) {
	c, k := openWith(t, overRaw("s"))
	load(t, c, segment(dataset.Raw, hourOf(1), "a", 1), segment(dataset.Raw, hourOf(2), "b", 1), segment(dataset.Raw, hourOf(3), "c", 1))
	for i, task := range tasks(t, c) {
		if task.Dataset == "s" {
			if err := c.FailBuild(t.Context(), task, []byte("key"), fmt.Sprint("no column x", strings.Repeat("y", i%2)), k.t.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var count int64
	for _, x := range troubles(t, c) {
		if x.Kind != Fails || x.Dataset != "s" || !strings.HasPrefix(x.What, "no column x") {
			t.Errorf("got %+v", x)
		}
		count += x.Count
	}
	if count != 3 {
		t.Errorf("%d partitions fail, want 3", count)
	}
}

// A look costs by what is wrong, not by what is on record, and so does taking back what
// was said.
func TestTroublesReadNoTableWhole(t *testing.T) {
	c, _ := openTest(t)
	small := []string{"SCAN h USING INDEX pointers_held", "SCAN w USING INDEX verdicts_told", "SCAN w USING INDEX dirty_failed", "SCAN n"} // n: pins
	for _, query := range []string{heldTroubles, apartTroubles, strings.ReplaceAll(warnedTroubles, "?1", "1"), strings.ReplaceAll(movedTroubles, "?1", "1"), failedTroubles, strings.ReplaceAll(forgetStored, "?1", "'[]'")} {
		for _, step := range planOf(t, c, query) {
			if strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "VIRTUAL TABLE") && !slices.Contains(small, step) {
				t.Errorf("%s in\n%s", step, query)
			}
		}
	}
}

// planOf are the steps of a query.
func planOf(t *testing.T, c *Catalog, query string) (steps []string) {
	t.Helper()
	rows, err := c.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
