package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
)

// counted is the status of all datasets from every partition there is: what the
// counts must come to.
func counted(ctx context.Context, tb rapid.TB, c *Catalog) []DatasetStatus {
	var out []DatasetStatus
	err := c.view(ctx, func(t *tx) error {
		return t.each(`WITH entries AS (
			SELECT p.dataset_id, p.closed_at, v.rows, x.version, w.failed_key, w.not_before FROM partitions p
			LEFT JOIN dirty w ON w.dataset_id = p.dataset_id AND w.name = p.name
			LEFT JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
			LEFT JOIN versions v ON v.partition_id = p.id AND v.number = x.version
			UNION ALL
			SELECT w.dataset_id, NULL, NULL, NULL, w.failed_key, w.not_before FROM dirty w
			WHERE NOT EXISTS (SELECT 1 FROM partitions p WHERE p.dataset_id = w.dataset_id AND p.name = w.name)
		), states AS (
			SELECT e.dataset_id, e.closed_at IS NULL AND d.grain <> 'none' AS open, COALESCE(e.rows, 0) AS rows,
			CASE WHEN e.failed_key IS NOT NULL THEN 'failed'
				WHEN e.not_before > ?1 THEN 'deferred'
				WHEN e.not_before IS NOT NULL OR d.paused THEN 'stale'
				WHEN e.version IS NULL THEN 'absent' ELSE 'fresh' END AS state
			FROM entries e JOIN datasets d ON d.id = e.dataset_id
		)
		SELECT d.name, COUNT(s.state), COALESCE(SUM(s.open), 0), COALESCE(SUM(s.state = 'fresh'), 0), COALESCE(SUM(s.state = 'stale'), 0),
			COALESCE(SUM(s.state = 'deferred'), 0), COALESCE(SUM(s.state = 'failed'), 0), COALESCE(SUM(s.state = 'absent'), 0), COALESCE(SUM(s.rows), 0)
		FROM datasets d LEFT JOIN states s ON s.dataset_id = d.id WHERE d.retired_at IS NULL GROUP BY d.id ORDER BY d.depth, d.name`,
			[]any{t.now}, func(scan func(...any) error) error {
				var d DatasetStatus
				err := scan(&d.Name, &d.Partitions, &d.Open, &d.Fresh, &d.Stale, &d.Deferred, &d.Failed, &d.Absent, &d.Rows)
				out = append(out, d)
				return err
			})
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// pond is a catalog to which anything may happen.
type pond struct {
	*Catalog
	clock  *clock
	stages []dataset.Deployment
	tick   int // names objects
}

func newPond(t *rapid.T, path string) *pond {
	p := &pond{clock: &clock{time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC)}}
	var err error
	if p.Catalog, err = Open(t.Context(), Options{Path: path, Now: p.clock.now}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dataset.Raw, dataset.Quarantine} {
		p.must(t, p.EnsureDataset(t.Context(), dataset.Spec{Name: name, Kind: dataset.Builtin, Grain: dataset.Hour}, 5*time.Minute))
	}
	p.stages = []dataset.Deployment{
		refusing(stageOver("s", dataset.Raw, "same", dataset.Hour, 1)), stageOver("wide", "s", "-2h..+1h", dataset.Hour, 2),
		stageOver("day", "s", "same", dataset.Day, 2), stageOver("whole", "s_rejected", "all", dataset.None, 2),
	}
	return p
}

func (p *pond) must(t *rapid.T, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

func (p *pond) object(name string, at dataset.Partition, rows int64) dataset.NewSegment {
	p.tick++
	return segment(name, at, fmt.Sprint("o", p.tick), rows)
}

func (p *pond) load(t *rapid.T) {
	from, err := p.LoadCursor(t.Context())
	p.must(t, err)
	commit := dataset.LoadCommit{From: from, To: from}
	for _, hour := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 1, 3, rapid.ID).Draw(t, "hours") {
		at := dataset.PartitionAt(dataset.Hour, time.Date(2026, 5, 1, 8+hour, 0, 0, 0, time.UTC))
		s := p.object(dataset.Raw, at, 1+int64(hour))
		commit.Segments, commit.Loaded = append(commit.Segments, s), commit.Loaded+s.Rows
	}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(commit.Loaded)
	p.must(t, p.CommitLoad(t.Context(), commit))
}

func (p *pond) deploy(t *rapid.T) {
	if rapid.Bool().Draw(t, "anew") {
		i := rapid.IntRange(0, len(p.stages)-1).Draw(t, "stage")
		p.tick++
		p.stages[i].CodeIdentity = fmt.Append(nil, "code", p.tick)
	}
	stages, paused := p.stages, []string(nil)
	if rapid.IntRange(0, 3).Draw(t, "what becomes of the last") == 0 {
		stages = stages[:len(stages)-1]
		if rapid.Bool().Draw(t, "paused") {
			paused = []string{"whole"}
		}
	}
	_, err := p.Deploy(t.Context(), stages, paused)
	p.must(t, err)
}

// dirty lists every entry, whether or not it may run now.
func (p *pond) dirty(t *rapid.T) (out []dataset.Task) {
	p.must(t, p.view(t.Context(), func(x *tx) error {
		return x.each("SELECT d.name, w.name, w.generation, w.attempts, w.failed_key FROM dirty w JOIN datasets d ON d.id = w.dataset_id ORDER BY 1, 2", nil,
			func(scan func(...any) error) error {
				var k dataset.Task
				err := scan(&k.Dataset, &k.Partition, &k.Generation, &k.Attempts, &k.FailedKey)
				out = append(out, k)
				return err
			})
	}))
	return out
}

// answer answers one due task in some way.
func (p *pond) answer(t *rapid.T) {
	due := p.dirty(t)
	if len(due) == 0 {
		return
	}
	k := rapid.SampledFrom(due).Draw(t, "task")
	i := slices.IndexFunc(p.stages, func(s dataset.Deployment) bool { return s.Spec.Name == k.Dataset })
	b := dataset.Build{Task: k, CodeIdentity: p.stages[i].CodeIdentity, TraceKey: []byte(rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(t, "key"))}
	prior, err := p.Prior(t.Context(), k.Dataset, k.Partition, b.TraceKey)
	p.must(t, err)
	switch rapid.IntRange(0, 5).Draw(t, "outcome") {
	case 0:
		p.must(t, p.FailBuild(t.Context(), k, b.TraceKey, "broken", p.clock.t.Add(time.Minute)))
		return
	case 1:
		b.Absent = true
	default:
		out := p.object(k.Dataset, k.Partition, rapid.Int64Range(1, 3).Draw(t, "rows"))
		b.Content = &dataset.NewContent{Segment: &out}
		if p.stages[i].Rejected != nil && rapid.Bool().Draw(t, "refuses") {
			refused := p.object(k.Dataset+"_rejected", k.Partition, 1)
			b.Content.Rejected = &refused
		}
		b.Reuse = prior.Reusable
		if b.Reuse {
			b.Content = nil
		}
	}
	p.must(t, p.CommitBuild(t.Context(), b))
}

func (p *pond) compact(t *rapid.T) {
	found, _, err := p.CompactionCandidates(t.Context(), 0, 2, 1)
	p.must(t, err)
	for _, f := range found {
		rows, hash := total(f.Segments)
		merged := p.object(f.Dataset, f.Partition, rows)
		merged.Hash = hash
		k := dataset.Compaction{Dataset: f.Dataset, Partition: f.Partition, Segment: merged}
		for _, s := range f.Segments {
			k.Replaced = append(k.Replaced, s.ID)
		}
		p.must(t, p.CommitCompaction(t.Context(), k))
	}
}

func (p *pond) collect(t *rapid.T) {
	_, err := p.Collect(t.Context(), 0)
	p.must(t, err)
	p.must(t, p.collectCauses(t.Context(), rapid.Int64Range(0, 5).Draw(t, "keep"), rapid.Int64Range(1, 20).Draw(t, "sweep")))
}

// explained wants to know of every promoted version and of all that is due what
// began it.
func (p *pond) explained(t *rapid.T) {
	p.must(t, p.view(t.Context(), func(x *tx) error {
		return x.each(`SELECT d.name || '@' || p.name, COALESCE(v.cause_id, 0) FROM pointers o JOIN partitions p ON p.id = o.partition_id
				LEFT JOIN versions v ON v.partition_id = p.id AND v.number = o.version JOIN datasets d ON d.id = p.dataset_id
			UNION ALL SELECT d.name || '@' || w.name || ', due', w.cause_id FROM dirty w JOIN datasets d ON d.id = w.dataset_id`, nil,
			func(scan func(...any) error) error {
				var what string
				var id int64
				if err := scan(&what, &id); err != nil {
					return err
				}
				chain, err := x.chain(id)
				if err != nil {
					return err
				}
				if len(chain) == 0 || !slices.Contains([]dataset.CauseKind{dataset.ByLoad, dataset.BySide, dataset.ByDefinition}, chain[len(chain)-1].Kind) {
					t.Fatalf("%s comes of %+v", what, chain)
				}
				for _, c := range chain[:len(chain)-1] {
					if c.Kind != dataset.ByPromotion {
						t.Fatalf("%s comes through %+v", what, chain)
					}
				}
				return nil
			})
	}))
}

// agrees wants the accounts of all partitions of stages to come to what status
// counts.
func (p *pond) agrees(t *rapid.T) {
	status, err := p.Status(t.Context())
	p.must(t, err)
	for _, d := range status.Datasets {
		if strings.HasSuffix(d.Name, "_rejected") {
			continue // these share the state of the stage; status counts them apart
		}
		got := DatasetStatus{Name: d.Name, Rows: d.Rows}
		for _, q := range p.partitions(t, d.Name) {
			a, err := p.Why(t.Context(), dataset.Reference{Dataset: d.Name, Partition: q})
			p.must(t, err)
			got.Partitions++
			if a.Open {
				got.Open++
			}
			*map[State]*int64{Fresh: &got.Fresh, Stale: &got.Stale, Deferred: &got.Deferred, Failed: &got.Failed, Absent: &got.Absent}[a.State]++
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatal(diff)
		}
	}
}

// partitions lists what is on record or due of a dataset.
func (p *pond) partitions(t *rapid.T, name string) (out []dataset.Partition) {
	p.must(t, p.view(t.Context(), func(x *tx) error {
		return x.each(`SELECT p.name FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ?1
			UNION SELECT w.name FROM dirty w JOIN datasets d ON d.id = w.dataset_id WHERE d.name = ?1`, []any{name},
			func(scan func(...any) error) error {
				var q dataset.Partition
				err := scan(&q)
				out = append(out, q)
				return err
			})
	}))
	return out
}

// TestAnythingMayHappen keeps what status tells, and why, true whatever happens
// in whatever order.
func TestAnythingMayHappen(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		p := newPond(t, filepath.Join(dir, fmt.Sprint(runs)+".db"))
		defer func() { p.must(t, p.Close()) }()
		_, err := p.Deploy(t.Context(), p.stages, nil)
		p.must(t, err)
		t.Repeat(map[string]func(*rapid.T){
			"load":    p.load,
			"deploy":  p.deploy,
			"answer":  p.answer,
			"again":   p.answer,
			"more":    p.answer,
			"compact": p.compact,
			"side": func(t *rapid.T) {
				spec := dataset.Spec{Name: "rules", Kind: dataset.Side, Grain: dataset.None}
				_, err := p.CommitSide(t.Context(), spec, "data/rules.csv", p.object("rules", dataset.Whole, 2))
				p.must(t, err)
			},
			"close": func(t *rapid.T) {
				hour := rapid.IntRange(8, 30).Draw(t, "hour")
				_, err := p.ClosePartitions(t.Context(), time.Date(2026, 5, 1, hour, 0, 0, 0, time.UTC))
				p.must(t, err)
			},
			"why":     p.agrees,
			"wait":    func(*rapid.T) { p.clock.t = p.clock.t.Add(time.Minute) },
			"collect": p.collect,
			"": func(t *rapid.T) {
				got, err := p.Status(t.Context())
				p.must(t, err)
				if d := cmp.Diff(counted(t.Context(), t, p.Catalog), got.Datasets); d != "" {
					t.Fatal(d)
				}
				p.explained(t)
				wrong, err := p.Miscounted(t.Context())
				if err != nil || len(wrong) > 0 {
					t.Fatalf("miscounted: %v, %v", wrong, err)
				}
			},
		})
	})
}

func TestRecount(t *testing.T) {
	c, _ := openTest(t)
	deploy(t, c, stageOver("s", dataset.Raw, "same", dataset.Hour, 1))
	load(t, c, segment(dataset.Raw, "2026-04-01T10", "a", 3))
	before := counted(t.Context(), t, c)
	if _, err := c.write.Exec("UPDATE counts SET rows = rows + 1, due = 7 WHERE dataset_id = 1"); err != nil {
		t.Fatal(err)
	}
	wrong, err := c.Miscounted(t.Context())
	if err != nil || !slices.Equal(wrong, []string{dataset.Raw}) {
		t.Errorf("miscounted: %v, %v", wrong, err)
	}
	if err := c.Recount(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after.Datasets); d != "" {
		t.Error(d)
	}
}
