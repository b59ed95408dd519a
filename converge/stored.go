package converge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
)

// What no stage computes - raw, quarantine, side inputs and refused rows - is
// promoted before anybody looks at it. Holding it would stop the loader, or hide
// rows that a stage refused; so it is judged afterwards, and who relies on it is
// told. It is looked at when a partition is closed: one look at all of it costs
// less than one at each of the small files that it grows by, and it costs the
// loader nothing. Events that come later make it looked at again.

const (
	// storedEvery is the pause between two looks at what is new, and storedShare how
	// many times as long as the last one took it is at least.
	storedEvery = 5 * time.Second
	storedShare = 20
	storedBatch = 64 // versions in one look
)

// storedGate judges what no stage computes, by the contracts of those who rely on it.
type storedGate struct {
	rules []contract.Rules
	needs contract.Needs
	by    []byte // identifies all of this
}

// setStored gives each dataset that no stage computes what judges it.
func (d *deployment) setStored(set map[string]*deployed, about map[string][]contract.Contract) {
	d.stored = map[string]storedGate{}
	for name, contracts := range about {
		if _, there := d.columns[name]; !there || set[name] != nil {
			continue
		}
		var g storedGate
		id := dataset.NewFields("stored gate")
		for _, c := range contracts {
			r := c.Rules()
			g.rules = append(g.rules, r)
			g.needs.Add(r.Needs())
			id.Bytes(r.Identity())
		}
		g.by = id.Hash()
		d.stored[name] = g
	}
}

// judge says which rules a version breaks; all are warnings.
func (g storedGate) judge(j *dataset.Judgement) error {
	print, err := decodeFingerprint(j.Fingerprint)
	if err != nil {
		return err
	}
	j.Judged, j.Verdict = true, dataset.Verdict{By: g.by}
	for _, r := range g.rules {
		for _, b := range r.Judge(print, contract.Facts{}) {
			b.Warning = true
			j.Verdict.Broken = append(j.Verdict.Broken, b)
		}
	}
	return nil
}

// WatchStored takes the statistics of what no stage computes and judges it, until
// ctx ends. It takes a twentieth of a processor at most.
func (c *Converger) WatchStored(ctx context.Context) error {
	told := ""
	for ctx.Err() == nil {
		began := time.Now()
		_, err := c.judgeStored(ctx)
		switch {
		case err == nil:
			told = ""
		case ctx.Err() == nil && err.Error() != told:
			told = err.Error()
			c.o.Log.Error("what no stage computes could not be judged; it is tried again", "err", err)
		}
		c.pause(ctx, max(storedEvery, storedShare*time.Since(began)))
	}
	return nil
}

// judgeStored looks at some of what nobody looked at since it or its contracts
// changed, and returns at how many versions.
func (c *Converger) judgeStored(ctx context.Context) (looked int, err error) {
	c.mu.Lock()
	gates := c.stored
	c.mu.Unlock()
	due, err := c.toLookAt(ctx, gates)
	if err != nil {
		return 0, err
	}
	if len(due) == 0 {
		return 0, nil
	}
	known, err := c.o.Catalog.Datasets(ctx)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, j := range due {
		i := slices.IndexFunc(known, func(d sqlite.Dataset) bool { return d.Spec.Name == j.Dataset })
		if i < 0 {
			continue
		}
		if err := c.characterise(ctx, j, gates[j.Dataset], known[i].Spec.Columns); err != nil {
			if ctx.Err() != nil {
				return looked, err
			}
			c.unread.failed(j.Promoted, gates[j.Dataset].by, time.Now())
			failed = append(failed, fmt.Errorf("take the statistics of %s@%s: %w", j.Dataset, j.Partition, err))
			continue
		}
		c.unread.read(j.Promoted, gates[j.Dataset].by)
		looked++
	}
	return looked, errors.Join(failed...)
}

// toLookAt lists what is to be looked at next, storedBatch of what nobody looked at
// and of each dataset at most. It asks for as many more as may have to be passed over.
func (c *Converger) toLookAt(ctx context.Context, gates map[string]storedGate) ([]dataset.Judgement, error) {
	now, limit := time.Now(), storedBatch+len(c.unread)
	found, err := c.o.Catalog.Unsurveyed(ctx, limit)
	if err != nil {
		return nil, err
	}
	due := c.unread.choose(found, gates, storedBatch, now)
	for name, g := range gates {
		found, err := c.o.Catalog.Unjudged(ctx, name, g.by, limit)
		if err != nil {
			return nil, err
		}
		due = append(due, c.unread.choose(found, gates, storedBatch, now)...)
	}
	return due, nil
}

// characterise takes the statistics of a version, if what is on record does not say
// all that is asked, and judges it.
func (c *Converger) characterise(ctx context.Context, j dataset.Judgement, g storedGate, columns []dataset.Column) error {
	print, err := decodeFingerprint(j.Fingerprint)
	if err != nil {
		return err
	}
	if print == nil || !g.needs.Met(print) {
		j.Fingerprint, err = c.surveyStored(ctx, j.Promoted, g.needs, columns)
		if errors.Is(err, dataset.ErrSegmentGone) {
			return nil // it has moved on, and is looked at again
		}
		if err != nil {
			return err
		}
	}
	if g.rules != nil {
		if err := g.judge(&j); err != nil {
			return err
		}
	}
	return c.o.Catalog.Characterise(ctx, j)
}

func (c *Converger) surveyStored(ctx context.Context, q dataset.Promoted, needs contract.Needs, columns []dataset.Column) ([]byte, error) {
	segments, err := c.o.Catalog.Segments(ctx, []dataset.Promoted{q})
	if err != nil {
		return nil, err
	}
	rows := engine.Table{Name: q.Dataset, Columns: columns}
	for _, x := range segments {
		if x.Rows > 0 {
			rows.Files = append(rows.Files, c.o.Store.Path(x.Object))
		}
	}
	asks := engine.Survey{Name: q.Dataset, Categories: needs.Categories, Violations: expressions(needs.Violations), Counts: expressions(needs.Counts), Queries: expressions(needs.Queries)}
	if slices.ContainsFunc(columns, func(c dataset.Column) bool { return strings.EqualFold(c.Name, received) }) {
		asks.Received = received
	}
	print, _, err := c.o.Engine.Survey(ctx, engine.SurveyJob{
		Tables: []engine.Table{rows}, Survey: asks, Start: q.Partition.Start(), End: q.Partition.End(), Limits: c.o.Limits,
	})
	if err != nil {
		return nil, err
	}
	return c.encodeFingerprint(print)
}
