package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// Planned is a stage as somebody means to deploy it.
type Planned struct {
	Name     string
	Grain    dataset.Grain
	Changed  bool   // it is new, or computes something else than what is deployed
	Identity []byte // its code identity
	Edges    []dataset.Edge
}

// Reached is what a plan would have recomputed of one dataset.
type Reached struct {
	Dataset     string
	Because     []string // the planned stage itself, or inputs through which it is reached
	First, Last dataset.Partition
	Cost        dataset.Cost // as far as history tells
	// Unknown counts the partitions without a history of their own, for which the
	// dataset's average stands; Guessless says that there is no average either.
	Unknown   int64
	Guessless bool
	// Recorded counts the partitions that have a version of the same code.
	Recorded int64
}

// Reach says which partitions would be recomputed if stages, which come upstream
// first and are all that would be deployed, took the place of what is, and side
// inputs changed. It is what dirtying does, with every output taken to change:
// an upper bound, since equal output stops it. It reads the catalog only.
func (c *Catalog) Reach(ctx context.Context, stages []Planned, sides []string) (out []Reached, err error) {
	err = c.view(ctx, func(t *tx) error {
		out, err = t.reach(stages, sides)
		return err // the temporary tables go with the transaction
	})
	return out, err
}

func (t *tx) reach(stages []Planned, sides []string) ([]Reached, error) {
	r, err := t.openReach(sides)
	if err != nil {
		return nil, err
	}
	var out []Reached
	for _, s := range stages {
		x, err := r.stage(s)
		if err != nil {
			return nil, fmt.Errorf("plan %s: %w", s.Name, err)
		}
		if x != nil {
			out = append(out, *x)
		}
	}
	return out, nil
}

// openReach makes the table of what is reached, with side inputs that change.
func (t *tx) openReach(sides []string) (*reach, error) {
	r := &reach{tx: t, grains: map[string]dataset.Grain{}, reached: map[string]bool{}}
	if err := t.exec(`CREATE TEMP TABLE reach (name TEXT NOT NULL, starts INTEGER NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (name, starts)) WITHOUT ROWID`); err != nil {
		return nil, err
	}
	for _, name := range sides {
		r.reached[name] = true
		if err := t.exec("INSERT INTO reach VALUES (?, 0, 0)", name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// close drops the tables, which a transaction that is committed leaves behind.
func (r *reach) close() error {
	return errors.Join(r.exec("DROP TABLE reach"), r.exec("DROP TABLE IF EXISTS slots"))
}

// reach is one Reach at work. The table reach holds the partitions found so far;
// reached says of which datasets there are any.
type reach struct {
	*tx
	grains  map[string]dataset.Grain // of planned stages
	reached map[string]bool
}

// producer is whose runs change an input.
func producer(input string) string { return strings.TrimSuffix(input, "_rejected") }

// stage finds the partitions of one stage and what they take; nil if there are none.
func (r *reach) stage(s Planned) (*Reached, error) {
	out, err := r.find(s)
	if err != nil {
		return nil, err
	}
	if err := r.cost(s, out.id, &out.Reached); err != nil || out.Cost.Partitions == 0 {
		return nil, err
	}
	return &out.Reached, nil
}

// found is what find found of a stage.
type found struct {
	Reached
	id int64 // the dataset's, 0 if it is new
}

// find adds the partitions of one stage to the table.
func (r *reach) find(s Planned) (out found, err error) {
	r.grains[s.Name] = s.Grain
	var aside bool
	err = r.QueryRowContext(r.ctx, "SELECT id, paused = 1 OR retired_at IS NOT NULL FROM datasets WHERE name = ?", s.Name).Scan(&out.id, &aside)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return out, err
	}
	out.Dataset = s.Name
	if s.Changed || aside || out.id == 0 {
		out.Because = []string{s.Name}
		err = r.whole(s, out.id)
	} else {
		out.Because, err = r.through(s, out.id)
	}
	if err != nil {
		return out, err
	}
	var some bool
	err = r.QueryRowContext(r.ctx, "SELECT EXISTS (SELECT 1 FROM reach WHERE name = ?)", s.Name).Scan(&some)
	r.reached[s.Name] = some
	return out, err
}

// whole takes every partition a stage has or could have from its inputs.
func (r *reach) whole(s Planned, id int64) error {
	if s.Grain == dataset.None {
		return r.exec("INSERT OR IGNORE INTO reach VALUES (?, 0, 0)", s.Name)
	}
	if err := r.existing(s, id, "TRUE"); err != nil {
		return err
	}
	if err := r.slots(s); err != nil {
		return err
	}
	return r.exec("INSERT OR IGNORE INTO reach SELECT ?, starts, ends FROM slots", s.Name)
}

func (r *reach) existing(s Planned, id int64, where string) error {
	return r.exec("INSERT OR IGNORE INTO reach SELECT ?, starts, ends FROM partitions WHERE dataset_id = ? AND "+where, s.Name, id)
}

// through takes the partitions of an unchanged stage that read what was reached.
func (r *reach) through(s Planned, id int64) (because []string, err error) {
	for _, e := range s.Edges {
		if !r.reached[producer(e.Input)] {
			continue
		}
		because = append(because, e.Input)
		switch {
		case s.Grain == dataset.None:
			err = r.exec("INSERT OR IGNORE INTO reach VALUES (?, 0, 0)", s.Name)
		case e.Window.Kind == dataset.AsOf || e.Window.Kind == dataset.Latest:
			err = r.existing(s, id, following(e.Window))
		case e.Window.Kind == dataset.All:
			if err = r.existing(s, id, "TRUE"); err == nil {
				err = r.sharing(s, e)
			}
		case e.Window == dataset.Same:
			err = r.sharing(s, e)
		default:
			err = r.window(s, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return because, nil
}

// window takes the partitions whose window overlaps what was reached.
func (r *reach) window(s Planned, e dataset.Edge) error {
	if err := r.slots(s); err != nil {
		return err
	}
	grain, err := r.grain(e.Input)
	if err != nil {
		return err
	}
	err = r.exec(`INSERT OR IGNORE INTO reach SELECT ?1, p.starts, p.ends FROM slots p WHERE EXISTS (
		SELECT 1 FROM reach q WHERE q.name = ?2 AND q.starts < p.ends + ?4 AND q.starts > p.starts + ?3 - ?5)`,
		s.Name, producer(e.Input), e.Window.Lo.Microseconds(), e.Window.Hi.Microseconds(), grain.Span().Microseconds())
	if err != nil || (e.Window.Lo <= 0 && e.Window.Hi >= 0) {
		return err
	}
	return r.sharing(s, e) // what is reached does not count for its own time, but may be what anchors it
}

// sharing takes the partitions that share time with what was reached of an input.
func (r *reach) sharing(s Planned, e dataset.Edge) error {
	grain, err := r.grain(e.Input)
	if err != nil {
		return err
	}
	return r.exec("INSERT OR IGNORE INTO reach SELECT ?, starts, ends FROM ("+
		cut("SELECT starts FROM reach WHERE name = ?", grain, s.Grain)+")", s.Name, producer(e.Input))
}

// slots fills the table of that name with the partitions of a stage that have a
// reason to exist: some input has a partition in the same time, or would have.
func (r *reach) slots(s Planned) error {
	if err := r.exec("DROP TABLE IF EXISTS slots"); err != nil {
		return err
	}
	if err := r.exec("CREATE TEMP TABLE slots (starts INTEGER PRIMARY KEY, ends INTEGER NOT NULL)"); err != nil {
		return err
	}
	for _, e := range s.Edges {
		grain, err := r.grain(e.Input)
		if err != nil {
			return err
		}
		if grain == dataset.None {
			continue
		}
		const from = `SELECT p.starts FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE d.name = ? AND p.starts >= 0
			UNION SELECT starts FROM reach WHERE name = ?`
		if err := r.exec("INSERT OR IGNORE INTO slots SELECT starts, ends FROM ("+cut(from, grain, s.Grain)+")", e.Input, producer(e.Input)); err != nil {
			return err
		}
	}
	return nil
}

// cut gives the partitions of one grain that share time with those of another,
// which begin at the starts that a query yields.
func cut(starts string, from, to dataset.Grain) string {
	span := to.Span().Microseconds()
	if to.Span() >= from.Span() {
		return fmt.Sprintf("SELECT DISTINCT starts - starts %% %[1]d AS starts, starts - starts %% %[1]d + %[1]d AS ends FROM (%[2]s)", span, starts)
	}
	return fmt.Sprintf(`SELECT starts + i * %[1]d AS starts, starts + (i + 1) * %[1]d AS ends FROM (%[2]s),
		(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %[3]d) SELECT i FROM n)`, span, starts, from.Span()/to.Span()-1)
}

// grain is how an input is cut: as planned, else as on record.
func (r *reach) grain(input string) (dataset.Grain, error) {
	if g, ok := r.grains[producer(input)]; ok {
		return g, nil
	}
	var g dataset.Grain
	err := r.QueryRowContext(r.ctx, "SELECT grain FROM datasets WHERE name = ?", producer(input)).Scan(&g)
	if errors.Is(err, sql.ErrNoRows) {
		return dataset.None, nil // a side input that is new
	}
	return g, err
}

// cost adds up what the reached partitions of a stage took when they were last
// built, with the dataset's average for those of which nothing is known. What a
// row-wise stage appended is scaled to whole partitions.
func (r *reach) cost(s Planned, id int64, out *Reached) error {
	var first, last sql.NullInt64
	var known, timed int64
	err := r.QueryRowContext(r.ctx, `SELECT COUNT(*), MIN(x.starts), MAX(x.starts), COUNT(v.number), COALESCE(SUM(v.rows), 0), COALESCE(SUM(v.bytes), 0),
			COUNT(CASE WHEN v.origin = 'build' THEN 1 END),
			COALESCE(SUM(CASE WHEN v.origin = 'build' THEN v.cpu END), 0) / 1e6, COALESCE(SUM(CASE WHEN v.origin = 'build' THEN v.wall END), 0) / 1e6,
			COUNT(CASE WHEN EXISTS (SELECT 1 FROM versions o JOIN definitions f ON f.id = o.definition WHERE o.partition_id = p.id AND f.code_identity = ?3) THEN 1 END)
		FROM reach x LEFT JOIN partitions p ON p.dataset_id = ?2 AND p.starts = x.starts
		LEFT JOIN pointers y ON y.partition_id = p.id AND y.view = 'main'
		LEFT JOIN versions v ON v.partition_id = p.id AND v.number = y.version
		WHERE x.name = ?1`, s.Name, id, s.Identity).
		Scan(&out.Cost.Partitions, &first, &last, &known, &out.Cost.Rows, &out.Cost.Bytes, &timed, &out.Cost.CPU, &out.Cost.Wall, &out.Recorded)
	if err != nil || out.Cost.Partitions == 0 {
		return err
	}
	if !s.Changed {
		out.Recorded = 0 // its present versions are of this code, and say nothing
	}
	out.First, out.Last = dataset.PartitionAt(s.Grain, fromMicros(first.Int64)), dataset.PartitionAt(s.Grain, fromMicros(last.Int64))
	if s.Grain != dataset.None && first.Int64 == 0 {
		out.First = dataset.PartitionAt(s.Grain, time.UnixMicro(0))
	}
	mean, some, err := r.average(id)
	if err != nil {
		return err
	}
	out.Unknown, out.Guessless = out.Cost.Partitions-known, !some
	missing, untimed := float64(out.Unknown), float64(out.Cost.Partitions-timed)
	out.Cost.Rows += int64(missing * mean.rows)
	out.Cost.Bytes += int64(missing * mean.bytes)
	out.Cost.CPU += untimed * mean.cpu
	out.Cost.Wall += untimed * mean.wall
	return nil
}

// average is what one partition of a dataset takes.
type average struct{ rows, bytes, cpu, wall float64 }

func (r *reach) average(id int64) (m average, some bool, err error) {
	var n, built int64
	var share float64 // of rows of grown versions that their last run computed
	err = r.QueryRowContext(r.ctx, `SELECT COUNT(*), COALESCE(AVG(v.rows), 0), COALESCE(AVG(v.bytes), 0), COUNT(CASE WHEN v.origin = 'build' THEN 1 END),
			COALESCE(AVG(CASE WHEN v.origin = 'build' THEN v.cpu END), AVG(v.cpu), 0) / 1e6, COALESCE(AVG(CASE WHEN v.origin = 'build' THEN v.wall END), AVG(v.wall), 0) / 1e6,
			COALESCE(CAST(SUM((SELECT SUM(rows) FROM segments g WHERE g.partition_id = v.partition_id AND g.added_in = v.number)) AS REAL) / NULLIF(SUM(v.rows), 0), 1)
		FROM partitions p JOIN pointers y ON y.partition_id = p.id AND y.view = 'main'
		JOIN versions v ON v.partition_id = p.id AND v.number = y.version WHERE p.dataset_id = ?`, id).
		Scan(&n, &m.rows, &m.bytes, &built, &m.cpu, &m.wall, &share)
	if built == 0 && share > 0 {
		m.cpu, m.wall = m.cpu/share, m.wall/share
	}
	return m, n > 0, err
}

// InputsThrough resolves what a partition would read through the given edges, as
// Inputs does through those that are deployed. An input that is not on record is
// ABSENT.
func (c *Catalog) InputsThrough(ctx context.Context, stage string, edges []dataset.Edge, p dataset.Partition) (out []dataset.Promoted, err error) {
	err = c.view(ctx, func(t *tx) error {
		d, err := t.dataset(stage)
		if err != nil {
			return err
		}
		own, err := t.partition(d, p)
		if err != nil {
			return err
		}
		for _, e := range edges {
			in, err := t.dataset(e.Input)
			if errors.Is(err, ErrNoDataset) {
				out = append(out, dataset.Promoted{Dataset: e.Input})
				continue
			}
			if err != nil {
				return err
			}
			read, err := t.readThrough(in, e.Window, own)
			if err != nil {
				return err
			}
			out = append(out, read...)
		}
		return nil
	})
	return out, err
}
