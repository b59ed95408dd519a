package dataset

import (
	"fmt"
	"time"
)

// Grain is how a dataset is cut by event time, always in UTC.
type Grain string

// The grains.
const (
	Hour Grain = "hour"
	Day  Grain = "day"
	None Grain = "none"
)

// Span is the length of one partition; zero for None.
func (g Grain) Span() time.Duration {
	switch g {
	case Hour:
		return time.Hour
	case Day:
		return 24 * time.Hour
	}
	return 0
}

// Valid reports whether g is one of the grains.
func (g Grain) Valid() bool { return g == Hour || g == Day || g == None }

// Partition names one partition of a dataset: "2026-11-22T03" for an hour,
// "2026-11-22" for a day, "all" for a dataset that is not cut. Names of one
// grain sort in time order.
type Partition string

// Whole is the only partition of a dataset that is not cut.
const Whole Partition = "all"

const (
	hourLayout = "2006-01-02T15"
	dayLayout  = "2006-01-02"
)

// PartitionAt names the partition of grain g that contains t.
func PartitionAt(g Grain, t time.Time) Partition {
	switch g {
	case Hour:
		return Partition(t.UTC().Format(hourLayout))
	case Day:
		return Partition(t.UTC().Format(dayLayout))
	}
	return Whole
}

// Grain tells the grain from the name's form.
func (p Partition) Grain() Grain {
	switch len(p) {
	case len(hourLayout):
		return Hour
	case len(dayLayout):
		return Day
	}
	return None
}

// Start is the first instant of the partition; zero for Whole.
func (p Partition) Start() time.Time {
	layout := dayLayout
	switch p.Grain() {
	case None:
		return time.Time{}
	case Hour:
		layout = hourLayout
	}
	t, err := time.Parse(layout, string(p))
	if err != nil {
		return time.Time{}
	}
	return t
}

// End is the first instant after the partition; zero for Whole.
func (p Partition) End() time.Time {
	if p.Grain() == None {
		return time.Time{}
	}
	return p.Start().Add(p.Grain().Span())
}

// ParsePartition checks a partition name given by a person.
func ParsePartition(s string) (Partition, error) {
	p := Partition(s)
	if p == Whole {
		return p, nil
	}
	if p.Grain() == None || p.Start().IsZero() || PartitionAt(p.Grain(), p.Start()) != p {
		return "", fmt.Errorf("%q is not a partition: write an hour as 2026-11-22T03, a day as 2026-11-22, or all", s)
	}
	return p, nil
}
