package node

import (
	"context"
	"fmt"
	"net/url"

	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/store"
)

// Diff says how two versions differ, by the running node or, when none runs, in
// a worker of this process.
func Diff(ctx context.Context, o Options, r compare.Request) (compare.Result, error) {
	path := "/api/v1/diff?" + url.Values{"a": {r.A.String()}, "b": {r.B.String()}, "limit": {fmt.Sprint(r.Limit)}}.Encode()
	return ask(ctx, o, path, func(reader *Reader) (compare.Result, error) {
		if err := reader.startWorkers(o); err != nil {
			return compare.Result{}, err
		}
		return comparer(reader.catalog, reader.pool, reader.store, queryLimits(o.Project.Config)).Run(ctx, r)
	})
}

// Diff says how two versions differ, under a lease.
func (b backend) Diff(ctx context.Context, r compare.Request) (compare.Result, error) {
	done, err := b.n.leases.read(ctx)
	if err != nil {
		return compare.Result{}, err
	}
	defer done()
	return comparer(b.n.catalog, b.n.pool, b.n.store, queryLimits(b.n.project.Config)).Run(ctx, r)
}

func comparer(c *sqlite.Catalog, p *engine.Pool, s *store.Store, l engine.Limits) *compare.Service {
	return &compare.Service{Catalog: c, Engine: p, Store: s, Limits: l}
}
