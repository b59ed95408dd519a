package converge

import "context"

// recheck derives every trace key anew: after Settle none may differ.
func (w *world) recheck() {
	found, err := w.catalog.Recheck(context.Background())
	w.must(err)
	if len(found.Stale) > 0 {
		w.tb.Fatalf("converged, but a full check found: %v", found.Stale)
	}
}
