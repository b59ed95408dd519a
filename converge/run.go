package converge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
)

// run answers one task: it takes a pointer vector, derives the trace key, and
// computes only if no promoted or earlier version carries that key.
func (c *Converger) run(ctx context.Context, k dataset.Task) (outcome string, err error) {
	c.mu.Lock()
	s := c.stages[k.Dataset]
	c.mu.Unlock()
	if s == nil {
		return superseded, nil // set aside since it was chosen
	}
	b := dataset.Build{Task: k, CodeIdentity: s.identity, GitRevision: c.o.GitRevision}
	if b.Inputs, b.Absent, err = c.inputs(ctx, s, k); err != nil {
		return "failed", c.fail(ctx, b, err)
	}
	b.TraceKey = dataset.TraceKey(k.Dataset, k.Partition, s.identity, dataset.Reads(b.Inputs))
	outcome, err = c.answer(ctx, s, &b)
	if err == nil {
		err = c.o.Catalog.CommitBuild(ctx, b)
	}
	if errors.Is(err, dataset.ErrSuperseded) {
		return superseded, nil
	}
	if err != nil {
		return "failed", c.fail(ctx, b, err)
	}
	return outcome, nil
}

// superseded is the outcome of a task whose stage was deployed anew or set
// aside meanwhile: nothing is kept, and the partition is still due.
const superseded = "superseded"

// answer decides what the outcome is and computes it if need be.
func (c *Converger) answer(ctx context.Context, s *deployed, b *dataset.Build) (outcome string, err error) {
	prior, err := c.o.Catalog.Prior(ctx, b.Task.Dataset, b.Task.Partition, b.TraceKey)
	if err != nil {
		return "", err
	}
	switch {
	case b.Absent:
		return "absent", nil
	case prior.Reusable:
		b.Reuse = true
		if prior.Fresh {
			return "fresh", nil
		}
		return "reused", nil
	}
	if err := c.compute(ctx, s, b, prior); err != nil {
		return "", err
	}
	if b.Content.Append {
		return "appended", nil
	}
	return "built", nil
}

// inputs takes the pointer vector of a task, and says whether it makes the
// partition ABSENT: nothing anchors it, or there is nothing to read.
func (c *Converger) inputs(ctx context.Context, s *deployed, k dataset.Task) (in []dataset.Promoted, absent bool, err error) {
	in, anchored, err := c.o.Catalog.Inputs(ctx, k.Dataset, k.Partition)
	return in, !anchored || s.nothingToRead(in), err
}

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

// compute builds the whole partition, or only what must be added to it.
func (c *Converger) compute(ctx context.Context, s *deployed, b *dataset.Build, prior sqlite.Prior) error {
	content := dataset.NewContent{}
	segments, additive, err := c.additions(ctx, s, b.Inputs, prior)
	if err != nil {
		return err
	}
	if additive {
		content.Append, content.Base = true, prior.Promoted
		b.Content = &content
		if !slices.ContainsFunc(segments, func(x dataset.Segment) bool { return x.Dataset == s.driver }) {
			return nil // the input moved without gaining rows
		}
	} else if segments, err = c.o.Catalog.Segments(ctx, b.Inputs); err != nil {
		return err
	}
	res, err := c.o.Engine.Build(ctx, c.job(s, b.Task.Partition, segments))
	if err != nil {
		return err
	}
	b.CPU, b.Wall = res.Usage.CPU, res.Usage.Wall
	if content.Segment, err = c.adopt(b.Task, b.Task.Dataset, &res.Output); err != nil {
		return err
	}
	if content.Rejected, err = c.adopt(b.Task, b.Task.Dataset+"_rejected", res.Rejected); err != nil {
		return err
	}
	b.Content = &content
	return nil
}

// additions returns the driver's segments that a row-wise stage has not seen,
// with all segments of its other inputs, or additive = false when the partition
// must be built whole: the stage is not row-wise, its definition or a side input
// changed, or the driver lost rows.
func (c *Converger) additions(ctx context.Context, s *deployed, now []dataset.Promoted, prior sqlite.Prior) (segments []dataset.Segment, additive bool, err error) {
	if s.driver == "" || prior.Promoted.Version == 0 {
		return nil, false, nil
	}
	if !bytes.Equal(prior.CodeIdentity, s.identity) {
		return nil, false, nil
	}
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
			added, complete, err := c.o.Catalog.Added(ctx, was, q)
			if err != nil || !complete {
				return nil, false, err
			}
			segments = append(segments, added...)
			continue
		}
		if !known || was.Hash != q.Hash || was.Rows != q.Rows || (was.Version == 0) != (q.Version == 0) {
			return nil, false, nil
		}
		side, err := c.o.Catalog.Segments(ctx, []dataset.Promoted{q})
		if err != nil {
			return nil, false, err
		}
		segments = append(segments, side...)
	}
	for _, gone := range seen {
		if gone.Version != 0 {
			return nil, false, nil
		}
	}
	return segments, true, nil
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
