package converge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
)

// Freshness is of a dataset over time, not of a version: nothing is held for it, and
// it is over when the dataset has come along.

// Late is a dataset that is older than a contract allows.
type Late struct {
	Dataset  string        `json:"dataset"`
	Contract string        `json:"contract"`
	Owner    string        `json:"owner,omitempty"` // of the contract
	At       string        `json:"at"`              // file:line of the rule
	Within   time.Duration `json:"-"`
	// Newest is up to when the dataset is there, zero if it is not at all; Due is the end
	// of what should be there, and Since when it should have been.
	Newest time.Time `json:"newest,omitzero"`
	Due    time.Time `json:"due"`
	Since  time.Time `json:"since"`
}

// Words says it in one line, which stays the same as long as nothing moves.
func (l Late) Words() string {
	const minute = "2006-01-02 15:04 UTC"
	newest := "nothing of it is there"
	if !l.Newest.IsZero() {
		newest = "it is there up to " + l.Newest.UTC().Format(minute)
	}
	return fmt.Sprintf("%s, and should be up to %s within %s", newest, l.Due.UTC().Format(minute), l.Within)
}

// freshness is what a contract says of how late a dataset may be.
type freshness struct {
	contract.Contract
	grain dataset.Grain
}

// freshnessOf lists what deployed contracts say of it. What no stage computes is cut
// into hours.
func freshnessOf(set map[string]*deployed, about map[string][]contract.Contract) (out []freshness) {
	add := func(c contract.Contract) {
		grain := dataset.Hour
		if x := set[c.Dataset]; x != nil {
			grain = x.stage.Header.Partition
		}
		if c.Terms.Fresh != nil && grain != dataset.None {
			out = append(out, freshness{c, grain})
		}
	}
	for _, x := range set {
		add(x.stage.Contract())
	}
	for _, list := range about {
		for _, c := range list {
			add(c)
		}
	}
	slices.SortFunc(out, func(a, b freshness) int {
		return cmp.Or(cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Late lists the datasets that are older now than contracts allow.
func (c *Converger) Late(ctx context.Context, now time.Time) (out []Late, err error) {
	c.mu.Lock()
	promised := c.fresh
	c.mu.Unlock()
	if len(promised) == 0 {
		return nil, nil
	}
	mark, err := c.o.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range promised {
		l, late, err := c.lateness(ctx, f, now, mark)
		if err != nil {
			return nil, err
		}
		if late {
			out = append(out, l)
		}
	}
	return out, nil
}

// lateness finds a partition that should be there, or events that should be loaded
// by now and may be of such a partition.
func (c *Converger) lateness(ctx context.Context, f freshness, now, mark time.Time) (l Late, late bool, err error) {
	within := f.Terms.Fresh.Time
	lag, err := c.o.Catalog.Lag(ctx, f.Dataset, now.Add(-within))
	if err != nil {
		return l, false, err
	}
	l = Late{Dataset: f.Dataset, Contract: f.Name, Owner: f.Owner, At: fmt.Sprintf("%s:%d", f.File, f.Terms.Fresh.Line), Within: within, Newest: lag.Newest}
	last := dataset.PartitionAt(f.grain, now.Add(-within)).Start() // the last end that was so long ago
	switch {
	case lag.Due != "":
		l.Due = lag.Due.End()
	case mark.Before(last) && lag.Newest.Before(last):
		l.Due = last
	default:
		return l, false, nil
	}
	l.Since = l.Due.Add(within)
	return l, true, nil
}
