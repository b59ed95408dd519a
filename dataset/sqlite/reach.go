package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

// Planned is a stage as somebody means to deploy it.
type Planned struct {
	Name     string
	Grain    dataset.Grain
	Changed  bool   // it is new, or computes something else than what is deployed
	Identity []byte // its code identity
	Edges    []dataset.Edge
	Sample   int // how many of the partitions that are reached and promoted to name
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
	Sample   []dataset.Partition // as many as were asked for, spread over time, the last among them
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
	if out.Sample, err = r.sample(s, out.id); err != nil {
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
		err = r.unchanged(s, &out)
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
	return r.possible(s)
}

// possible takes every partition of a stage that has a reason to exist.
func (r *reach) possible(s Planned) error {
	if err := r.slots(s); err != nil {
		return err
	}
	return r.exec("INSERT OR IGNORE INTO reach SELECT ?, starts, ends FROM slots", s.Name)
}

func (r *reach) existing(s Planned, id int64, where string) error {
	return r.exec("INSERT OR IGNORE INTO reach SELECT ?, starts, ends FROM partitions WHERE dataset_id = ? AND "+where, s.Name, id)
}

// unchanged takes the partitions of a stage whose code stays as it is.
func (r *reach) unchanged(s Planned, out *found) error {
	moved, err := r.redated(s, out.id)
	if err != nil {
		return err
	}
	if moved {
		out.Because = []string{s.Name}
	}
	inputs, err := r.through(s, out.id)
	out.Because = append(out.Because, inputs...)
	return err
}

// through takes the partitions of an unchanged stage that read what was reached.
func (r *reach) through(s Planned, id int64) (because []string, err error) {
	for _, e := range s.Edges {
		if !r.reached[producer(e.Input)] {
			continue
		}
		kept, err := r.readsPinned(id, e)
		if err != nil {
			return nil, err
		}
		if kept {
			continue
		}
		because = append(because, e.Input)
		switch {
		case s.Grain == dataset.None:
			err = r.exec("INSERT OR IGNORE INTO reach VALUES (?, 0, 0)", s.Name)
		case e.Window.Kind == dataset.AsOf || e.Window.Kind == dataset.Latest:
			err = r.existing(s, id, following(e.Window))
		case e.Window.Kind == dataset.All:
			err = r.all(s, id, e)
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

// readsPinned reports whether a stage reads an input that is not cut by time
// through a pin, and sees nothing of what changes.
func (t *tx) readsPinned(stageID int64, e dataset.Edge) (yes bool, err error) {
	if e.Window.Kind != dataset.Latest && e.Window.Kind != dataset.AsOf {
		return false, nil
	}
	err = t.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM pins WHERE stage_id = ? AND input_id = (SELECT id FROM datasets WHERE name = ?))", stageID, e.Input).Scan(&yes)
	return yes, err
}

// redated takes the closed partitions of an unchanged stage that read an input as
// of another time, because the day moved from which on they follow it: those that
// find other content there. It reports whether there are any.
func (r *reach) redated(s Planned, id int64) (moved bool, err error) {
	before := map[string]dataset.Partition{}
	err = r.each("SELECT d.name, e.since FROM edges e JOIN datasets d ON d.id = e.input_id WHERE e.dataset_id = ?", []any{id},
		func(scan func(...any) error) error {
			var name string
			var since dataset.Partition
			err := scan(&name, &since)
			before[name] = since
			return err
		})
	if err != nil {
		return false, err
	}
	for _, e := range s.Edges {
		was, known := before[e.Input]
		if !known || was == e.Window.From {
			continue
		}
		some, err := r.redatedThrough(s, id, e, was)
		if err != nil {
			return false, err
		}
		moved = moved || some
	}
	return moved, nil
}

// redatedThrough takes what redated takes through one edge, which was followed from
// another day on. Partitions that follow it now see its change, if it changes;
// the others go back to what it was when they closed.
func (r *reach) redatedThrough(s Planned, id int64, e dataset.Edge, was dataset.Partition) (some bool, err error) {
	if kept, err := r.readsPinned(id, e); kept || err != nil {
		return false, err
	}
	start := func(day dataset.Partition) int64 {
		if day == "" {
			return math.MinInt64
		}
		return micros(day.Start())
	}
	from, to := start(e.Window.From), start(was)
	sees := from < to && r.reached[producer(e.Input)]
	res, err := r.ExecContext(r.ctx, `INSERT OR REPLACE INTO reach SELECT ?1, p.starts, p.ends FROM partitions p
		JOIN partitions q ON q.dataset_id = (SELECT id FROM datasets WHERE name = ?3) AND q.ends = 0
		LEFT JOIN versions now ON now.partition_id = q.id AND now.number = (SELECT version FROM pointers WHERE partition_id = q.id AND view = 'main')
		LEFT JOIN versions old ON old.partition_id = q.id AND old.number = `+fmt.Sprintf(atClose, "q.id", "p.closed_at")+`
		WHERE p.dataset_id = ?2 AND p.closed_at IS NOT NULL AND p.starts >= ?4 AND p.starts < ?5
		AND (?6 OR now.rows IS NOT old.rows OR now.hash IS NOT old.hash)`, s.Name, id, e.Input, min(from, to), max(from, to), sees)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// all takes the partitions that read all of what was reached: those that exist, and
// those that find something to read for the first time.
func (r *reach) all(s Planned, id int64, e dataset.Edge) error {
	if err := r.existing(s, id, "TRUE"); err != nil {
		return err
	}
	begins, err := r.begins(e.Input)
	if err != nil {
		return err
	}
	if !begins {
		return r.sharing(s, e)
	}
	return r.possible(s)
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
