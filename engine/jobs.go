package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// HashScheme names how content hashes are made. It goes on record with each
// dataset, so that people can tell why equal rows have other hashes after an
// upgrade. DuckDB's version is part of it because its hash function may change
// with any release.
const HashScheme = "duck-1.5.5/1"

// lane is one way to run jobs: who may run, where workers come from and go to.
type lane struct {
	tokens chan struct{}
	take   func(ctx context.Context, sql string) (*process, error)
	give   func(*process) // nil: the worker is used once
}

func (p *Pool) buildLane() lane { return lane{p.builds, p.takeStage, p.giveStage} }
func (p *Pool) briefLane() lane { return lane{p.briefs, p.takeStage, p.giveStage} }
func (p *Pool) queryLane() lane { return lane{p.queries, p.takeQuery, nil} }

// brief bounds what only looks at a text.
func brief() Limits { return Limits{Wall: 30 * time.Second, CPU: 20 * time.Second} }

// Parse reads a text without binding it. It fails with *SQLError or
// ErrNotSelect.
func (p *Pool) Parse(ctx context.Context, sql string) (Parsed, error) {
	reply, _, err := p.run(ctx, p.briefLane(), Request{Kind: KindParse, SQL: sql, Limits: brief()}, nil)
	if err != nil {
		return Parsed{}, err
	}
	return *reply.Parsed, nil
}

// Describe binds a text against its tables, which may be empty relations of
// given columns, and returns the columns a Build of it would store.
func (p *Pool) Describe(ctx context.Context, sql string, tables []Table) ([]dataset.Column, error) {
	reply, _, err := p.run(ctx, p.briefLane(), Request{Kind: KindDescribe, SQL: sql, Tables: tables, Limits: brief()}, nil)
	return reply.Columns, err
}

// Build runs a SELECT once and stores its rows. The caller owns the files of the
// result; they are on the pool's file system and not synced.
func (p *Pool) Build(ctx context.Context, job BuildJob) (BuildResult, error) {
	r := Request{
		Kind: KindBuild, SQL: job.SQL, Tables: job.Tables, Start: job.Start, End: job.End, Rejects: job.Rejects,
		OrderBy: job.OrderBy, Key: job.Key, Equal: job.Equal, Survey: job.Survey, Limits: job.Limits,
	}
	var result BuildResult
	_, usage, err := p.run(ctx, p.buildLane(), r, func(w *process, reply Reply) error {
		if reply.Rejected != nil {
			result.Rejected = reply.Rejected
			if err := p.keep(w, RejectedFile, result.Rejected); err != nil {
				return err
			}
		}
		result.Output = *reply.Output
		return p.keep(w, RowsFile, &result.Output)
	})
	result.Usage = usage
	if err != nil {
		return BuildResult{}, err
	}
	return result, nil
}

// Survey takes the fingerprint of rows that are stored already. It is that which
// the Build that wrote them gives for the same survey, but that it knows of no rejected rows.
func (p *Pool) Survey(ctx context.Context, job SurveyJob) (*fingerprint.Fingerprint, Usage, error) {
	r := Request{Kind: KindSurvey, Tables: job.Tables, Survey: &job.Survey, Start: job.Start, End: job.End, Limits: job.Limits}
	reply, usage, err := p.run(ctx, p.buildLane(), r, nil)
	return reply.Fingerprint, usage, err
}

// Compact rewrites files of one shape into one, row for row. The caller owns the
// file of the result. With OrderBy the rows are sorted by those columns only, so
// they should hold a key.
func (p *Pool) Compact(ctx context.Context, job CompactJob) (Output, Usage, error) {
	if len(job.Files) == 0 {
		return Output{}, Usage{}, errors.New("engine: nothing to compact: the job names no files")
	}
	r := Request{
		Kind: KindCompact, Tables: []Table{{Name: "files", Files: job.Files}},
		OrderBy: job.OrderBy, Limits: job.Limits,
	}
	var out Output
	_, usage, err := p.run(ctx, p.buildLane(), r, func(w *process, reply Reply) error {
		out = *reply.Output
		return p.keep(w, RowsFile, &out)
	})
	return out, usage, err
}

// Query runs a person's SELECT in a worker of its own and copies the formatted
// rows to w once they are complete: an error leaves w untouched, unless w
// itself fails. When ctx ends, the worker is killed.
func (p *Pool) Query(ctx context.Context, job QueryJob, w io.Writer) (QueryResult, error) {
	return p.answer(ctx, p.queryLane(), KindQuery, job, w)
}

// Report is Query for SQL of the project's own files: it runs in a warm worker,
// beside stages, and costs no process.
func (p *Pool) Report(ctx context.Context, job QueryJob, w io.Writer) (QueryResult, error) {
	return p.answer(ctx, p.briefLane(), KindReport, job, w)
}

// Observe is Report for SQL of the program itself over many rows: it takes its turn
// among builds, so that nobody who asks something short waits for it.
func (p *Pool) Observe(ctx context.Context, job QueryJob, w io.Writer) (QueryResult, error) {
	return p.answer(ctx, p.buildLane(), KindReport, job, w)
}

func (p *Pool) answer(ctx context.Context, l lane, kind string, job QueryJob, w io.Writer) (QueryResult, error) {
	r := Request{Kind: kind, SQL: job.SQL, Tables: job.Tables, Format: job.Format, Limits: job.Limits}
	var file *os.File
	reply, usage, err := p.run(ctx, l, r, func(worker *process, _ Reply) (err error) {
		file, err = openResult(worker.path("out", ResultFile))
		return err
	})
	if err != nil {
		return QueryResult{}, err
	}
	defer file.Close() // opened for reading
	result := QueryResult{Columns: reply.Columns, Rows: reply.Rows, Truncated: reply.Truncated, Usage: usage}
	if _, err := io.Copy(w, file); err != nil {
		return result, fmt.Errorf("write the result: %w", err)
	}
	return result, nil
}

// keep moves an output out of a worker's reach, to where the caller finds it.
func (p *Pool) keep(w *process, name string, out *Output) error {
	from := w.path("out", name)
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != out.Bytes {
		return fmt.Errorf("the worker's %s is not the file it reported", name)
	}
	out.Path = filepath.Join(p.dir, "results", fmt.Sprintf("%d-%s", p.results.Add(1), name))
	return os.Rename(from, out.Path)
}

// run takes a job through a lane: it waits for a token, starts the clock, and
// tries workers until one answers. keep sees the worker's folder while the
// outputs are still in it.
func (p *Pool) run(ctx context.Context, l lane, r Request, keep func(*process, Reply) error) (reply Reply, usage Usage, err error) {
	if err := p.enter(); err != nil {
		return Reply{}, Usage{}, err
	}
	defer p.calls.Done()
	began := time.Now()
	defer func() { p.metrics.ended(r.Kind, began, err) }()
	select {
	case l.tokens <- struct{}{}:
		defer func() { <-l.tokens }()
	case <-ctx.Done():
		return Reply{}, Usage{}, context.Cause(ctx)
	case <-p.ctx.Done():
		return Reply{}, Usage{}, ErrClosed
	}
	r.Limits = r.Limits.or(p.opt.Defaults)
	ctx, cancel := context.WithTimeoutCause(ctx, r.Limits.Wall,
		fmt.Errorf("%w: the job ran longer than %s; raise its wall limit or let it read fewer rows", ErrDeadline, r.Limits.Wall))
	defer cancel()
	start := time.Now()
	reply, err = p.retry(ctx, l, r, keep)
	usage = Usage{CPU: reply.CPU, SQL: reply.SQL, Wall: time.Since(start)}
	p.metrics.cpu.WithLabelValues(r.Kind).Add(reply.CPU.Seconds())
	return reply, usage, err
}

// retry starts a job again when its worker died. A worker that crashed by
// itself is given one more chance; one that was killed from outside, several.
func (p *Pool) retry(ctx context.Context, l lane, r Request, keep func(*process, Reply) error) (Reply, error) {
	for attempt := 1; ; attempt++ {
		reply, err := p.attempt(ctx, l, r, keep)
		if !errors.Is(err, ErrWorkerDied) {
			return reply, err
		}
		p.metrics.died.Inc()
		if p.ctx.Err() != nil {
			return Reply{}, ErrClosed
		}
		if attempt == attempts || attempt == 2 && !errors.Is(err, errKilled) {
			return Reply{}, err
		}
		p.log.Warn("a worker died under a job, which is started again", "kind", r.Kind, "attempt", attempt, "err", err)
	}
}

// attempt runs a job in one worker. Only a worker that answered, with a result
// or a mistake in the SQL, is given back.
func (p *Pool) attempt(ctx context.Context, l lane, r Request, keep func(*process, Reply) error) (Reply, error) {
	w, err := l.take(ctx, r.SQL)
	if err != nil {
		return Reply{}, err
	}
	if r.Tables, err = bring(r.Tables, w.path("in")); err != nil {
		return Reply{}, p.lost(ctx, w, err)
	}
	reply, err := w.exchange(ctx, r)
	if err != nil {
		return Reply{}, err
	}
	if reply.Failure != nil {
		err = reply.Failure.Err()
	} else if keep != nil {
		if err = keep(w, reply); err != nil {
			return Reply{}, p.lost(ctx, w, err)
		}
	}
	p.leave(l, w, r, err)
	return reply, err
}

// lost ends a worker whose files could not be handled, and tells a real mistake
// with them from a folder that vanished because the worker had been killed.
func (p *Pool) lost(ctx context.Context, w *process, err error) error {
	if _, gone := os.Stat(w.path("in")); gone != nil {
		return w.died(ctx, gone)
	}
	w.kill()
	return err
}

// leave gives a worker back after a job that ended with err, or ends it.
func (p *Pool) leave(l lane, w *process, r Request, err error) {
	if l.give == nil || !reusable(err) || takeAway(r.Tables, w.path("in")) != nil {
		w.kill()
		return
	}
	l.give(w)
}

// reusable reports that a worker which ended a job like this is still sound.
func reusable(err error) bool {
	_, wrong := errors.AsType[*SQLError](err)
	return err == nil || wrong || errors.Is(err, ErrNotSelect) || errors.Is(err, ErrLimit)
}
