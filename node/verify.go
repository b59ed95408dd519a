package node

import (
	"context"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
)

// Verify computes promoted partitions again and compares, and reads the files on
// record. It promotes nothing.
func Verify(ctx context.Context, o Options, ask converge.Verification) (converge.Verified, error) {
	return order(ctx, o, "verify", ask, (*Node).verify)
}

// verify holds a lease: the versions it looks at keep their files meanwhile.
func (n *Node) verify(ctx context.Context, ask converge.Verification) (converge.Verified, error) {
	done, err := n.leases.read(ctx)
	if err != nil {
		return converge.Verified{}, err
	}
	defer done()
	if err := n.leases.renew(ctx); err != nil {
		return converge.Verified{}, err
	}
	return n.converger.Verify(ctx, ask)
}

// unstable words as problems what verify found of the deployed stages.
func unstable(ctx context.Context, catalog *sqlite.Catalog) ([]stage.Problem, error) {
	found, err := catalog.Unstable(ctx)
	var out []stage.Problem
	for _, u := range found {
		out = append(out, stage.Problem{
			File: u.File, What: "computed again from the same inputs, it gave other rows: " + u.Found,
			Fix: "make each answer follow from the rows alone: order by a whole key inside first(), row_number() or LIMIT; what was computed first stands until then",
		})
	}
	return out, err
}
