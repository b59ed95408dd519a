package converge

import (
	"fmt"
	"slices"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// derived is what the oracle knows of the project of a site: the rows of each
// partition, as text, by dataset.
type derived map[string]map[dataset.Partition][]string

// derive computes everything from scratch, by the plain meaning of each stage.
func (c *site) derive() derived {
	out := derived{"raw": {}, "clean": {}, "clean_rejected": {}, "sessions": {}, "daily": {}, "w28": {}, "report": {}}
	kept := map[dataset.Partition][]hit{}
	for hour, rows := range c.raw {
		out["clean"][hour] = nil
		for _, r := range rows {
			out["raw"][hour] = append(out["raw"][hour], fmt.Sprint(r.visitor, r.at.Unix(), r.agent, r.ms))
			if c.rules.heal && r.ms < 0 {
				r.ms = -r.ms
			}
			if slices.Contains(c.rules.spam, r.agent) || (r.ms >= 0 && r.ms < c.rules.least) {
				continue
			}
			line := fmt.Sprintf("%d/%d/%d", r.visitor, r.at.Unix(), r.ms)
			if r.ms < 0 {
				out["clean_rejected"][hour] = append(out["clean_rejected"][hour], line)
				continue
			}
			out["clean"][hour] = append(out["clean"][hour], line)
			kept[hour] = append(kept[hour], r)
		}
	}
	sessions := map[dataset.Partition]int64{} // by day
	clicksOf := map[dataset.Partition]int64{}
	for hour := range c.raw {
		out["sessions"][hour] = nil
		day := dataset.PartitionAt(dataset.Day, hour.Start())
		sessions[day] += 0
		for _, s := range sessionsOf(kept, hour.Start()) {
			out["sessions"][hour] = append(out["sessions"][hour], fmt.Sprintf("%d/%d/%d", s.visitor, s.began.Unix(), s.clicks))
			sessions[day]++
			clicksOf[day] += s.clicks
		}
	}
	var most, all int64
	for day := range sessions {
		out["daily"][day] = []string{fmt.Sprintf("%d/%d/%d", day.Start().Unix(), sessions[day], clicksOf[day])}
		var s, n int64
		for other := range sessions {
			if age := day.Start().Sub(other.Start()); age >= 0 && age < 28*24*time.Hour {
				s, n = s+sessions[other], n+clicksOf[other]
			}
		}
		out["w28"][day] = []string{fmt.Sprintf("%d/%d/%d", day.Start().Unix(), s, n)}
		most, all = max(most, s), all+n
	}
	out["report"][dataset.Whole] = []string{fmt.Sprintf("%d/%d", most, all)}
	for _, partitions := range out {
		for _, rows := range partitions {
			slices.Sort(rows)
		}
	}
	return out
}

type session struct {
	visitor, clicks int64
	began           time.Time
}

// sessionsOf gives the sessions that begin in an hour, cut at the end of the next.
func sessionsOf(kept map[dataset.Partition][]hit, hour time.Time) (out []session) {
	times := map[int64][]time.Time{}
	for _, h := range []time.Time{hour.Add(-time.Hour), hour, hour.Add(time.Hour)} {
		for _, r := range kept[dataset.PartitionAt(dataset.Hour, h)] {
			times[r.visitor] = append(times[r.visitor], r.at)
		}
	}
	for visitor, at := range times {
		slices.SortFunc(at, time.Time.Compare)
		for i, t := range at {
			if i == 0 || t.Sub(at[i-1]) > 30*time.Minute {
				out = append(out, session{visitor: visitor, began: t})
			}
			out[len(out)-1].clicks++
		}
	}
	return slices.DeleteFunc(out, func(s session) bool { return s.began.Before(hour) || !s.began.Before(hour.Add(time.Hour)) })
}

// affected lists what must be computed when the world goes from before to after,
// and nothing else need be: the partitions that read one whose rows changed.
func affected(before, after derived) (out []place) {
	changed := func(name string, in func(dataset.Partition) bool) bool {
		for q := range after[name] {
			if _, was := before[name][q]; in(q) && (!was || !slices.Equal(before[name][q], after[name][q])) {
				return true
			}
		}
		return false
	}
	hours := func(p, q dataset.Partition) int { return int(q.Start().Sub(p.Start()).Hours()) }
	for name, reads := range map[string]struct {
		input string
		in    func(p, q dataset.Partition) bool
	}{
		"clean":    {"raw", func(p, q dataset.Partition) bool { return p == q }},
		"sessions": {"clean", func(p, q dataset.Partition) bool { return hours(p, q) >= -1 && hours(p, q) <= 1 }},
		"daily":    {"sessions", func(p, q dataset.Partition) bool { return hours(p, q) >= 0 && hours(p, q) < 24 }},
		"w28":      {"daily", func(p, q dataset.Partition) bool { return hours(p, q) <= 0 && hours(p, q) > -28*24 }},
		"report":   {"w28", func(dataset.Partition, dataset.Partition) bool { return true }},
	} {
		for p := range after[name] {
			if changed(reads.input, func(q dataset.Partition) bool { return reads.in(p, q) }) {
				out = append(out, place{name, p})
			}
		}
	}
	return out
}
