package sqlite

import (
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// reachUp is how one stage reads another through time: its partition may depend
// on those that overlap [start+lo, end+hi) of it.
type reachUp struct{ lo, hi int64 }

// hop is a stage's way of reading another.
type hop struct {
	producer int64
	reach    reachUp
	whole    bool // whatever changes in it concerns every partition
	slack    int64
}

// above are the ancestors of a stage: through windows over time, and through
// something on the way that is read whole.
type above struct {
	spans  map[int64]reachUp
	wholes map[int64]bool
}

// findAncestors writes the table ancestors anew from the edges.
func (t *tx) findAncestors() error {
	if err := t.exec("DELETE FROM ancestors"); err != nil {
		return err
	}
	hops, stages, err := t.hops()
	if err != nil {
		return err
	}
	known := map[int64]above{}
	for _, id := range stages {
		all := above{map[int64]reachUp{}, map[int64]bool{}}
		for _, h := range hops[id] {
			all.through(h, known[h.producer])
		}
		known[id] = all
		if err := t.writeAncestors(id, all); err != nil {
			return err
		}
	}
	return nil
}

// hops lists how stages at work read others, by reader, and the readers, upstream first.
func (t *tx) hops() (hops map[int64][]hop, stages []int64, err error) {
	hops = map[int64][]hop{}
	err = t.each(`SELECT d.id, e.producer_id, e.lo, e.hi, e.kind <> 'span' OR d.grain = 'none' OR i.grain = 'none', i.grain
		FROM datasets d JOIN edges e ON e.dataset_id = d.id JOIN datasets i ON i.id = e.producer_id AND i.kind = 'stage'
		WHERE e.frozen = 0 AND d.retired_at IS NULL ORDER BY d.depth, d.id`, nil,
		func(scan func(...any) error) error {
			var id int64
			var h hop
			var grain dataset.Grain
			err := scan(&id, &h.producer, &h.reach.lo, &h.reach.hi, &h.whole, &grain)
			if len(hops[id]) == 0 {
				stages = append(stages, id)
			}
			h.slack = slack(grain)
			hops[id] = append(hops[id], h)
			return err
		})
	return hops, stages, err
}

// through adds a producer and what is above it.
func (a above) through(h hop, up above) {
	for id := range up.wholes {
		a.wholes[id] = true
	}
	if h.whole {
		a.wholes[h.producer] = true
		for id := range up.spans {
			a.wholes[id] = true
		}
		return
	}
	widen(a.spans, h.producer, h.reach)
	for id, r := range up.spans {
		widen(a.spans, id, reachUp{h.reach.lo + r.lo - h.slack, h.reach.hi + r.hi + h.slack})
	}
}

func (t *tx) writeAncestors(id int64, all above) error {
	const insert = "INSERT INTO ancestors (dataset_id, producer_id, whole, lo, hi) VALUES (?,?,?,?,?)"
	for up, r := range all.spans {
		if err := t.exec(insert, id, up, false, r.lo, r.hi); err != nil {
			return err
		}
	}
	for up := range all.wholes {
		if err := t.exec(insert, id, up, true, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// widen adds one way of reading to what is known.
func widen(all map[int64]reachUp, up int64, r reachUp) {
	if known, ok := all[up]; ok {
		r = reachUp{min(known.lo, r.lo), max(known.hi, r.hi)}
	}
	all[up] = r
}

// slack is how far a partition of a grain may stick out of the window that
// overlaps it. Hours never do: windows begin and end on the hour.
func slack(g dataset.Grain) int64 {
	if g == dataset.Day {
		return (24 * time.Hour).Microseconds()
	}
	return 0
}
