package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/query"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
	"github.com/reedbed/reedbed/web"
)

// Reader answers questions about a project on which nothing runs. It changes
// nothing but its lease, and any number may be open.
type Reader struct {
	catalog *sqlite.Catalog
	store   *store.Store
	pool    *engine.Pool
	query   *query.Service
	leases  *leases
	dir     string
}

// ErrNothingYet says that a project has never run.
var ErrNothingYet = errors.New("the project has no data yet")

// OpenReader opens a project to read.
func OpenReader(ctx context.Context, o Options) (r *Reader, err error) {
	p := o.Project
	if _, err := os.Stat(p.CatalogFile()); errors.Is(err, os.ErrNotExist) {
		return nil, ErrNothingYet
	}
	r = &Reader{dir: filepath.Join(p.DataDir(), "read", strconv.Itoa(os.Getpid()))}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
			r = nil
		}
	}()
	if r.catalog, err = sqlite.Open(ctx, sqlite.Options{Path: p.CatalogFile()}); err != nil {
		return r, err
	}
	folder, err := openFolder(p.StoreDir())
	if err != nil {
		return r, err
	}
	r.store = store.OpenReadOnly(folder)
	r.leases = &leases{catalog: r.catalog, id: fmt.Sprintf("reader-%d", os.Getpid())}
	return r, r.leases.renew(ctx)
}

// startWorkers starts the query workers, for which status has no use.
func (r *Reader) startWorkers(o Options) error {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	var err error
	r.pool, err = newQueryPool(o, r.dir)
	if err != nil {
		return err
	}
	r.query = &query.Service{Catalog: r.catalog, Engine: r.pool, Store: r.store, Limits: queryLimits(o.Project.Config)}
	return nil
}

func newQueryPool(o Options, dir string) (*engine.Pool, error) {
	return engine.NewPool(engine.Options{
		Binary: o.WorkerBinary, Args: o.WorkerArgs, Env: o.WorkerEnv, Dir: dir, StageWorkers: 1,
		Defaults: queryLimits(o.Project.Config), Log: o.Log,
	})
}

// Query answers one SELECT.
func (r *Reader) Query(ctx context.Context, o Options, sql, format string, w io.Writer) (query.Result, error) {
	if err := r.startWorkers(o); err != nil {
		return query.Result{}, err
	}
	return r.query.Run(ctx, sql, format, w)
}

// Status says what is on record. journalEnd is the events the journal holds.
func (r *Reader) Status(ctx context.Context, journalEnd uint64) (web.Status, error) {
	return status(ctx, r.catalog, journalEnd)
}

// Close gives everything back.
func (r *Reader) Close() error {
	var errs []error
	if r.pool != nil {
		errs = append(errs, r.pool.Close())
	}
	if r.leases != nil {
		errs = append(errs, r.catalog.Unlease(context.Background(), r.leases.id))
	}
	if r.catalog != nil {
		errs = append(errs, r.catalog.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

func queryLimits(c config.Config) engine.Limits {
	return engine.Limits{
		Wall: c.Query.Deadline, CPU: 2 * c.Query.Deadline, Memory: int64(c.Query.Memory), Output: int64(c.Query.Bytes), Rows: int64(c.Query.Rows),
	}
}

// Lint checks the stages and contracts of a project without its data, and returns
// what its datasets are held to.
func Lint(ctx context.Context, o Options) (out converge.Promises, problems []stage.Problem, err error) {
	dir, err := os.MkdirTemp("", "reedbed-lint-")
	if err != nil {
		return out, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder for temporary files, of the system
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	pool, err := newQueryPool(o, dir)
	if err != nil {
		return out, nil, err
	}
	err = withDefinitions(o.Project.Dir, func(p converge.Project) (err error) {
		out, problems, err = converge.Lint(ctx, pool, Semantics(), Builtins(), p)
		return err
	})
	return out, problems, errors.Join(err, pool.Close())
}

// StatusAtRest is the status of a project on which nothing runs. The end of its
// journal is read from the files, which nobody changes.
func StatusAtRest(ctx context.Context, o Options) (s web.Status, err error) {
	r, err := OpenReader(ctx, o)
	if err != nil {
		return s, err
	}
	end, err := journalEnd(o.Project.JournalDir())
	if err == nil {
		s, err = r.Status(ctx, end)
	}
	return s, errors.Join(err, r.Close())
}

// journalEnd counts the events in a journal's files.
func journalEnd(dir string) (uint64, error) {
	folder, err := openFolder(dir)
	if err != nil {
		return 0, err
	}
	end, err := journal.End(folder)
	return end.Event, errors.Join(err, folder.Close())
}
