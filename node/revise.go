package node

import (
	"context"
	"errors"
	"net/http"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// Plan says what deploying definitions would do.
func Plan(ctx context.Context, o Options, r PlanRequest) (converge.Plan, error) {
	return orderAt(ctx, o, planPath, r, (*Node).plan)
}

// Apply deploys definitions.
func Apply(ctx context.Context, o Options, r ApplyRequest) (converge.Applied, error) {
	return orderAt(ctx, o, applyPath, r, (*Node).apply)
}

// Rollback puts earlier definitions back.
func Rollback(ctx context.Context, o Options, r RollbackRequest) (converge.Applied, error) {
	return orderAt(ctx, o, rollbackPath, r, (*Node).rollback)
}

// Score sets what was predicted of an apply against what came of it; 0 is the
// last apply.
func Score(ctx context.Context, o Options, apply int64) (sqlite.Score, error) {
	return order(ctx, o, "score", apply, (*Node).score)
}

// Applies lists the latest changes of what is deployed, the newest first.
func Applies(ctx context.Context, o Options, limit int) ([]sqlite.ApplyRecord, error) {
	return order(ctx, o, "applies", limit, (*Node).applies)
}

// Revisions lists the revisions of a stage, the newest first.
func Revisions(ctx context.Context, o Options, stage string) ([]sqlite.Definition, error) {
	return order(ctx, o, "revisions", stage, (*Node).revisions)
}

// Settle waits until everything is loaded and computed, running the project
// without a listener for as long when nothing does.
func Settle(ctx context.Context, o Options) error {
	client, err := Connect(ctx, o.Project)
	if errors.Is(err, ErrNotRunning) {
		return While(ctx, o, func(ctx context.Context, n *Node) error { return n.Settle(ctx) })
	}
	if err != nil {
		return err
	}
	return client.Settle(ctx)
}

func (n *Node) score(ctx context.Context, apply int64) (sqlite.Score, error) {
	return n.catalog.Score(ctx, apply)
}

func (n *Node) applies(ctx context.Context, limit int) ([]sqlite.ApplyRecord, error) {
	return n.catalog.Applies(ctx, limit)
}

func (n *Node) revisions(ctx context.Context, stage string) ([]sqlite.Definition, error) {
	return n.catalog.Revisions(ctx, stage)
}

// Paths of the JSON API that change what is deployed. They are on the control
// socket only.
const (
	planPath     = "/api/v1/plan"
	applyPath    = "/api/v1/apply"
	rollbackPath = "/api/v1/rollback"
)

// reviseRoutes adds what these ask of a running node.
func (n *Node) reviseRoutes(mux *http.ServeMux) {
	takeAt(mux, n, planPath, (*Node).plan)
	takeAt(mux, n, applyPath, (*Node).apply)
	takeAt(mux, n, rollbackPath, (*Node).rollback)
	take(mux, n, "score", (*Node).score)
	take(mux, n, "applies", (*Node).applies)
	take(mux, n, "revisions", (*Node).revisions)
}
