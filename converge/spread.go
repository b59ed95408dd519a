package converge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/fingerprint"
)

// How the values of a column are spread is shown for a few columns of a verdict, in a
// few numbers: a catalog keeps it for each version that is held.
const (
	spreads    = 3  // columns of a verdict
	spreadStep = 10 // quantiles from 0 to 10 tenths
	spreadTop  = 8  // values
)

// peer is a version to hold another one against; without a print there is none.
type peer struct {
	dataset.Promoted
	print *fingerprint.Fingerprint
}

func decodePeer(e sqlite.Earlier) (p peer, err error) {
	p.Promoted = e.Promoted
	p.print, err = decodeFingerprint(e.Fingerprint)
	return p, err
}

func spread(f *fingerprint.Fingerprint, column string) *dataset.Spread {
	c := f.Column(column)
	if c == nil {
		return nil
	}
	out := &dataset.Spread{Rows: f.Rows, Nulls: c.NullShare(f.Rows)}
	for i := range spreadStep + 1 {
		if q, ok := c.Quantile(float64(i) / spreadStep); ok {
			out.Quantiles = append(out.Quantiles, q)
		}
	}
	for _, v := range c.Top[:min(spreadTop, len(c.Top))] {
		out.Top = append(out.Top, dataset.Part{Value: v.Text, Share: float64(v.Rows) / float64(max(1, f.Rows-c.Nulls))})
	}
	return out
}

// spreadOut adds to what is broken how the column's values are spread, usually and here.
func spreadOut(b *dataset.Broken, usual peer, here *fingerprint.Fingerprint) {
	if b.Here = spread(here, b.Column); b.Here == nil || usual.print == nil {
		return
	}
	if b.Usual = spread(usual.print, b.Column); b.Usual != nil {
		b.Usual.Of = fmt.Sprintf("%s@%s/%d", usual.Dataset, usual.Partition, usual.Version)
	}
}

// distinctSpreads leaves the spreads of the first few columns, once each.
func distinctSpreads(all []dataset.Broken) []dataset.Broken {
	var shown []string
	for i := range all {
		b := &all[i]
		if b.Here == nil {
			continue
		}
		if slices.Contains(shown, b.Column) || len(shown) == spreads {
			b.Usual, b.Here = nil, nil
			continue
		}
		shown = append(shown, b.Column)
	}
	return all
}

// explain adds to a verdict that keeps somebody from a version how the columns are
// spread that break contracts, there and in what readers saw last.
func (c *Converger) explain(ctx context.Context, a *answer, here *fingerprint.Fingerprint, v *dataset.Verdict) error {
	if here == nil || !v.Held() && v.For == nil {
		return nil
	}
	usual, err := c.lastSeen(ctx, a)
	if err != nil {
		return err
	}
	tell := func(broken []dataset.Broken) {
		for i := range broken {
			if b := &broken[i]; b.Column == "" && strings.HasPrefix(b.Rule, "columns.") {
				b.Column = columnOf(b.Rule)
				spreadOut(b, usual, here)
			}
		}
		distinctSpreads(broken)
	}
	tell(v.Broken)
	for _, broken := range v.For {
		tell(broken)
	}
	return nil
}

// columnOf is the column of a rule such as columns.country.not_null.
func columnOf(rule string) string {
	name := strings.TrimPrefix(rule, "columns.")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[:i]
	}
	return name
}

// lastSeen is a version to hold a held one against: the promoted one, else that of a
// partition before it. It may be none.
func (c *Converger) lastSeen(ctx context.Context, a *answer) (p peer, err error) {
	k := a.build.Task
	p.Promoted = a.prior.Promoted
	if p.Version == 0 || a.found != nil && a.found.record.Version == p.Version {
		span := k.Partition.Grain().Span()
		var starts []time.Time
		for _, before := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, span} {
			if before >= span && span > 0 {
				starts = append(starts, k.Partition.Start().Add(-before))
			}
		}
		found, err := c.o.Catalog.Earlier(ctx, k.Dataset, a.build.CodeIdentity, starts)
		if err != nil || len(found) == 0 {
			return peer{}, err
		}
		return decodePeer(usual(found, k.Partition.Start(), span))
	}
	text, err := c.o.Catalog.Fingerprint(ctx, p.Promoted)
	if err == nil {
		p.print, err = decodeFingerprint(text)
	}
	return p, err
}
