package sqlite

import (
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// source is a dataset as everybody reads it, or as one stage does (reader), which
// has pins or belongs to a release group.
type source struct{ dataset, reader int64 }

// way is how a source is read.
type way struct {
	grain dataset.Grain
	join  string // SQL of the versions v of partitions p that are read through it
	args  []any
	dated bool // when its partitions closed matters, too
}

const everybodys = ` JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' JOIN versions v ON v.partition_id = p.id AND v.number = x.version `

// wayOf is how a stage reads an input, itself among them; reader 0 is everybody.
func (t *tx) wayOf(src source, stage, input Dataset) (way, error) {
	w := way{grain: input.Spec.Grain, join: everybodys}
	if src.reader == 0 {
		return w, nil
	}
	number, args := readBy(stage, input)
	number, args, err := t.throughPins(stage.ID, input.ID, number, args)
	w.join, w.args = " JOIN versions v ON v.partition_id = p.id AND v.number = "+number+" ", args
	return w, err
}

// rechecked is one deployed stage.
type rechecked struct {
	stage    Dataset
	identity []byte
	own      source
	edges    []reading
	inputs   []source    // of each edge
	dated    [][]pastSum // of each input, what closed partitions read as of their close; nil if they follow it
}

// pastSum is when a version of an input that is not cut came, and what it holds.
type pastSum struct {
	at  int64
	sum dataset.Sum
}

// addStage adds a stage to what is checked, with the ways its inputs are read in.
func (t *tx) addStage(plan *recheck, name string) (err error) {
	var s rechecked
	if s.stage, err = t.dataset(name); err != nil {
		return err
	}
	if err = t.QueryRowContext(t.ctx, "SELECT code_identity FROM definitions WHERE id = ?", s.stage.Definition).Scan(&s.identity); err != nil {
		return err
	}
	if s.edges, err = t.edgesOf(s.stage.ID); err != nil {
		return err
	}
	s.own.dataset = s.stage.ID
	if s.stage.Release != "" {
		s.own.reader = s.stage.ID
	}
	if err := t.addSource(plan, s.own, s.stage, s.stage); err != nil {
		return err
	}
	for _, e := range s.edges {
		if err := t.addInput(plan, &s, e); err != nil {
			return err
		}
	}
	plan.stages = append(plan.stages, s)
	return nil
}

func (t *tx) addInput(plan *recheck, s *rechecked, e reading) error {
	input, err := t.dataset(e.input)
	if err != nil {
		return err
	}
	src := source{dataset: e.inputID}
	if e.special {
		src.reader = s.stage.ID
	}
	s.inputs, s.dated = append(s.inputs, src), append(s.dated, nil)
	if err := t.addSource(plan, src, s.stage, input); err != nil {
		return err
	}
	if _, has := plan.totals[src]; !has && (e.window.Kind != dataset.Span || s.stage.Spec.Grain == dataset.None) {
		w := plan.ways[src]
		plan.totals[src], err = t.leavesOf("SELECT p.name, v.number, v.rows, v.hash FROM partitions p"+w.join+"WHERE p.dataset_id = ?", append(slices.Clone(w.args), input.ID)...)
		if err != nil {
			return err
		}
	}
	pinned, err := t.isPinned(s.stage.ID, input.ID)
	if err != nil || !e.window.Dated() || pinned {
		return err
	}
	own := plan.ways[s.own]
	own.dated = true
	plan.ways[s.own] = own
	s.dated[len(s.dated)-1], err = t.pastSums(input.ID)
	return err
}

// addSource adds a source, and the dataset as everybody reads it, whose sums are on record.
func (t *tx) addSource(plan *recheck, src source, stage, input Dataset) error {
	for _, s := range []source{src, {dataset: src.dataset}} {
		if _, has := plan.ways[s]; has {
			continue
		}
		w, err := t.wayOf(s, stage, input)
		if err != nil {
			return err
		}
		plan.ways[s] = w
	}
	return nil
}

// pastSums lists the versions of a dataset that is not cut, the oldest first.
func (t *tx) pastSums(datasetID int64) (out []pastSum, err error) {
	err = t.each(`SELECT v.created_at, p.name, v.number, v.rows, v.hash FROM partitions p JOIN versions v ON v.partition_id = p.id
		WHERE p.dataset_id = ? ORDER BY v.number`, []any{datasetID}, func(scan func(...any) error) error {
		var m pastSum
		q, err := scanPromoted("", func(dst ...any) error { return scan(append([]any{&m.at}, dst...)...) })
		m.sum = dataset.Leaf(q)
		out = append(out, m)
		return err
	})
	return out, err
}

// asOf is what was promoted at a moment, else the first there was.
func asOf(versions []pastSum, at int64) dataset.Sum {
	for _, v := range slices.Backward(versions) {
		if v.at <= at {
			return v.sum
		}
	}
	if len(versions) == 0 {
		return dataset.Sum{}
	}
	return versions[0].sum
}
