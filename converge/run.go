package converge

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
)

// answer is what is to be done about a task.
type answer struct {
	stage *deployed
	build dataset.Build
	prior sqlite.Prior
	known string // the outcome, if nothing needs computing; else ""
	found *found // what is on record and must be judged before it is the answer

	located  bool
	segments []dataset.Segment // what must be read to compute it
	growth   dataset.Growth
}

// look takes a pointer vector for a task, derives the trace key, and finds out
// whether a promoted or an earlier version carries it.
func (c *Converger) look(ctx context.Context, k dataset.Task) (a answer, err error) {
	c.mu.Lock()
	a.stage = c.stages[k.Dataset]
	c.mu.Unlock()
	if a.stage == nil {
		a.known = superseded // set aside since it was chosen
		return a, nil
	}
	b := &a.build
	*b = dataset.Build{Task: k, CodeIdentity: a.stage.identity, Gate: a.stage.gate.onRecord(), GitRevision: a.stage.gitRevision}
	if a.stage.readsMuch() {
		if b.TraceKey, b.Standing, err = c.o.Catalog.Stands(ctx, k.Dataset, k.Partition, b.CodeIdentity); err != nil {
			return a, err
		}
		if b.Standing {
			b.Reuse, a.known = true, "fresh"
			return a, c.weigh(ctx, &a)
		}
	}
	if b.Inputs, b.Anchored, err = c.o.Catalog.Inputs(ctx, k.Dataset, k.Partition); err != nil {
		return a, err
	}
	b.TraceKey = dataset.TraceKey(k.Dataset, k.Partition, a.stage.identity, dataset.Reads(b.Inputs))
	if a.prior, err = c.o.Catalog.Prior(ctx, k.Dataset, k.Partition, b.TraceKey); err != nil {
		return a, err
	}
	if !a.prior.Fresh {
		if b.Waits, err = c.o.Catalog.HeldInputs(ctx, k.Dataset, k.Partition); err != nil {
			return a, err
		}
		if len(b.Waits) > 0 {
			a.known = "held"
			return a, nil
		}
	}
	if b.Absent = !b.Anchored || a.stage.nothingToRead(b.Inputs); b.Absent {
		a.known = "absent"
		return a, nil
	}
	if !a.prior.Reusable {
		if err := c.lookByColumns(ctx, &a); err != nil {
			return a, err
		}
	}
	a.settle()
	return a, c.weigh(ctx, &a)
}

// readsMuch reports whether a run reads so many partitions that it pays to ask
// their sums first whether anything changed.
func (s *deployed) readsMuch() bool {
	const few = 12
	span := s.stage.Header.Partition.Span()
	return slices.ContainsFunc(s.inputs, func(in input) bool {
		return in.window.Kind == dataset.All || in.window.Kind == dataset.Span && span+in.window.Hi-in.window.Lo > few*time.Hour
	})
}

// settle notes what is known if versions are on record for the task.
func (a *answer) settle() {
	switch {
	case a.prior.Fresh:
		a.build.Reuse, a.known = true, "fresh"
	case a.prior.Reusable:
		a.build.Reuse, a.known = true, "reused"
	}
}

// run answers one task: it computes only if it must.
func (c *Converger) run(ctx context.Context, t todo) (outcome string, err error) {
	k := t.Task
	a, err := c.recall(ctx, t)
	if err == nil && a.known == "" && a.found == nil {
		err = c.proveByColumns(ctx, &a)
	}
	if err == nil && a.known == "" && a.found == nil {
		a.known, err = "built", c.compute(ctx, &a)
		if err == nil && a.build.Content.Growth != dataset.NoGrowth {
			a.known = "appended"
		}
	}
	if err == nil && a.found != nil {
		err = c.judgeFound(ctx, &a)
	}
	if err == nil && a.build.Held() {
		a.known = "held"
	}
	if err == nil && a.known != superseded {
		err = c.o.Catalog.CommitBuild(ctx, a.build)
	}
	if errors.Is(err, dataset.ErrSuperseded) || errors.Is(err, sqlite.ErrNoDataset) { // it was retired meanwhile
		a.known, err = superseded, nil
	}
	if err != nil {
		a.build.Task = k
		return "failed", c.fail(ctx, a.build, err)
	}
	c.o.Log.Debug("stage ran", "dataset", k.Dataset, "partition", string(k.Partition), "outcome", a.known, "trace_key", hex.EncodeToString(a.build.TraceKey))
	return a.known, nil
}

// superseded is the outcome of a task whose stage was deployed anew or set
// aside meanwhile: nothing is kept, and the partition is still due.
const superseded = "superseded"

// nothingToRead reports whether every input that is cut by time is absent.
func (s *deployed) nothingToRead(inputs []dataset.Promoted) bool {
	timed := false
	for _, in := range s.inputs {
		if in.window.Kind == dataset.Latest || in.window.Kind == dataset.AsOf {
			continue
		}
		timed = true
		if slices.ContainsFunc(inputs, func(q dataset.Promoted) bool { return q.Dataset == in.name && q.Version != 0 }) {
			return false
		}
	}
	return timed
}

// locate finds out what must be read, for all of the partition or for what must
// be added to it.
func (c *Converger) locate(ctx context.Context, a *answer) (err error) {
	if a.located {
		return nil
	}
	if a.segments, a.growth, err = c.additions(ctx, a.stage, a.build.Inputs, a.prior); err == nil && a.growth == dataset.NoGrowth {
		a.segments, err = c.o.Catalog.Segments(ctx, a.build.Inputs)
	}
	a.located = err == nil
	return err
}

// compute builds the whole partition, or only what must be added to it.
func (c *Converger) compute(ctx context.Context, a *answer) error {
	if err := c.locate(ctx, a); err != nil {
		return err
	}
	s, b, content := a.stage, &a.build, dataset.NewContent{}
	if a.growth != dataset.NoGrowth {
		content.Growth, content.Base = a.growth, a.prior.Promoted
		b.Content = &content
		if !slices.ContainsFunc(a.segments, func(x dataset.Segment) bool { return x.Dataset == s.driver }) {
			return c.judgeBuilt(ctx, a, nil) // the input moved without gaining rows
		}
	}
	job := c.job(s, b.Task.Partition, a.segments)
	if content.Growth == dataset.NoGrowth {
		job.Key = s.stage.Header.Key
	}
	job.Survey = s.gate.survey()
	others, err := c.others(ctx, a, job.Tables)
	if err != nil {
		return err
	}
	job.Tables = append(job.Tables, others...)
	res, err := c.o.Engine.Build(ctx, job)
	if err != nil {
		return err
	}
	b.CPU, b.Wall = res.Usage.CPU, res.Usage.Wall
	if content.Segment, err = c.adopt(b.Task, b.Task.Dataset, &res.Output); err != nil {
		return err
	}
	if content.Keyed = res.Output.Keyed; job.Key != nil && content.Keyed == nil {
		content.Keyed = dataset.NotUnique()
	}
	if content.Rejected, err = c.adopt(b.Task, b.Task.Dataset+"_rejected", res.Rejected); err != nil {
		return err
	}
	b.Content = &content
	return c.judgeBuilt(ctx, a, res.Output.Fingerprint)
}

// additions returns the driver's segments that a row-wise stage has not seen,
// with all segments of its other inputs, or NoGrowth when the partition must be
// built whole: the stage is not row-wise, its definition or a side input changed,
// or the driver lost rows.
func (c *Converger) additions(ctx context.Context, s *deployed, now []dataset.Promoted, prior sqlite.Prior) (segments []dataset.Segment, growth dataset.Growth, err error) {
	if s.driver == "" || prior.Promoted.Version == 0 || len(prior.Reads) == 0 { // without reads: somebody promoted it
		return nil, dataset.NoGrowth, nil
	}
	if !bytes.Equal(prior.CodeIdentity, s.identity) {
		return nil, dataset.NoGrowth, nil
	}
	growth = dataset.Grew
	seen := map[place]dataset.Promoted{}
	for _, q := range prior.Reads {
		seen[place{q.Dataset, q.Partition}] = q
	}
	for _, q := range now {
		was, known := seen[place{q.Dataset, q.Partition}]
		delete(seen, place{q.Dataset, q.Partition})
		if q.Dataset == s.driver {
			if q.Version == 0 {
				continue
			}
			added, how, err := c.o.Catalog.Added(ctx, was, q)
			if err != nil || how == dataset.NoGrowth {
				return nil, dataset.NoGrowth, err
			}
			segments, growth = append(segments, added...), min(growth, how)
			continue
		}
		if !known || was.Hash != q.Hash || was.Rows != q.Rows || (was.Version == 0) != (q.Version == 0) {
			return nil, dataset.NoGrowth, nil
		}
		side, err := c.o.Catalog.Segments(ctx, []dataset.Promoted{q})
		if err != nil {
			return nil, dataset.NoGrowth, err
		}
		segments = append(segments, side...)
	}
	for _, gone := range seen {
		if gone.Version != 0 {
			return nil, dataset.NoGrowth, nil
		}
	}
	return segments, growth, nil
}

// job is the engine's work order for one partition over the given segments.
func (c *Converger) job(s *deployed, p dataset.Partition, segments []dataset.Segment) engine.BuildJob {
	job := engine.BuildJob{
		SQL: s.stage.SQL, Rejects: s.stage.Header.Rejects, OrderBy: s.stage.Header.Key,
		Equal: s.stage.Header.Equal, Limits: c.o.Limits, Start: p.Start(), End: p.End(),
	}
	for _, in := range s.inputs {
		t := engine.Table{Name: in.name, Columns: in.columns}
		for _, x := range segments {
			if x.Dataset == in.name && x.Rows > 0 {
				t.Files = append(t.Files, c.o.Store.Path(x.Object))
			}
		}
		job.Tables = append(job.Tables, t)
	}
	return job
}

// adopt moves an output into the store and describes it as a segment; an empty
// output is dropped. A crash after it leaves an orphan.
func (c *Converger) adopt(k dataset.Task, name string, out *engine.Output) (*dataset.NewSegment, error) {
	if out == nil {
		return nil, nil //nolint:nilnil // no output is an answer
	}
	if out.Rows == 0 {
		return nil, os.Remove(out.Path)
	}
	object, err := c.o.Store.Adopt(out.Path, "parquet")
	if err != nil {
		return nil, fmt.Errorf("keep the output of %s@%s: %w", k.Dataset, k.Partition, err)
	}
	return &dataset.NewSegment{
		Dataset: name, Partition: k.Partition, Object: object.ID, Rows: out.Rows, Bytes: object.Bytes, Hash: out.Hash,
	}, nil
}

// fail records a failure so that it is retried later and visible meanwhile. A
// wrong SQL waits long: only a new trace key can help it.
func (c *Converger) fail(ctx context.Context, b dataset.Build, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the node stops; nothing failed
	}
	attempts := 0
	if bytes.Equal(b.Task.FailedKey, b.TraceKey) {
		attempts = b.Task.Attempts
	}
	wait := min(time.Second<<min(attempts, 9), 5*time.Minute)
	if _, isSQL := errors.AsType[*engine.SQLError](cause); isSQL {
		wait = 5 * time.Minute
	}
	err := c.o.Catalog.FailBuild(ctx, b.Task, b.TraceKey, cause.Error(), time.Now().Add(wait))
	if err != nil {
		// The catalog cannot note when to try again, so the task is due as before.
		c.pause(ctx, time.Second)
	}
	return errors.Join(cause, err)
}

// pause waits, or until ctx ends.
func (c *Converger) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
