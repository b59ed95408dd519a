package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/load/sidecar"
)

// history is every id that was loaded before: the live sidecars, open. The
// loader's goroutine owns it.
type history struct {
	catalog Catalog
	store   Store
	open    map[int64]*sidecar.File
}

// refresh opens the sidecars on record and closes those no longer there. It
// must be called after the cursor was read: a sidecar committed in between
// then belongs to a cursor the commit will refuse, while the other order could
// miss one.
func (h *history) refresh(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		live, err := h.catalog.Sidecars(ctx)
		if err != nil {
			return fmt.Errorf("list the id sidecars: %w", err)
		}
		err = h.follow(live)
		// A sidecar that was merged away after it was listed may be gone;
		// the next listing has its successor.
		if err == nil || !errors.Is(err, fs.ErrNotExist) || attempt == 2 {
			return err
		}
	}
}

func (h *history) follow(live []dataset.Sidecar) error {
	keep := make(map[int64]bool, len(live))
	for _, s := range live {
		keep[s.ID] = true
		if h.open[s.ID] != nil {
			continue
		}
		f, err := openSidecar(h.store, s)
		if err != nil {
			return err
		}
		h.open[s.ID] = f
	}
	for id, f := range h.open {
		if !keep[id] {
			delete(h.open, id)
			if err := f.Close(); err != nil {
				return fmt.Errorf("close a merged sidecar: %w", err)
			}
		}
	}
	return nil
}

func openSidecar(store Store, s dataset.Sidecar) (*sidecar.File, error) {
	f, err := sidecar.Open(store.Path(s.Object))
	if err != nil {
		return nil, fmt.Errorf("open id sidecar %d (object %s); without it copies of events could be loaded twice, so loading stops: %w", s.ID, s.Object, err)
	}
	if f.Entries() != s.Entries {
		_ = f.Close()
		return nil, fmt.Errorf("id sidecar %d (object %s): %w: it has %d entries, the catalog says %d", s.ID, s.Object, sidecar.ErrCorrupt, f.Entries(), s.Entries)
	}
	return f, nil
}

// search adds to known[i] what is known of keys[i]; keys are sorted. The pages
// it reads are given back at once, so that a long history takes no memory.
func (h *history) search(keys []sidecar.Key, known []sidecar.Match) error {
	for id, f := range h.open {
		err := f.Search(keys, known)
		f.Forget()
		if err != nil {
			return fmt.Errorf("search id sidecar %d: %w", id, err)
		}
	}
	return nil
}

func (h *history) close() {
	for id, f := range h.open {
		_ = f.Close()
		delete(h.open, id)
	}
}
