package node

import (
	"context"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/web"
)

// completeness is how much of what was sent arrived lately; nil if no stage at work
// measures it.
func completeness(ctx context.Context, catalog *sqlite.Catalog) (*web.Completeness, error) {
	a, err := converge.Arrived(ctx, catalog)
	if a == nil || err != nil {
		return nil, err
	}
	return &web.Completeness{Until: a.Until, Day: a.Day, Since: a.Since}, nil
}
