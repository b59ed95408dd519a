package converge

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/stage"
)

// How much of what was sent arrived is measured by a stage of the project, as any
// other dataset is computed. Its fingerprints sum it up, and the versions of all
// other stages are judged by what they say of the same time.

// completeSums sums up the rows of the dataset that measures.
func completeSums() string {
	return fmt.Sprintf(`SELECT %s, %s, %s, %s,
	coalesce(to_json(list_sort(list(DISTINCT source[:%d]) FILTER (WHERE received > numbered))[:%d])::VARCHAR, '[]') FROM %s`,
		countOf("received"), countOf("least(numbered, received)"), countOf("lost_in_flight"), countOf("lost_at_client"),
		fingerprint.TextBytes, fingerprint.MostSources, dataset.Completeness)
}

// countOf sums a column up in bounds that no events reach, whatever its SQL gives.
func countOf(column string) string {
	return "least(greatest(coalesce(sum(" + column + "), 0), 0), 1000000000000000)::BIGINT"
}

// measuresLoss reports whether a stage is the one that measures how much arrived: it
// has the name, is cut by time, and has the columns.
func measuresLoss(s *stage.Stage, columns []dataset.Column) bool {
	if s.Name != dataset.Completeness || s.Header.Partition == dataset.None {
		return false
	}
	whole := []string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
	for name, types := range map[string][]string{
		"source": {"VARCHAR"}, "received": whole, "numbered": whole, "lost_in_flight": whole, "lost_at_client": whole,
	} {
		if !slices.ContainsFunc(columns, func(c dataset.Column) bool { return c.Name == name && slices.Contains(types, c.Type) }) {
			return false
		}
	}
	return true
}

// complete is a measure by which a stage itself says which share of what was sent
// arrived, NULL if nobody knows. It stands above what the project measures.
const complete = "complete"

// arrived is what a gate does about how much arrived.
type arrived struct {
	asked    bool            // a rule is about it
	own      bool            // the stage has a measure of its own
	measured bool            // the project measures it
	feeds    map[string]bool // what measures it is computed from these stages, so that neither can wait for the other
}

// completes reports whether what the project measures decides a verdict.
func (g gate) completes() bool {
	return g.arrived.asked && g.arrived.measured && !g.arrived.own && g.asks.Completeness == ""
}

// arrivedFor is the share of what was sent that arrived, or why nobody knows it, for a
// stage that a version would be held for; for everybody, that is the stage itself.
func (g gate) arrivedFor(f *fingerprint.Fingerprint, whom string) (share *float64, unmeasured string) {
	switch {
	case g.arrived.own:
		if m := f.Measure(complete); m != nil && m.Error == "" {
			share = m.Value
		}
		return share, "the stage's measure " + complete + " does not say"
	case g.arrived.feeds[whom] && g.asks.Completeness == "":
		return nil, dataset.Completeness + ", which measures it, would wait for this verdict"
	case f.Completeness != nil:
		return f.Completeness.Arrived(), f.Completeness.Missing()
	case !g.arrived.measured:
		return nil, "the project has no stage " + dataset.Completeness + " with the columns source, received, numbered, lost_in_flight and lost_at_client"
	}
	return nil, "nothing is measured of this time yet"
}

// sayArrived writes into a fingerprint what is measured of the partition's time, and
// reports whether it said something else.
func (c *Converger) sayArrived(ctx context.Context, a *answer, f *fingerprint.Fingerprint) (m measured, news bool, err error) {
	g := a.stage.gate
	if f == nil || g.asks.Completeness != "" {
		return m, false, nil
	}
	if g.arrived.measured {
		if m, err = c.sums.measured(ctx, c.o.Catalog, a.build.Task.Partition); err != nil {
			return m, false, err
		}
	}
	news = !reflect.DeepEqual(f.Completeness, m.says)
	f.Completeness = m.says
	return m, news, nil
}

// setArrived tells the gates of a set what measures how much arrived.
func setArrived(set map[string]*deployed, feeds map[string]bool) {
	x := set[dataset.Completeness]
	if x == nil || !measuresLoss(x.stage, x.columns) {
		return
	}
	x.gate.asks.Completeness = completeSums()
	for _, y := range set {
		y.gate.arrived.measured, y.gate.arrived.feeds = true, feeds
		id := dataset.NewFields("gate of a project that measures completeness")
		id.Bytes(y.gate.by)
		if y == x || y.gate.arrived.asked && !y.gate.arrived.own {
			y.gate.by = id.Hash()
		}
	}
}

// feedsCompleteness names the stages that Completeness is computed from, however far
// up, and itself.
func feedsCompleteness(all []*stage.Stage) map[string]bool {
	inputs := map[string][]string{}
	for _, s := range all {
		inputs[s.Name] = s.InputNames()
	}
	out := map[string]bool{}
	for queue := []string{dataset.Completeness}; len(queue) > 0; queue = queue[1:] {
		name := strings.TrimSuffix(queue[0], "_rejected")
		if more, is := inputs[name]; is && !out[name] {
			out[name] = true
			queue = append(queue, more...)
		}
	}
	return out
}

// circular finds a rule about how much arrived that what measures it would wait for.
func circular(c contract.Contract, s contract.Subject) []stage.Problem {
	if !c.Rules().Completes() || slices.Contains(s.Measures, complete) {
		return nil
	}
	return []stage.Problem{{
		File: c.File, Line: c.Terms.Complete.Line(), What: "complete: " + dataset.Completeness + " is computed from what this would hold, so neither could go on",
		Fix: "promise it of a stage that " + dataset.Completeness + " does not read, directly or not",
	}}
}

// measured is what is promoted of completeness in some time: which versions, how many
// of them are closed, and what they say together, nil where they do not say.
type measured struct {
	by     dataset.Sum
	closed int64
	says   *fingerprint.Completeness
}

// sums remembers what versions of completeness say, which never changes.
type sums struct {
	mu   sync.Mutex
	says map[dataset.Promoted]*fingerprint.Completeness
}

// mostSums bounds what is remembered: about two years of hours.
const mostSums = 20_000

// measured reads no rows: it adds up what fingerprints say. Of what is not cut by
// time nothing is known.
func (s *sums) measured(ctx context.Context, catalog *sqlite.Catalog, p dataset.Partition) (m measured, err error) {
	if p == dataset.Whole {
		return m, nil
	}
	beside, err := catalog.Measured(ctx, p.Interval())
	if err != nil {
		return m, err
	}
	var parts []*fingerprint.Fingerprint
	for _, q := range beside {
		m.by = m.by.Add(dataset.Leaf(q.Promoted))
		if q.Closed {
			m.closed++
		}
		says, err := s.of(q)
		if err != nil {
			return m, err
		}
		parts = append(parts, says)
	}
	m.says = fingerprint.Merge(parts...).Completeness
	return m, nil
}

// of is what one partition says, as a fingerprint that has nothing else.
func (s *sums) of(q sqlite.MeasuredPartition) (*fingerprint.Fingerprint, error) {
	out := &fingerprint.Fingerprint{Start: q.Partition.Start(), End: q.Partition.End()}
	says, err := s.recall(q)
	if says == nil || err != nil {
		return out, err
	}
	out.Completeness = new(*says)
	if q.Closed {
		out.Completeness.Until = out.End
	}
	return out, nil
}

func (s *sums) recall(q sqlite.MeasuredPartition) (*fingerprint.Completeness, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if says, known := s.says[q.Promoted]; known {
		return says, nil
	}
	f, err := decodeFingerprint(q.Fingerprint)
	if err != nil || f == nil || f.Completeness == nil {
		return nil, err
	}
	if s.says == nil || len(s.says) >= mostSums {
		s.says = map[dataset.Promoted]*fingerprint.Completeness{}
	}
	s.says[q.Promoted] = f.Completeness
	return f.Completeness, nil
}

// Measured is what is on record now of how much arrived in the time of a partition; nil
// if that is not measured.
func Measured(ctx context.Context, catalog *sqlite.Catalog, p dataset.Partition) (*fingerprint.Completeness, error) {
	m, err := new(sums).measured(ctx, catalog, p)
	return m.says, err
}

// Arrival is how much of what was sent arrived lately.
type Arrival struct {
	Until time.Time                 // up to when nothing more is expected to show, zero if there is no such time
	Day   *fingerprint.Completeness // of the 24 hours before
	Since *fingerprint.Completeness // of the time after
}

// Arrived is nil if no stage at work measures it.
func Arrived(ctx context.Context, catalog *sqlite.Catalog) (*Arrival, error) {
	last, ok, err := catalog.LastMeasured(ctx)
	if err != nil || !ok {
		return nil, err
	}
	const day = 24 * time.Hour
	found, err := catalog.Measured(ctx, dataset.Interval{Start: last.End.Add(-day), End: last.End.Add(365 * day)})
	if err != nil {
		return nil, err
	}
	var settled, open []*fingerprint.Fingerprint
	for _, q := range found {
		says, err := new(sums).of(q)
		if err != nil {
			return nil, err
		}
		if q.Closed && len(open) == 0 {
			settled = append(settled, says)
		} else {
			open = append(open, says)
		}
	}
	a := &Arrival{Day: fingerprint.Merge(settled...).Completeness, Since: fingerprint.Merge(open...).Completeness}
	if a.Day != nil {
		a.Until = a.Day.Until
	}
	return a, nil
}
