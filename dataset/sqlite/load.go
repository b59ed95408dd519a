package sqlite

import (
	"context"
	"fmt"

	"github.com/reedbed/reedbed/dataset"
)

// LoadCursor returns how far the journal is loaded.
func (c *Catalog) LoadCursor(ctx context.Context) (dataset.Cursor, error) {
	var cur dataset.Cursor
	err := c.view(ctx, func(t *tx) error {
		var received int64
		err := t.QueryRowContext(ctx, "SELECT record, event, received_to, retries FROM cursors WHERE name = 'load'").
			Scan(&cur.Record, &cur.Event, &received, &cur.Retries)
		cur.ReceivedTo = fromMicros(received)
		return err
	})
	return cur, err
}

// LoadTotals are the loader's figures since the catalog was made, in events:
// Events is the sum of the other four.
type LoadTotals struct {
	Events, Loaded, Quarantined, Repeats, Lost int64
}

// CommitLoad makes one loader cycle visible, or nothing of it. It refuses a
// commit whose rows do not add up to the events consumed, so that silent loss
// is a failed commit. A crash before it leaves orphan objects only; after it,
// the cycle is done.
func (c *Catalog) CommitLoad(ctx context.Context, l dataset.LoadCommit) error {
	if err := checkArithmetic(l); err != nil {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		moved, err := t.execOne(`UPDATE cursors SET record = ?, event = ?, received_to = MAX(received_to, ?),
			loaded = loaded + ?, quarantined = quarantined + ?, repeats = repeats + ?, lost = lost + ?
			WHERE name = 'load' AND record = ? AND event = ? AND retries = ?`,
			l.To.Record, l.To.Event, micros(l.To.ReceivedTo), l.Loaded, l.Quarantined, l.Repeats, l.Lost, l.From.Record, l.From.Event, l.From.Retries)
		if err != nil {
			return err
		}
		if !moved {
			return dataset.ErrCursorMoved
		}
		if l.Sidecar != nil {
			if err := t.addSidecar(*l.Sidecar); err != nil {
				return err
			}
		}
		if len(l.Segments) == 0 {
			return nil
		}
		why, err := t.because(dataset.ByLoad, loadFacts(l), nil)
		if err != nil {
			return err
		}
		return t.addLoaded(l.Segments, why)
	})
}

func checkArithmetic(l dataset.LoadCommit) error {
	var raw, quarantine int64
	for _, s := range l.Segments {
		switch s.Dataset {
		case dataset.Raw:
			raw += s.Rows
		case dataset.Quarantine:
			quarantine += s.Rows
		default:
			return fmt.Errorf("load commit: segment for %q, which the loader does not own", s.Dataset)
		}
	}
	consumed := int64(l.To.Event - l.From.Event)
	if raw != l.Loaded || quarantine != l.Quarantined || l.Loaded+l.Quarantined+l.Repeats+l.Lost != consumed {
		return fmt.Errorf("load commit of events %d..%d: loaded %d (rows %d) + quarantined %d (rows %d) + repeats %d + lost %d is not %d: nothing is committed",
			l.From.Event, l.To.Event, l.Loaded, raw, l.Quarantined, quarantine, l.Repeats, l.Lost, consumed)
	}
	return nil
}

// addLoaded adds segments as new versions, one a partition, and marks what
// reads them.
func (t *tx) addLoaded(all []dataset.NewSegment, why cause) error {
	byPartition := map[[2]string][]dataset.NewSegment{}
	for _, s := range all {
		key := [2]string{s.Dataset, string(s.Partition)}
		byPartition[key] = append(byPartition[key], s)
	}
	for key, segments := range byPartition {
		d, err := t.dataset(key[0])
		if err != nil {
			return err
		}
		p, err := t.ensurePartition(d, dataset.Partition(key[1]))
		if err != nil {
			return err
		}
		if err := t.addVersion(&p, version{origin: "load", grows: true, add: segments}); err != nil {
			return err
		}
		if err := t.credit(p.id, p.lastVersion, why.id); err != nil {
			return err
		}
		if err := t.dirtyReaders(p, why); err != nil {
			return err
		}
	}
	return nil
}

func loadFacts(l dataset.LoadCommit) dataset.Facts {
	return dataset.Facts{Load: &dataset.LoadFacts{
		Records: [2]uint64{l.From.Record, max(l.To.Record, 1) - 1}, Events: [2]uint64{l.From.Event, max(l.To.Event, 1) - 1},
		Sources: l.Sources, Received: l.Received,
	}}
}

// Sidecars lists the live sidecars, oldest first.
func (c *Catalog) Sidecars(ctx context.Context) ([]dataset.Sidecar, error) {
	var out []dataset.Sidecar
	err := c.view(ctx, func(t *tx) error {
		return t.each("SELECT id, object, bytes, entries FROM sidecars WHERE removed_at IS NULL ORDER BY id", nil,
			func(scan func(...any) error) error {
				var s dataset.Sidecar
				err := scan(&s.ID, &s.Object, &s.Bytes, &s.Entries)
				out = append(out, s)
				return err
			})
	})
	return out, err
}

func (t *tx) addSidecar(s dataset.NewSidecar) error {
	return t.exec("INSERT INTO sidecars (object, bytes, entries) VALUES (?,?,?)", s.Object, s.Bytes, s.Entries)
}

// ReplaceSidecars puts one merged sidecar in the place of several, all of which
// must still be live.
func (c *Catalog) ReplaceSidecars(ctx context.Context, old []int64, with dataset.NewSidecar) error {
	return c.update(ctx, func(t *tx) error {
		for _, id := range old {
			ok, err := t.execOne("UPDATE sidecars SET removed_at = ? WHERE id = ? AND removed_at IS NULL", t.now, id)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("sidecar %d: %w", id, dataset.ErrSegmentGone)
			}
		}
		return t.addSidecar(with)
	})
}
