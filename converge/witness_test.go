package converge

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/reedbed/reedbed/engine"
)

// backend computes what programs say, and keeps rows in files.
type backend interface {
	Engine
	text(p program) string
	rule(rejects string) string
	write(rows []row) (engine.Output, error)
	read(sets [][]string) ([][]row, error)      // the rows of each set of files
	join(files []string) (engine.Output, error) // one file with the rows of all
}

var errWorker = errors.New("the worker died")

// witness is an engine that can be made to fail or to stop, and counts what it
// computed for stages.
type witness struct {
	backend
	succeeded atomic.Int64

	mu   sync.Mutex
	stop barrier
	fuse int // calls of any kind until kill, if that is set
	kill func()
}

// barrier is asked before a build of a stage and after it. It may stay there until
// ctx ends.
type barrier func(ctx context.Context, done bool) error

func (w *witness) setBarrier(b barrier) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop = b
}

func (w *witness) pass(ctx context.Context, done bool) error {
	w.mu.Lock()
	b := w.stop
	w.mu.Unlock()
	if b == nil {
		return nil
	}
	return b(ctx, done)
}

// killAfter calls kill when n more calls of any kind were made.
func (w *witness) killAfter(n int, kill func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fuse, w.kill = n, kill
}

func (w *witness) burn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kill == nil {
		return
	}
	if w.fuse--; w.fuse < 0 {
		w.kill()
		w.kill = nil
	}
}

// Parse is the backend's.
func (w *witness) Parse(ctx context.Context, sql string) (engine.Parsed, error) {
	w.burn()
	if err := ctx.Err(); err != nil {
		return engine.Parsed{}, err
	}
	return w.backend.Parse(ctx, sql)
}

// Build is the backend's, between two gates.
func (w *witness) Build(ctx context.Context, job engine.BuildJob) (engine.BuildResult, error) {
	if job.Tables[0].Format == "csv" {
		w.burn()
		return w.backend.Build(ctx, job)
	}
	if err := w.pass(ctx, false); err != nil {
		return engine.BuildResult{}, err
	}
	out, err := w.backend.Build(ctx, job)
	if err != nil {
		return out, err
	}
	w.succeeded.Add(1)
	if err := w.pass(ctx, true); err != nil {
		return engine.BuildResult{}, err
	}
	return out, nil
}
