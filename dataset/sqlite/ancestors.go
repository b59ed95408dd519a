package sqlite

import (
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// reachUp is how one stage reads another through time: its partition may depend
// on those that overlap [start+lo, end+hi) of it.
type reachUp struct{ lo, hi int64 }

// findAncestors writes the table ancestors anew from the edges.
func (t *tx) findAncestors() error {
	if err := t.exec("DELETE FROM ancestors"); err != nil {
		return err
	}
	type hop struct {
		producer int64
		reachUp
	}
	hops, grains := map[int64][]hop{}, map[int64]dataset.Grain{}
	var stages []int64 // upstream first
	err := t.each(`SELECT d.id, d.grain, e.producer_id, e.lo, e.hi FROM datasets d JOIN edges e ON e.dataset_id = d.id
		JOIN datasets i ON i.id = e.producer_id AND i.kind = 'stage' AND i.grain <> 'none'
		WHERE d.grain <> 'none' AND e.kind = 'span' AND e.frozen = 0 AND d.retired_at IS NULL ORDER BY d.depth, d.id`, nil,
		func(scan func(...any) error) error {
			var id int64
			var h hop
			var grain dataset.Grain
			err := scan(&id, &grain, &h.producer, &h.lo, &h.hi)
			if len(hops[id]) == 0 {
				stages = append(stages, id)
			}
			hops[id], grains[id] = append(hops[id], h), grain
			return err
		})
	if err != nil {
		return err
	}
	above := map[int64]map[int64]reachUp{}
	for _, id := range stages {
		all := map[int64]reachUp{}
		for _, h := range hops[id] {
			widen(all, h.producer, h.reachUp)
			for up, r := range above[h.producer] {
				slack := slack(grains[h.producer])
				widen(all, up, reachUp{h.lo + r.lo - slack, h.hi + r.hi + slack})
			}
		}
		above[id] = all
		for up, r := range all {
			if err := t.exec("INSERT INTO ancestors (dataset_id, producer_id, lo, hi) VALUES (?,?,?,?)", id, up, r.lo, r.hi); err != nil {
				return err
			}
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
