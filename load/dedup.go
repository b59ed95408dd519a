package load

import (
	"slices"

	"github.com/reedbed/reedbed/load/sidecar"
)

// verdicts are what dedup decided of a batch.
type verdicts struct {
	fresh   []sidecar.Key // the new keys, sorted, each once
	rows    []*row        // to load, in journal order, id_conflict set where it holds
	refused []*refused    // to quarantine
	repeats int64

	kept  []bool // by row of the batch: it is to be loaded
	order itemOrder
	keys  []sidecar.Key // room for distinct keys, and what history knows of them
	first []int32       // by distinct key: the row it first stands for
	later []bool        // by distinct key: an earlier item of the batch has its id
	known []sidecar.Match
}

// dedup drops exact repeats within the batch and against history. Of equal
// items the one with the lowest journal offset is kept. An item whose id came
// earlier in its route with another payload is kept and flagged.
func (v *verdicts) dedup(b *batch, history *history) error {
	v.distinct(b.items)
	if err := history.search(v.keys, v.known); err != nil {
		return err
	}
	v.fresh, v.rows, v.refused = v.fresh[:0], v.rows[:0], v.refused[:0]
	v.kept = slices.Grow(v.kept[:0], len(b.rows))[:len(b.rows)]
	clear(v.kept)
	for i, k := range v.keys {
		switch at := v.first[i]; {
		case v.known[i]&sidecar.SameEvent != 0:
			continue
		case k.Route >= firstQuarantineRoute:
			v.refused = append(v.refused, &b.refused[at])
		default:
			if v.later[i] || v.known[i]&sidecar.SameID != 0 {
				r := &b.rows[at]
				r.conflict = true
				r.hash = b.raw.hash(r)
			}
			v.kept[at] = true
		}
		v.fresh = append(v.fresh, k)
	}
	for i, kept := range v.kept {
		if kept {
			v.rows = append(v.rows, &b.rows[i])
		}
	}
	v.repeats = int64(len(b.items) - len(v.fresh))
	return nil
}

// distinct sorts items and fills keys, first and later. Items of a kind were
// added in journal order, so a lower at came earlier.
func (v *verdicts) distinct(items []item) {
	v.order.sort(items)
	v.keys, v.first, v.later = v.keys[:0], v.first[:0], v.later[:0]
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && items[end].key.Route == items[start].key.Route && items[end].key.ID == items[start].key.ID {
			end++
		}
		v.sameID(items[start:end])
		start = end
	}
	v.known = slices.Grow(v.known[:0], len(v.keys))[:len(v.keys)]
	clear(v.known)
}

// sameID adds the distinct keys of items that share route and id: all but the
// one that came first are later.
func (v *verdicts) sameID(items []item) {
	earliest := items[0].at
	for _, it := range items[1:] {
		earliest = min(earliest, it.at)
	}
	for i, it := range items {
		if i > 0 && it.key == items[i-1].key {
			continue
		}
		v.keys = append(v.keys, it.key)
		v.first = append(v.first, it.at)
		v.later = append(v.later, it.at != earliest)
	}
}

// conflicts counts the rows to load that carry the flag.
func (v *verdicts) conflicts() int64 {
	var n int64
	for _, r := range v.rows {
		if r.conflict {
			n++
		}
	}
	return n
}
