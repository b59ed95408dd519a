package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/reedbed/reedbed/dataset"
)

// Waive records consent that partitions stay as they are although stale.
func Waive(ctx context.Context, o Options, w dataset.Waiver) (dataset.Waiver, error) {
	return order(ctx, o, "waive", w, (*Node).waive)
}

// Unwaive removes a waiver: what it held back becomes due.
func Unwaive(ctx context.Context, o Options, r Removal) (dataset.Waiver, error) {
	return order(ctx, o, "unwaive", r, (*Node).unwaive)
}

// Waivers lists the waivers that stand.
func Waivers(ctx context.Context, o Options) ([]dataset.Waiver, error) {
	return order(ctx, o, "waivers", struct{}{}, (*Node).waivers)
}

// Promote sends the readers of a partition to an older version of it.
func Promote(ctx context.Context, o Options, m dataset.Promotion) (dataset.Waiver, error) {
	return order(ctx, o, "promote", m, (*Node).promote)
}

// Approve lets the held version of a partition go to readers.
func Approve(ctx context.Context, o Options, a Approval) (dataset.Hold, error) {
	return order(ctx, o, "approve", a, (*Node).approve)
}

// Pin makes a stage read an input as it was.
func Pin(ctx context.Context, o Options, p dataset.Pin) (dataset.Pin, error) {
	return order(ctx, o, "pin", p, (*Node).pin)
}

// Unpin removes a pin: the stage reads what everybody reads.
func Unpin(ctx context.Context, o Options, r Removal) (dataset.Pin, error) {
	return order(ctx, o, "unpin", r, (*Node).unpin)
}

// Pins lists the pins that stand.
func Pins(ctx context.Context, o Options) ([]dataset.Pin, error) {
	return order(ctx, o, "pins", struct{}{}, (*Node).pins)
}

// Approval names a partition of which something is held, and who lets it pass.
type Approval struct {
	Reference dataset.Reference `json:"reference"`
	Approval  dataset.Approval  `json:"approval"`
}

// Removal names a waiver or a pin to be removed, and who does it.
type Removal struct {
	ID    int64  `json:"id"`
	Actor string `json:"actor"`
}

func (n *Node) waive(ctx context.Context, w dataset.Waiver) (dataset.Waiver, error) {
	return n.catalog.Waive(ctx, w)
}

func (n *Node) unwaive(ctx context.Context, r Removal) (dataset.Waiver, error) {
	defer n.converger.Wake()
	return n.catalog.Unwaive(ctx, r.ID, r.Actor)
}

func (n *Node) waivers(ctx context.Context, _ struct{}) ([]dataset.Waiver, error) {
	return n.catalog.Waivers(ctx)
}

func (n *Node) promote(ctx context.Context, m dataset.Promotion) (dataset.Waiver, error) {
	defer n.converger.Wake()
	return n.catalog.Promote(ctx, m)
}

func (n *Node) approve(ctx context.Context, a Approval) (dataset.Hold, error) {
	defer n.converger.Wake()
	return n.catalog.Approve(ctx, a.Reference, a.Approval)
}

func (n *Node) pin(ctx context.Context, p dataset.Pin) (dataset.Pin, error) {
	defer n.converger.Wake()
	return n.catalog.Pin(ctx, p)
}

func (n *Node) unpin(ctx context.Context, r Removal) (dataset.Pin, error) {
	defer n.converger.Wake()
	return n.catalog.Unpin(ctx, r.ID, r.Actor)
}

func (n *Node) pins(ctx context.Context, _ struct{}) ([]dataset.Pin, error) {
	return n.catalog.Pins(ctx)
}

// keepRoutes adds what those orders ask of a running node.
func (n *Node) keepRoutes(mux *http.ServeMux) {
	take(mux, n, "waive", (*Node).waive)
	take(mux, n, "unwaive", (*Node).unwaive)
	take(mux, n, "waivers", (*Node).waivers)
	take(mux, n, "promote", (*Node).promote)
	take(mux, n, "approve", (*Node).approve)
	take(mux, n, "pin", (*Node).pin)
	take(mux, n, "unpin", (*Node).unpin)
	take(mux, n, "pins", (*Node).pins)
	take(mux, n, "gc", (*Node).gc)
	take(mux, n, "verify", (*Node).verify)
}

// order has something done by the node that runs on a project. When none does,
// the project is opened for it, so that nothing else changes it meanwhile.
func order[In, Out any](ctx context.Context, o Options, name string, in In, do func(*Node, context.Context, In) (Out, error)) (Out, error) {
	return orderAt(ctx, o, orders+name, in, do)
}

// orders is where the control socket takes orders that the JSON API has no path for.
const orders = "/control/order/"

func orderAt[In, Out any](ctx context.Context, o Options, path string, in In, do func(*Node, context.Context, In) (Out, error)) (out Out, err error) {
	client, err := Connect(ctx, o.Project)
	if err == nil {
		body, err := json.Marshal(in)
		if err != nil {
			return out, err
		}
		return out, client.call(ctx, http.MethodPost, path, body, &out)
	}
	if !errors.Is(err, ErrNotRunning) {
		return out, err
	}
	n, err := Open(ctx, o)
	if err != nil {
		return out, err
	}
	out, err = do(n, ctx, in)
	return out, errors.Join(err, n.Close())
}

// take answers an order on the control socket.
func take[In, Out any](mux *http.ServeMux, n *Node, name string, do func(*Node, context.Context, In) (Out, error)) {
	takeAt(mux, n, orders+name, do)
}

// maxOrder bounds an order; definitions come with their side inputs.
const maxOrder = 256 << 20

func takeAt[In, Out any](mux *http.ServeMux, n *Node, path string, do func(*Node, context.Context, In) (Out, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := do(n, r.Context(), in)
		if refusal, ok := errors.AsType[*dataset.Refusal](err); ok {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(refusal) // who asked may be gone
			return
		}
		if err != nil {
			answer(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	})
}
