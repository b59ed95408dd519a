package converge

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// A stage that names the columns it reads depends on these, on how many rows
// there are, and on their keys, and on nothing else of an input whose key is
// known to be unique. docs/decisions/0008 says how that is known.

// lookByColumns derives the task's column key and finds out whether a version on
// record carries it, or whether what the promoted one read differs from what is
// there now only in what the stage does not see.
func (c *Converger) lookByColumns(ctx context.Context, a *answer) (err error) {
	b := &a.build
	if b.ColumnKey, err = c.columnKey(ctx, a, b.Inputs); err != nil || b.ColumnKey == nil {
		return err
	}
	found, err := c.o.Catalog.Prior(ctx, b.Task.Dataset, b.Task.Partition, b.ColumnKey)
	if err != nil {
		return err
	}
	if found.Reusable {
		a.prior, b.Found = found, b.ColumnKey
		return nil
	}
	if !a.standsByDefinition() {
		return nil
	}
	was, err := c.columnKey(ctx, a, a.prior.Reads)
	if err != nil || !bytes.Equal(was, b.ColumnKey) {
		return err
	}
	if found, err = c.o.Catalog.Prior(ctx, b.Task.Dataset, b.Task.Partition, a.prior.TraceKey); err != nil || !found.Fresh {
		return err
	}
	a.prior, b.Found = found, a.prior.TraceKey
	return nil
}

// standsByDefinition reports whether the promoted version was made by the
// definition that is deployed, out of what is on record as read.
func (a *answer) standsByDefinition() bool {
	return a.prior.Promoted.Version != 0 && len(a.prior.Reads) > 0 && bytes.Equal(a.prior.CodeIdentity, a.stage.identity)
}

// columnKey is the trace key of a pointer vector as far as the stage can see it;
// nil if that is all of it.
func (c *Converger) columnKey(ctx context.Context, a *answer, inputs []dataset.Promoted) ([]byte, error) {
	reads := dataset.Reads(inputs)
	narrowed := false
	for _, q := range inputs {
		in, narrow := c.narrow(a.stage, q)
		if !narrow {
			continue
		}
		h, err := c.o.Catalog.Keyed(ctx, q)
		if err != nil {
			return nil, err
		}
		if !h.Proven() {
			continue
		}
		narrowed = true
		i := slices.IndexFunc(reads, func(r dataset.Read) bool { return r.Input == q.Dataset })
		reads[i].Sum = reads[i].Sum.Sub(dataset.Leaf(q)).Add(dataset.LeafOfColumns(q, *h, in.seen))
	}
	if !narrowed {
		return nil, nil
	}
	return dataset.TraceKey(a.build.Task.Dataset, a.build.Task.Partition, a.stage.identity, reads), nil
}

// narrow returns the input a partition belongs to, and whether it has rows and a
// key and the stage names what it reads of it.
func (c *Converger) narrow(s *deployed, q dataset.Promoted) (input, bool) {
	i := slices.IndexFunc(s.inputs, func(in input) bool { return in.name == q.Dataset })
	if i < 0 || q.Version == 0 || q.Rows == 0 || s.inputs[i].all {
		return input{}, false
	}
	return s.inputs[i], c.Key(q.Dataset) != nil
}

// proveByColumns looks again after it had the engine hash, column by column, the
// inputs that changed and that nobody hashed so: what a row-wise stage appended.
// It does so only where it may spare the run, so appends themselves cost nothing:
// every change must be in an input with a key of which the stage does not see
// all, and must leave the number of rows as it was. It stops at the first change
// that the stage sees.
func (c *Converger) proveByColumns(ctx context.Context, a *answer) error {
	changes, may := c.changes(a)
	if !may {
		return nil
	}
	for _, x := range changes {
		if alike, err := c.alike(ctx, x); err != nil || !alike {
			return err
		}
	}
	if err := c.lookByColumns(ctx, a); err != nil {
		return err
	}
	a.settle()
	return c.weigh(ctx, a)
}

// change is a partition of an input that was read and that has other rows now.
type change struct {
	in       input
	was, now dataset.Promoted
}

// changes lists what changed since the promoted version was made, and says
// whether the run may be spared if the stage does not see it.
func (c *Converger) changes(a *answer) (out []change, may bool) {
	if !a.standsByDefinition() || len(a.prior.Reads) != len(a.build.Inputs) {
		return nil, false
	}
	was := map[place]dataset.Promoted{}
	for _, q := range a.prior.Reads {
		was[place{q.Dataset, q.Partition}] = q
	}
	for _, q := range a.build.Inputs {
		old, both := was[place{q.Dataset, q.Partition}]
		if both && dataset.Leaf(q) == dataset.Leaf(old) {
			continue
		}
		in, narrow := c.narrow(a.stage, q)
		if !narrow || !both || old.Rows != q.Rows {
			return nil, false
		}
		out = append(out, change{in, old, q})
	}
	return out, true
}

// alike reports whether a reader cannot tell what is there now from what was.
func (c *Converger) alike(ctx context.Context, x change) (bool, error) {
	now, err := c.prove(ctx, x.now)
	if err != nil || !now.Proven() {
		return false, err
	}
	was, err := c.prove(ctx, x.was)
	if err != nil || !was.Proven() {
		return false, err
	}
	return dataset.LeafOfColumns(x.was, *was, x.in.seen) == dataset.LeafOfColumns(x.now, *now, x.in.seen), nil
}

// prove returns the hashes by column of a version. If nobody knows them, it has
// the engine read the version, and records them. What cannot be read any more is
// not proven.
func (c *Converger) prove(ctx context.Context, q dataset.Promoted) (*dataset.ColumnHashes, error) {
	c.proving.Lock() // several readers want the same proof at the same time
	defer c.proving.Unlock()
	if h, err := c.o.Catalog.Keyed(ctx, q); err != nil || h != nil {
		return h, err
	}
	segments, err := c.o.Catalog.Segments(ctx, []dataset.Promoted{q})
	if errors.Is(err, dataset.ErrSegmentGone) {
		return dataset.NotUnique(), nil
	}
	if err != nil {
		return nil, err
	}
	h, err := c.hashByColumn(ctx, q, segments)
	if err != nil {
		return nil, err
	}
	return h, c.o.Catalog.SetKeyed(ctx, q, h)
}

// hashByColumn reads a version for its hashes by column.
func (c *Converger) hashByColumn(ctx context.Context, q dataset.Promoted, segments []dataset.Segment) (*dataset.ColumnHashes, error) {
	t := engine.Table{Name: q.Dataset}
	for _, s := range segments {
		t.Files = append(t.Files, c.o.Store.Path(s.Object))
	}
	key := c.Key(q.Dataset)
	res, err := c.o.Engine.Build(ctx, engine.BuildJob{SQL: "FROM " + q.Dataset, Tables: []engine.Table{t}, Key: key, OrderBy: key, Limits: c.o.Limits})
	if _, isSQL := errors.AsType[*engine.SQLError](err); isSQL {
		return dataset.NotUnique(), nil // it has not these columns
	}
	if err != nil {
		return nil, err
	}
	if err := os.Remove(res.Output.Path); err != nil {
		return nil, err
	}
	if res.Output.Keyed == nil || res.Output.Hash != q.Hash { // hashed by another scheme, it is not comparable
		return dataset.NotUnique(), nil
	}
	return res.Output.Keyed, nil
}
