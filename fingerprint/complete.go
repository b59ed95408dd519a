package fingerprint

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Completeness is how much of what clients did arrived in some time, by the
// numbers that clients give their events. The counts are of events.
type Completeness struct {
	Received int64 `json:"received"`
	Numbered int64 `json:"numbered"` // of those received
	InFlight int64 `json:"in_flight"`
	AtClient int64 `json:"at_client"` // dropped and reported by clients
	// Unnumbered are sources with events that have no number, in order. Of these events
	// nobody knows how many are missing. MostSources are kept.
	Unnumbered []string `json:"unnumbered,omitempty"`
	// Until is up to when nothing more is expected to change this, zero if that is
	// so of none of the time.
	Until time.Time `json:"until,omitzero"`
}

// MostSources is how many sources without numbers are named.
const MostSources = 16

// Add is what is so of two times together. Until is that of c.
func (c Completeness) Add(o Completeness) Completeness {
	c.Received += o.Received
	c.Numbered += o.Numbered
	c.InFlight += o.InFlight
	c.AtClient += o.AtClient
	c.Unnumbered = slices.Compact(slices.Sorted(slices.Values(slices.Concat(c.Unnumbered, o.Unnumbered))))
	c.Unnumbered = c.Unnumbered[:min(len(c.Unnumbered), MostSources)]
	return c
}

// Arrived is the share of what was numbered that arrived; nil if nothing was, for
// then nobody knows.
func (c Completeness) Arrived() *float64 {
	sent := c.Numbered + c.InFlight + c.AtClient
	if sent == 0 {
		return nil
	}
	return new(share(c.Numbered, sent))
}

// Unknown is the share of the received events of which nobody knows how many more
// there were.
func (c Completeness) Unknown() float64 { return share(c.Received-c.Numbered, c.Received) }

// Missing says in words how much is missing, and of what that is not known: "0.3 %
// missing", or "not measured: source a does not number its events".
func (c Completeness) Missing() string {
	arrived := c.Arrived()
	switch {
	case arrived == nil && c.Received == 0:
		return "not measured: there are no events"
	case arrived == nil:
		return "not measured: " + c.sources("does not number its events", "do not number their events")
	}
	words := percent(1-*arrived) + " missing"
	if *arrived == 1 {
		words = "nothing missing"
	}
	if c.Received == c.Numbered {
		return words
	}
	return words + "; not measured: " + percent(c.Unknown()) + " of the events, for " + c.sources("does not number all its events", "do not number all their events")
}

func (c Completeness) sources(one, many string) string {
	switch len(c.Unnumbered) {
	case 0:
		return "no source numbers its events"
	case 1:
		return "source " + c.Unnumbered[0] + " " + one
	}
	return "sources " + strings.Join(c.Unnumbered, ", ") + " " + many
}

// percent has two digits that count, so that little is never nothing.
func percent(x float64) string {
	x *= 100
	places := 0
	if x > 0 {
		places = max(0, 1-int(math.Floor(math.Log10(x))))
	}
	text := strconv.FormatFloat(x, 'f', places, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " %"
}

func (c *Completeness) check() error {
	for _, n := range []int64{c.Received, c.Numbered, c.InFlight, c.AtClient} {
		if n < 0 || n > math.MaxInt64/4 {
			return fmt.Errorf("a count of %d events", n)
		}
	}
	if c.Numbered > c.Received || len(c.Unnumbered) > MostSources || !slices.IsSorted(c.Unnumbered) {
		return errors.New("a completeness that cannot be")
	}
	return nil
}

// mergeCompleteness is that of all parts; nil if it is not known of one. Nothing more
// is expected up to the first part of which more is.
func mergeCompleteness(parts []*Fingerprint) *Completeness {
	if len(parts) == 0 || slices.ContainsFunc(parts, func(f *Fingerprint) bool { return f.Completeness == nil }) {
		return nil
	}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *Fingerprint) int { return a.Start.Compare(b.Start) })
	sum, settled := Completeness{}, true
	for _, f := range parts {
		c := f.Completeness
		sum = sum.Add(*c)
		if settled && !c.Until.IsZero() {
			sum.Until = c.Until
		}
		settled = settled && !c.Until.Before(f.End)
	}
	return &sum
}
