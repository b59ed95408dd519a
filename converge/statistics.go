package converge

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/judge"
	"github.com/reedbed/reedbed/stage"
)

// The statistical part of the gate compares a version with others, once: what it says
// stays with the version, however the others move. Contracts say what becomes of that.

// comparing is what becomes of versions that are not as others let one expect.
type comparing struct {
	every    time.Duration // the length of a partition; 0: nothing is compared
	producer contract.Contract
	stricter []contract.Contract // of who is kept from what everybody else is only told of
}

// enoughRows is the median of the rows of others from which on a version is compared
// with them: of fewer, hardly anything can be said that chance would not do.
const enoughRows = judge.MinRows

// comparesFrom is how many rows a dataset has at the least whose partitions can have
// such a median.
const comparesFrom = judge.MinPoints / 2 * enoughRows

// compared ends the identity of a verdict for which the version was held beside others,
// though there may have been too few. It is not asked again: others come to be there
// later, and what readers have seen for long is not taken from them for that.
const compared = " compared"

func newComparing(s *stage.Stage, consumers []contract.Contract) comparing {
	x := comparing{every: s.Header.Partition.Span(), producer: s.Contract()}
	for _, c := range consumers {
		if c.Unusual() == contract.Hold && x.producer.Unusual() != contract.Hold {
			x.stricter = append(x.stricter, c)
		}
	}
	if x.producer.Unusual() == contract.Off && len(x.stricter) == 0 {
		x.every = 0
	}
	return x
}

// compares reports whether versions of a partition are compared with others.
func (x comparing) compares(open bool) bool { return x.every > 0 && !open }

// put adds to a verdict what comparing found, as the contracts want it.
func (x comparing) put(v *dataset.Verdict, found []dataset.Broken) {
	mode := x.producer.Unusual()
	for _, b := range found {
		b.Contract, b.Owner = x.producer.Name, x.producer.Owner
		b.Warning = !b.Grave || mode != contract.Hold
		if mode != contract.Off {
			v.Broken = append(v.Broken, b)
		}
		for _, c := range x.stricter {
			b.Contract, b.Owner = c.Name, c.Owner
			switch {
			case c.Consumer == "" && mode == contract.Off:
				v.Broken = append(v.Broken, b)
			case c.Consumer != "" && b.Grave:
				b.Warning = false
				if v.For == nil {
					v.For = map[string][]dataset.Broken{}
				}
				v.For[c.Consumer] = append(v.For[c.Consumer], b)
			}
		}
	}
}

// wasFound is what comparing found for a verdict, each once.
func wasFound(v dataset.Verdict) (found []dataset.Broken) {
	all := v.Broken
	for _, broken := range v.For {
		all = slices.Concat(all, broken)
	}
	for _, b := range all {
		same := func(o dataset.Broken) bool { return o.What == b.What }
		if b.Rule == dataset.Statistics && !slices.ContainsFunc(found, same) {
			found = append(found, b)
		}
	}
	return found
}

// comparable reports whether a version on record is still to be compared. What a
// person brought about is not, unless it is another contract.
func (c *Converger) comparable(ctx context.Context, a *answer, v dataset.Verdict) (bool, error) {
	k := a.build.Task
	if !a.stage.gate.comparing.compares(isOpen(k)) || k.Urgent && k.Cause != dataset.ByContract || bytes.HasSuffix(v.By, []byte(compared)) {
		return false, nil
	}
	_, ok, err := c.o.Catalog.Oldest(ctx, k.Dataset, comparesFrom)
	return ok, err
}

// compareFound adds to a verdict on a version on record what comparing it said then,
// or says now.
func (c *Converger) compareFound(ctx context.Context, a *answer, print *fingerprint.Fingerprint, v *dataset.Verdict) error {
	x, was := a.stage.gate.comparing, a.found.record.Verdict
	if x.compares(isOpen(a.build.Task)) && bytes.HasSuffix(was.By, []byte(compared)) {
		v.By = append(v.By, compared...)
		x.put(v, wasFound(was))
		v.Moved = was.Moved
		return nil
	}
	if !a.found.compare {
		return nil
	}
	return c.compareInTime(ctx, a, print, a.found.record.Version, v)
}

// compareBuilt adds to a verdict what comparing says of what was computed now: with
// what the partition was, if that follows from what a person brought about, else with
// earlier partitions.
func (c *Converger) compareBuilt(ctx context.Context, a *answer, print *fingerprint.Fingerprint, v *dataset.Verdict) error {
	k, prior := a.build.Task, a.prior
	if print == nil || !a.stage.gate.comparing.compares(isOpen(k)) {
		return nil
	}
	if k.Urgent || prior.CodeIdentity != nil && !bytes.Equal(prior.CodeIdentity, a.build.CodeIdentity) {
		return c.comparePair(ctx, a, print, v)
	}
	return c.compareInTime(ctx, a, print, 0, v)
}

// comparePair tells of what moved far from what readers see now. That is what people
// apply changes for, so nobody is kept from it.
func (c *Converger) comparePair(ctx context.Context, a *answer, print *fingerprint.Fingerprint, v *dataset.Verdict) error {
	old := a.prior.Promoted
	if old.Version == 0 || old.Rows < enoughRows {
		return nil
	}
	text, err := c.o.Catalog.Fingerprint(ctx, old)
	if err != nil || text == nil || a.stage.gate.comparing.producer.Unusual() == contract.Off {
		return err
	}
	was, err := decodeFingerprint(text)
	if err != nil {
		return err
	}
	said := judge.Paired(judge.Pair{Old: judge.Metrics(was), New: judge.Metrics(print)}, nil)
	v.By = append(v.By, compared...)
	const most = 3
	var words []string
	for _, f := range said.Findings[:min(most, len(said.Findings))] {
		words = append(words, f.String())
	}
	if more := len(said.Findings) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	if len(words) > 0 {
		what := fmt.Sprintf("far from what version %d was: %s", old.Version, strings.Join(words, "; "))
		x := a.stage.gate.comparing.producer
		v.Moved = &dataset.Broken{Contract: x.Name, Owner: x.Owner, Rule: dataset.Difference, What: what, Warning: true}
	}
	return nil
}

// compareInTime compares a version, one on record unless that is 0, with earlier
// partitions of the same definition.
func (c *Converger) compareInTime(ctx context.Context, a *answer, print *fingerprint.Fingerprint, number int64, v *dataset.Verdict) error {
	x, k := a.stage.gate.comparing, a.build.Task
	oldest, some, err := c.o.Catalog.Oldest(ctx, k.Dataset, comparesFrom)
	if err != nil || !some {
		return err
	}
	v.By = append(v.By, compared...)
	if print == nil {
		return nil
	}
	h, others, err := c.history(ctx, a, oldest)
	if err != nil || h.Versions == nil {
		return err
	}
	one := judge.Version{Start: k.Partition.Start(), Metrics: judge.Metrics(print)}
	said := judge.Temporal(withoutLess(one, h, "late"), h)
	if said.Severity == judge.None {
		return nil
	}
	byHand, err := c.o.Catalog.ByHand(ctx, k, number)
	if err != nil {
		return err
	}
	found := findings(said, !byHand)
	ordinary, err := decodePeer(usual(others, k.Partition.Start(), x.every))
	if err != nil {
		return err
	}
	for i := range found {
		spreadOut(&found[i], ordinary, print)
	}
	x.put(v, distinctSpreads(found))
	return nil
}

// findings are what a person reads of a judgement that is not None.
func findings(said judge.Verdict, holds bool) (out []dataset.Broken) {
	for _, f := range said.Findings {
		out = append(out, dataset.Broken{
			Rule: dataset.Statistics, Column: f.Column, Grave: holds && said.Severity == judge.Hold,
			What: fmt.Sprintf("%s, which chance does %s", f, seldom(f.Weight)),
		})
	}
	return out
}

// seldom says in words what happens once in 10 to the power of weight partitions.
func seldom(weight float64) string {
	if weight >= 9 {
		return "next to never"
	}
	n := math.Pow(10, weight)
	digits := math.Pow(10, max(0, math.Floor(weight)-1))
	return fmt.Sprintf("once in %.0f partitions", math.Round(n/digits)*digits)
}

// withoutLess leaves out a metric of a version that is no more than is usual for it: of
// what keeps growing after the close, such as the share of late rows, less is no news.
func withoutLess(one judge.Version, h judge.History, name string) judge.Version {
	is := func(m fingerprint.Metric) bool { return m.Name == name && m.Column == "" }
	i := slices.IndexFunc(one.Metrics, is)
	if i < 0 {
		return one
	}
	var usual []float64
	for _, v := range h.Versions {
		if j := slices.IndexFunc(v.Metrics, is); j >= 0 {
			usual = append(usual, v.Metrics[j].Value)
		}
	}
	slices.Sort(usual)
	if len(usual) > 0 && one.Metrics[i].Value <= usual[len(usual)/2] {
		one.Metrics = slices.Delete(slices.Clone(one.Metrics), i, i+1)
	}
	return one
}

// vectors remember what fingerprints come to, for the hours before one are nearly
// those before the next.
type vectors struct {
	mu   sync.Mutex
	have map[xxh3.Uint128][]fingerprint.Metric // by hash of the fingerprint
}

// mostVectors bounds what is remembered: about ten stages' last comparisons.
const mostVectors = 600

// of is the vector of a fingerprint as it is kept. Nobody may change it.
func (m *vectors) of(print []byte) ([]fingerprint.Metric, error) {
	key := xxh3.Hash128(print)
	m.mu.Lock()
	have, known := m.have[key]
	m.mu.Unlock()
	if known {
		return have, nil
	}
	f, err := fingerprint.Decode(print)
	if err != nil {
		return nil, err
	}
	have = judge.Metrics(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.have == nil || len(m.have) >= mostVectors {
		m.have = map[xxh3.Uint128][]fingerprint.Metric{}
	}
	m.have[key] = have
	return have, nil
}

// history is what a task's outcome is compared with; without versions, if too little is
// on record for that. It reads no fingerprint before it knows.
func (c *Converger) history(ctx context.Context, a *answer, oldest time.Time) (h judge.History, found []sqlite.Earlier, err error) {
	k, every := a.build.Task, a.stage.gate.comparing.every
	start := k.Partition.Start()
	found, err = c.o.Catalog.Earlier(ctx, k.Dataset, a.build.CodeIdentity, judge.Wanted(start, every, oldest))
	if err != nil || len(found) < judge.MinPoints || medianRows(found) < enoughRows {
		return h, nil, err
	}
	h.Every = every
	for _, e := range found {
		metrics, err := c.vectors.of(e.Fingerprint)
		if err != nil {
			return h, nil, fmt.Errorf("the fingerprint of %s@%s/%d: %w", e.Dataset, e.Partition, e.Version, err)
		}
		h.Versions = append(h.Versions, judge.Version{Start: e.Partition.Start(), Metrics: metrics})
	}
	const memory = 4 * 7 * 24 * time.Hour // of what was approved
	approved, err := c.o.Catalog.Approved(ctx, k.Dataset, start.Add(-memory), start)
	for _, e := range approved {
		x := judge.Accepted{Start: e.Partition.Start()}
		for _, b := range e.Verdict.Broken {
			if b.Rule == dataset.Statistics {
				x.Columns = append(x.Columns, b.Column)
			}
		}
		h.Accepted = append(h.Accepted, x)
	}
	return h, found, err
}

func medianRows(found []sqlite.Earlier) int64 {
	var rows []int64
	for _, e := range found {
		rows = append(rows, e.Rows)
	}
	slices.Sort(rows)
	return rows[len(rows)/2]
}

// usual is the one of some versions that people would look at first: of the same hour
// a week or a day before, else the newest.
func usual(all []sqlite.Earlier, start time.Time, every time.Duration) sqlite.Earlier {
	for _, before := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, every} {
		for _, p := range all {
			if p.Partition.Start().Equal(start.Add(-before)) {
				return p
			}
		}
	}
	newest := func(a, b sqlite.Earlier) int { return a.Partition.Start().Compare(b.Partition.Start()) }
	return slices.MaxFunc(all, newest)
}
