package sqlite

import (
	"maps"
	"slices"

	"github.com/reedbed/reedbed/dataset"
)

// A stage that reads what changed along two ways, one shorter than the other,
// would run when the shorter way has changed and once more when the longer one
// has: from a mix of old and new that nobody asked for. So what lies on the way is
// marked with the change itself. It waits for its inputs like everything that is
// due, its readers wait for it, and if it need not change it is not computed.

// markBetween marks the partitions of unchanged stages that lie between what an
// apply changed and stages that meet the change along another way too.
func (t *tx) markBetween(stages []dataset.Deployment, changed map[string]bool) error {
	between := between(stages, changed)
	if len(between) == 0 {
		return nil
	}
	var planned []Planned
	var sides []string
	for _, s := range stages {
		planned = append(planned, Planned{Name: s.Spec.Name, Grain: s.Spec.Grain, Changed: changed[s.Spec.Name], Edges: s.Edges})
		for _, e := range s.Edges {
			if changed[e.Input] && !slices.ContainsFunc(stages, func(o dataset.Deployment) bool { return o.Spec.Name == producer(e.Input) }) {
				sides = append(sides, e.Input)
			}
		}
	}
	slices.Sort(sides)
	r, err := t.openReach(slices.Compact(sides))
	if err != nil {
		return err
	}
	for _, s := range planned {
		if _, err := r.find(s); err != nil {
			return err
		}
	}
	why := cause{urgent: true}
	if err := t.QueryRowContext(t.ctx, "SELECT MIN(id) FROM causes WHERE apply_id = ?", t.apply).Scan(&why.id); err != nil {
		return err
	}
	for name := range between {
		if err := r.mark(name, why); err != nil {
			return err
		}
	}
	return r.close()
}

// between names the unchanged stages that lie on the way from what changed to a
// stage that changed as well or meets the change in two of its inputs.
func between(stages []dataset.Deployment, changed map[string]bool) map[string]bool {
	reached := maps.Clone(changed)
	meets := map[string]bool{}
	for _, s := range stages { // upstream first
		n := 0
		for _, e := range s.Edges {
			if reached[producer(e.Input)] {
				n++
			}
		}
		reached[s.Spec.Name] = reached[s.Spec.Name] || n > 0
		meets[s.Spec.Name] = n > 1 || n > 0 && changed[s.Spec.Name]
	}
	out, above := map[string]bool{}, map[string]bool{}
	for _, s := range slices.Backward(stages) {
		if !meets[s.Spec.Name] && !above[s.Spec.Name] {
			continue
		}
		for _, e := range s.Edges {
			if p := producer(e.Input); reached[p] {
				above[p] = true
				out[p] = !changed[p]
			}
		}
	}
	maps.DeleteFunc(out, func(_ string, unchanged bool) bool { return !unchanged })
	return out
}

// mark makes what was reached of a stage due.
func (r *reach) mark(name string, why cause) error {
	d, err := r.dataset(name)
	if err != nil {
		return err
	}
	var names []dataset.Partition
	err = r.each("SELECT starts FROM reach WHERE name = ?", []any{name}, func(scan func(...any) error) error {
		var starts int64
		err := scan(&starts)
		names = append(names, dataset.PartitionAt(d.Spec.Grain, fromMicros(starts)))
		return err
	})
	if err != nil {
		return err
	}
	return r.markDirty(d, names, why)
}
