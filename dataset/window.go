package dataset

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// WindowKind says which partitions of an input one output partition reads.
type WindowKind string

// The kinds of window.
const (
	// Span reads the input partitions that overlap [start+Lo, end+Hi) of the
	// output partition: `same`, shifted and trailing windows are all spans.
	Span WindowKind = "span"
	// All reads every partition of the input.
	All WindowKind = "all"
	// Latest reads the promoted version of an input that is not cut by time;
	// when that input changes, all history follows.
	Latest WindowKind = "latest"
	// AsOf reads the version of such an input that was promoted when the output
	// partition closed; a later change leaves closed history as it was. Latest with
	// From is both: as of the close before that day, and the latest since.
	AsOf WindowKind = "as-of"
)

// Window maps an output partition to the input partitions it reads. Lo and Hi
// are zero but for spans.
type Window struct {
	Kind WindowKind    `json:"kind"`
	Lo   time.Duration `json:"lo,omitempty"`
	Hi   time.Duration `json:"hi,omitempty"`
	// From is the day from which on output partitions follow a Latest; "" for all.
	From Partition `json:"from,omitempty"`
}

// Follows reports whether output partition p, also when it is closed, follows an
// input that is not cut by time: it does not if it reads it as of its close.
func (w Window) Follows(p Partition) bool {
	return w.Kind != AsOf && (w.From == "" || p == Whole || !p.Start().Before(w.From.Start()))
}

// Dated reports whether some closed partitions read the input as of their close.
func (w Window) Dated() bool { return w.Kind == AsOf || w.From != "" }

// ParseFrom reads the day of a stage header from which on an input is followed.
func (w Window) ParseFrom(day string) (Window, error) {
	p, err := ParsePartition(day)
	switch {
	case err != nil || p.Grain() != Day:
		return w, fmt.Errorf("from %q is not a day: write it as 2026-11-22", day)
	case w.Kind != Latest:
		return w, fmt.Errorf("from goes with window `latest`, not with %q", w)
	}
	w.From = p
	return w, nil
}

// Same is the window of an output partition's own time.
var Same = Window{Kind: Span}

// ParseWindow reads the text of a stage header: `same`, `-1h..+1h`, `-27d..0d`,
// `all`, `latest` or `as-of`. Offsets are whole hours (h) or days (d).
func ParseWindow(s string) (Window, error) {
	switch s {
	case "same":
		return Same, nil
	case string(All), string(Latest), string(AsOf):
		return Window{Kind: WindowKind(s)}, nil
	}
	from, to, ok := strings.Cut(s, "..")
	if !ok {
		return Window{}, fmt.Errorf("window %q is not one of same, -1h..+1h, -27d..0d, all, latest, as-of", s)
	}
	lo, err := parseOffset(from)
	if err != nil {
		return Window{}, err
	}
	hi, err := parseOffset(to)
	if err != nil {
		return Window{}, err
	}
	if lo > hi {
		return Window{}, fmt.Errorf("window %q begins after it ends: write the earlier offset first", s)
	}
	return Window{Kind: Span, Lo: lo, Hi: hi}, nil
}

func parseOffset(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "0" {
		return 0, nil
	}
	unit := time.Hour
	switch {
	case strings.HasSuffix(s, "h"):
	case strings.HasSuffix(s, "d"):
		unit = 24 * time.Hour
	default:
		return 0, fmt.Errorf("window offset %q needs a unit: hours (-1h) or days (-27d)", s)
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n > 24*366*10 || n < -24*366*10 {
		return 0, fmt.Errorf("window offset %q is not a whole number of hours or days within ten years", s)
	}
	return time.Duration(n) * unit, nil
}

// String is the header's text of w.
func (w Window) String() string {
	if w.From != "" {
		return fmt.Sprintf("%s from %s", w.Kind, w.From)
	}
	if w.Kind != Span {
		return string(w.Kind)
	}
	if w == Same {
		return "same"
	}
	return formatOffset(w.Lo) + ".." + formatOffset(w.Hi)
}

func formatOffset(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%+dd", d/(24*time.Hour))
	}
	return fmt.Sprintf("%+dh", d/time.Hour)
}

// Interval is a half-open range of time.
type Interval struct{ Start, End time.Time }

// Overlaps reports whether the two ranges share an instant.
func (i Interval) Overlaps(o Interval) bool {
	return i.Start.Before(o.End) && o.Start.Before(i.End)
}

// Interval is the time the partition covers; zero for Whole.
func (p Partition) Interval() Interval { return Interval{p.Start(), p.End()} }

// Reads is the time whose input partitions output partition p reads through a
// span. It must not be asked of other kinds or of Whole.
func (w Window) Reads(p Partition) Interval {
	return Interval{p.Start().Add(w.Lo), p.End().Add(w.Hi)}
}

// Readers is the inverse of Reads: the time in which output partitions of
// grain g that read input partition q may start. Every such start s satisfies
// Readers.Start <= s < Readers.End.
func (w Window) Readers(q Partition, g Grain) Interval {
	// s+Lo < q.End and s+span+Hi > q.Start
	first := q.Start().Add(-w.Hi - g.Span()).Add(time.Nanosecond)
	last := q.End().Add(-w.Lo)
	return Interval{ceilTo(first, g.Span()), last}
}

func ceilTo(t time.Time, span time.Duration) time.Time {
	down := t.Truncate(span)
	if down.Equal(t) {
		return t
	}
	return down.Add(span)
}

// Each yields the partitions of grain g that start within i, in time order.
func (i Interval) Each(g Grain) func(yield func(Partition) bool) {
	return func(yield func(Partition) bool) {
		for t := ceilTo(i.Start, g.Span()); t.Before(i.End); t = t.Add(g.Span()) {
			if !yield(PartitionAt(g, t)) {
				return
			}
		}
	}
}
