package node

import (
	"bytes"
	"context"
	"net/http"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/load"
)

// RetryRequest says what of quarantine to try again.
type RetryRequest struct {
	Source string `json:"source,omitempty"`
	Reason string `json:"reason,omitempty"` // the code of a refusal
	DryRun bool   `json:"dry_run,omitempty"`
	// Limits are those of the project's file as who asks reads it: a dry run says
	// what they would do.
	Limits protocol.Limits `json:"limits"`
}

// Retried is what came of it. Of a dry run, Loaded are all that would decode.
type Retried struct {
	DryRun bool `json:"dry_run"`
	load.Tried
	// Restart says that the node runs with other limits than the project's file
	// has now: it was those the events were tried with.
	Restart bool `json:"restart,omitempty"`
}

// RetryQuarantine decodes quarantine again. What decodes now becomes events.
func RetryQuarantine(ctx context.Context, o Options, r RetryRequest) (Retried, error) {
	r.Limits = protocolLimits(o.Project.Config)
	return order(ctx, o, "quarantine-retry", r, (*Node).retryQuarantine)
}

func (n *Node) retryQuarantine(ctx context.Context, r RetryRequest) (out Retried, err error) {
	ask := load.Again{Source: r.Source, Code: r.Reason, All: true}
	out.DryRun = r.DryRun
	if r.DryRun {
		done, err := n.leases.read(ctx)
		if err != nil {
			return out, err
		}
		defer done()
		out.Tried, err = n.loader.Preview(ctx, ask, r.Limits)
		return out, err
	}
	out.Restart = !bytes.Equal(protocolLimits(n.project.Config).Identity(), r.Limits.Identity())
	out.Tried, err = n.loader.Retry(ctx, ask)
	return out, err
}

// quarantineRoutes adds what the orders of `reedbed quarantine` ask of a running node.
func (n *Node) quarantineRoutes(mux *http.ServeMux) {
	take(mux, n, "refused", (*Node).refused)
	take(mux, n, "refused-rows", (*Node).refusedRows)
	take(mux, n, "quarantine-retry", (*Node).retryQuarantine)
}
