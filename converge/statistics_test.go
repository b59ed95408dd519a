package converge

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/judge"
)

// judged is an hour with five weeks before it, of which the hours are there that it is
// compared with.
const judged = 5*7*24 + 6

// stream is a world in which a, which keeps rows as they are, and b, which reads it,
// have so many rows in all hours that judged is compared with, and in judged itself.
// All but that are closed. What is computed of one has the same countries as all.
func stream(t *testing.T, rows int, headers ...string) *world {
	t.Helper()
	w := newWorld(t, nil, newCatalog(t))
	t.Cleanup(w.close)
	w.stages = chain("")
	for i, h := range headers {
		w.stages[i].holds = h
	}
	w.start()
	hours := map[int64][]int64{judged: ordinary(judged, rows)}
	start := w.base.Add(judged * time.Hour)
	for _, at := range judge.Wanted(start, time.Hour, w.base) {
		h := int64(at.Sub(w.base) / time.Hour)
		hours[h] = ordinary(h, rows)
	}
	w.loadValues(hours)
	w.settle()
	if n := w.comparisons(); n > 0 {
		t.Errorf("%d versions were compared while hours were open", n)
	}
	w.closeTo(judged + 1)
	w.settle() // the first closes, the second judges
	w.expectHeld(map[string]int64{})
	return w
}

// closeJudged closes the hour, which makes it be compared with others.
func (w *world) closeJudged() {
	w.closeTo(judged + 3)
	w.settle()
}

// ordinary are the rows of an hour: countries as on other days, and a few rows more or
// less than in the other hours.
func ordinary(hour int64, rows int) (values []int64) {
	r := rand.New(rand.NewPCG(1, uint64(hour)))
	for range rows + r.IntN(rows/20+1) {
		values = append(values, 8*r.Int64N(20)+min(r.Int64N(8), r.Int64N(8)))
	}
	return values
}

// flood are rows of one country, to be told from all others.
func flood(rows int) []int64 { return slices.Repeat([]int64{flooded}, rows) }

const flooded = 4000

// loadValues adds rows to hours.
func (w *world) loadValues(hours map[int64][]int64) {
	from, err := w.catalog.LoadCursor(context.Background())
	w.must(err)
	commit := dataset.LoadCommit{From: from, To: from}
	commit.To.Record++
	for h, values := range hours {
		var rows []row
		for _, v := range values {
			rows = append(rows, row{h, v})
		}
		commit.Segments = append(commit.Segments, w.object(dataset.Raw, w.partition(dataset.Hour, h), rows))
		commit.Loaded += int64(len(values))
	}
	commit.To.Event += uint64(commit.Loaded)
	w.must(w.catalog.CommitLoad(context.Background(), commit))
	w.converger.Wake()
}

// late adds rows to the closed hour.
func (w *world) late(values []int64) {
	w.loadValues(map[int64][]int64{judged: values})
	w.settle()
}

// holdsOf are what status says is held.
func (w *world) holdsOf() []dataset.Hold {
	s, err := w.catalog.Status(context.Background())
	w.must(err)
	return s.Holds
}

// said are the rules of the verdict on what readers see of a dataset at judged.
func (w *world) said(name string) (broken []dataset.Broken) {
	p := w.partition(dataset.Hour, judged)
	w.must(w.ledger.each(`SELECT b.value ->> '$.rule', b.value ->> '$.what', COALESCE(b.value ->> '$.warning', 0)
		FROM datasets d JOIN partitions p ON p.dataset_id = d.id JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
		JOIN verdicts v ON v.partition_id = p.id AND v.version = x.version
		JOIN json_each(json_insert(COALESCE(v.detail -> '$.broken', '[]'), '$[#]', v.detail -> '$.moved')) b
		WHERE d.name = ? AND p.name = ? AND b.value <> 'null'`,
		func(rows *sql.Rows) error {
			var b dataset.Broken
			err := rows.Scan(&b.Rule, &b.What, &b.Warning)
			broken = append(broken, b)
			return err
		}, name, p))
	return broken
}

// comparisons counts the verdicts on record for which a version was compared.
func (w *world) comparisons() (n int) {
	w.must(w.ledger.each("SELECT COUNT(*) FROM verdicts WHERE CAST(judged_by AS TEXT) LIKE '% compared'", func(rows *sql.Rows) error { return rows.Scan(&n) }))
	return n
}

func (w *world) seen(name string) int {
	return len(w.contents()[name][w.partition(dataset.Hour, judged)])
}

func (w *world) approveJudged(name string) {
	_, err := w.catalog.Approve(context.Background(), dataset.Reference{Dataset: name, Partition: w.partition(dataset.Hour, judged)}, dataset.Approval{Actor: "ada", Reason: "a festival"})
	w.must(err)
	w.converger.Wake()
	w.settle()
}

// TestUnusualIsHeld closes an hour like all others, and then has late events come that
// are all of one country. Everybody goes on with what they read. It is not asked
// twice; the definition that leaves those events out releases it.
func TestUnusualIsHeld(t *testing.T) {
	w := stream(t, 200)
	before := w.comparisons()
	w.closeJudged()
	w.expectHeld(map[string]int64{})
	if n := w.comparisons(); n != before+2 {
		t.Errorf("%d versions were compared at the close, not one of a and one of b", n-before)
	}
	good := w.seen("b")
	w.late(flood(600))
	w.expectHeld(map[string]int64{"a": 1})
	if n := w.seen("b"); n != good || w.seen("a") < good {
		t.Errorf("b has %d rows, had %d", n, good)
	}
	w.expectExplained()
	ran, compared := w.ran(), w.comparisons()
	w.reopen()
	w.settle()
	w.expectHeld(map[string]int64{"a": 1})
	if w.ran() != ran || w.comparisons() != compared {
		t.Errorf("computed: %v; compared %d, was %d", w.ledger.ran[ran:], w.comparisons(), compared)
	}
	w.stages[0].rejects = "mod 4000"
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
}

// expectExplained looks for the column, the range, what was seen, how the values are
// spread there and usually, and what it came of.
func (w *world) expectExplained() {
	w.tb.Helper()
	holds := w.holdsOf()
	if len(holds) != 1 || len(holds[0].Broken) == 0 {
		w.tb.Fatalf("holds: %+v", holds)
	}
	h := holds[0]
	i := slices.IndexFunc(h.Broken, func(b dataset.Broken) bool { return b.Column == "value" && b.Here != nil })
	if i < 0 {
		w.tb.Fatalf("no spread of the values: %+v", h.Broken)
	}
	b := h.Broken[i]
	if b.Rule != dataset.Statistics || b.Contract != "a" || b.Owner != "test" || !b.Grave || b.Warning {
		w.tb.Errorf("it breaks %+v", b)
	}
	if !strings.Contains(b.What, "expected") || !strings.Contains(b.What, "which chance does") {
		w.tb.Errorf("it says %q", b.What)
	}
	weekAgo := w.partition(dataset.Hour, judged-7*24)
	if b.Here.Top[0].Share < .5 || b.Usual == nil || b.Usual.Top[0].Share > .5 || b.Usual.Of != "a@"+string(weekAgo)+"/1" {
		w.tb.Errorf("the values are spread %+v, usually %+v", b.Here, b.Usual)
	}
	if len(h.Causes) != 1 || h.Causes[0].Kind != dataset.ByLoad {
		w.tb.Errorf("it came of %+v", h.Causes)
	}
}

// TestApprovedIsRead has a person say that it is right: everybody reads it, what reads
// it is told that it is unusual and not kept from anybody, and it stays so.
func TestApprovedIsRead(t *testing.T) {
	w := stream(t, 200)
	w.late(flood(600)) // before it closes, which holds it
	w.closeJudged()
	w.expectHeld(map[string]int64{"a": 1, "b": 1})
	if n := w.seen("a"); n > 0 {
		t.Errorf("readers see %d rows of what never was good", n)
	}
	w.approveJudged("a")
	w.expectHeld(map[string]int64{})
	if n := w.seen("b"); n < 600 {
		t.Errorf("b has %d rows", n)
	}
	said := w.said("b")
	if len(said) == 0 || slices.ContainsFunc(said, func(b dataset.Broken) bool { return !b.Warning || b.Rule != dataset.Statistics }) {
		t.Errorf("of b it says %+v", said)
	}
	w.stages[0].holds = "{columns: {value: {max: 100000}}}"
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
}

// TestAppliedIsNotHeld changes what a makes of everything. That was meant: it is said
// how far it is from what was, and of what follows from it.
func TestAppliedIsNotHeld(t *testing.T) {
	w := stream(t, 200)
	w.closeJudged()
	w.stages[0].program.K = 8
	w.deploy()
	w.settle()
	w.expectHeld(map[string]int64{})
	for _, name := range []string{"a", "b"} {
		said := w.said(name)
		if len(said) != 1 || said[0].Rule != dataset.Difference || !said[0].Warning || !strings.Contains(said[0].What, "far from what version 1 was: ") {
			t.Errorf("of %s it says %+v", name, said)
		}
	}
	w.late(flood(600))
	w.expectHeld(map[string]int64{"a": 1})
}

// TestWhatUnusualMeans has the owner say what becomes of it, which changes that at once
// and computes and compares nothing; and a reader who is stricter.
func TestWhatUnusualMeans(t *testing.T) {
	w := stream(t, 200, "{statistics: warn}", "{statistics: off}")
	w.closeJudged()
	good := w.seen("b")
	w.late(flood(600))
	w.expectHeld(map[string]int64{})
	if said := w.said("a"); len(said) == 0 || !said[0].Warning {
		t.Errorf("it says %+v", said)
	}
	ran, compared := w.ran(), w.comparisons()
	for _, x := range []struct {
		header string
		held   map[string]int64
	}{{"{statistics: hold}", map[string]int64{"a": 1}}, {"{statistics: warn}", map[string]int64{}}, {"", map[string]int64{"a": 1}}, {"{statistics: warn}", map[string]int64{}}} {
		w.stages[0].holds = x.header
		w.deploy()
		w.settle()
		w.expectHeld(x.held)
	}
	if w.comparisons() != compared {
		t.Errorf("compared %d, was %d", w.comparisons(), compared)
	}
	w.relies = map[string]string{"b.yaml": "owner: charts\nconsumer: b\ndatasets: {a: {statistics: hold}}\n"}
	w.deploy()
	w.settle()
	if holds := w.holdsOf(); len(holds) != 1 || holds[0].For != "b" || holds[0].Broken[0].Contract != "b" || w.seen("b") != good {
		t.Errorf("holds: %+v; b has %d rows, had %d", holds, w.seen("b"), good)
	}
	w.stages[0].holds = "{statistics: off}"
	w.relies = nil
	w.deploy()
	w.settle()
	if holds, said := w.holdsOf(), w.said("a"); len(holds)+len(said) > 0 || w.seen("b") <= good {
		t.Errorf("of what nobody looks at: %+v, %+v", holds, said)
	}
	for _, k := range w.ledger.ran[ran:] {
		if k.dataset == "a" {
			t.Errorf("a was computed at %s", k.partition)
		}
	}
}

// TestFewRowsAreNotCompared leaves small partitions alone, whatever is in them.
func TestFewRowsAreNotCompared(t *testing.T) {
	w := stream(t, 50)
	w.closeJudged()
	w.late(flood(600))
	w.closeTo(judged + 10)
	w.settle()
	w.expectHeld(map[string]int64{})
	if diff := cmp.Diff([]dataset.Broken(nil), w.said("a")); diff != "" {
		t.Error(diff)
	}
}

// TestClosedIsReadTogether has an hour grow while it is open. Its statistics are those
// of parts until it closes, when all rows are read for what they have in common.
func TestClosedIsReadTogether(t *testing.T) {
	w := stream(t, 200)
	w.loadValues(map[int64][]int64{judged: ordinary(judged+1, 200)})
	w.settle()
	if f := w.printOf("a"); f.Whole() {
		t.Errorf("while it is open all of %d rows are read together", f.Rows)
	}
	w.closeJudged()
	if f := w.printOf("a"); f.Together != f.Rows || f.Rows < 300 {
		t.Errorf("of %d rows %d were read together", f.Rows, f.Together)
	}
}

// printOf is the fingerprint of the newest version of a dataset at judged.
func (w *world) printOf(name string) (f *fingerprint.Fingerprint) {
	w.must(w.ledger.each(`SELECT v.fingerprint FROM datasets d JOIN partitions p ON p.dataset_id = d.id
		JOIN versions v ON v.partition_id = p.id WHERE d.name = ? AND p.name = ? ORDER BY v.number`,
		func(rows *sql.Rows) error {
			var text []byte
			if err := rows.Scan(&text); err != nil {
				return err
			}
			var err error
			f, err = fingerprint.Decode(text)
			return err
		}, name, w.partition(dataset.Hour, judged)))
	return f
}
