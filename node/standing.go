package node

import (
	"context"
	"errors"
	"os"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// Standings judges what is on record of a project by contracts, whether or not a
// node runs. Of a project that never ran there is nothing.
func Standings(ctx context.Context, p config.Project, contracts []contract.Contract, known contract.Subjects) ([]converge.Standing, error) {
	if _, err := os.Stat(p.CatalogFile()); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	catalog, err := sqlite.Open(ctx, sqlite.Options{Path: p.CatalogFile(), ReadOnly: true})
	if err != nil {
		return nil, err
	}
	out, err := converge.Standings(ctx, catalog, contracts, known)
	return out, errors.Join(err, catalog.Close())
}
