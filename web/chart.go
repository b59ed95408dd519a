package web

import (
	"math"
	"slices"
	"time"
)

// A chart is drawn in a box of slotWidth units for each slot by chartHeight
// units; the page stretches it. All text is beside it, in HTML.
const (
	slotWidth, barWidth = 10, 8
	chartHeight         = 100
	maxSlots            = 1500
)

// chart is a series as bars, placed by time, so that missing times show.
type chart struct {
	Width, Height int
	Bars          []bar
	Top, Half     string // what the upper edge and the middle stand for
	Ticks         []tick // along the time axis
}

// tick is a label under the bars, at Place per cent of the width.
type tick struct {
	Place  float64
	Anchor string // the part of the text that is there: start, middle or end
	Text   string
}

// bar is one value of a series. X, Y and the sizes are in the chart's units;
// Slot is where the whole slot begins, for the pointer to hit.
type bar struct {
	Slot, X, Y, W, H float64
	Time             string
	Amount           amount
}

// point is one row of a series.
type point struct {
	at     time.Time
	amount amount
}

func pointsOf(d CardData, limit int) ([]point, error) {
	at, err := d.column("time")
	if err != nil {
		return nil, err
	}
	value, err := d.column("value")
	if err != nil {
		return nil, err
	}
	var points []point
	for _, row := range d.Rows {
		t, err := timeOf(cell(row, at))
		if err != nil {
			return nil, err
		}
		a, err := amountOf(cell(row, value))
		if err != nil {
			return nil, err
		}
		points = append(points, point{t, a})
	}
	slices.SortStableFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
	return points[max(0, len(points)-limit):], nil // the newest
}

// draw lays a series out. points are in order of time, and there is one at
// least.
func draw(points []point) *chart {
	step := stepOf(points)
	first, last := points[0].at, points[len(points)-1].at
	slots := 1 + int(last.Sub(first)/step)
	top := 0.0
	for _, p := range points {
		top = max(top, p.amount.Value)
	}
	top = roundUp(top)
	c := &chart{Width: slots * slotWidth, Height: chartHeight, Top: axisText(top), Half: axisText(top / 2)}
	for _, p := range points {
		slot := float64(int(p.at.Sub(first)/step) * slotWidth)
		h := round(max(p.amount.Value, 0) / top * chartHeight)
		c.Bars = append(c.Bars, bar{
			Slot: slot, X: slot + (slotWidth-barWidth)/2, Y: round(chartHeight - h), W: barWidth, H: h,
			Time: p.at.Format("2 Jan 2006, " + timeForm(step)), Amount: p.amount,
		})
	}
	c.Ticks = ticks(first, last, step)
	return c
}

// stepOf is the smallest distance of two points, which one slot stands for; it
// grows when there would be too many slots.
func stepOf(points []point) time.Duration {
	step := time.Duration(math.MaxInt64)
	for i := 1; i < len(points); i++ {
		if d := points[i].at.Sub(points[i-1].at); d > 0 {
			step = min(step, d)
		}
	}
	if step == math.MaxInt64 {
		step = time.Hour
	}
	span := points[len(points)-1].at.Sub(points[0].at)
	return max(step, span/maxSlots)
}

// ticks mark round times: the finest interval that gives no more than six.
func ticks(first, last time.Time, step time.Duration) []tick {
	const most = 6
	span := last.Sub(first)
	interval := max(step, span/most).Round(24*time.Hour) + 24*time.Hour
	for _, d := range intervals() {
		if d >= step && span/d < most {
			interval = d
			break
		}
	}
	var out []tick
	for at := first.Truncate(interval); !at.After(last) && len(out) <= most; at = at.Add(interval) {
		if !at.Before(first) {
			out = append(out, tickAt(at, first, last, step))
		}
	}
	if len(out) == 0 {
		return []tick{tickAt(first, first, last, step)}
	}
	return out
}

// intervals between ticks that people count in.
func intervals() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{
		time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
		time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day, 14 * day, 28 * day,
	}
}

// tickAt places a label under the middle of its slot, but not over an edge.
func tickAt(at, first, last time.Time, step time.Duration) tick {
	place := (at.Sub(first).Seconds() + step.Seconds()/2) / (last.Sub(first) + step).Seconds()
	t := tick{Place: round(place * 100), Anchor: "middle", Text: at.Format(tickForm(at, step))}
	if place < 0.06 {
		t.Place, t.Anchor = 0, "start"
	} else if place > 0.94 {
		t.Place, t.Anchor = 100, "end"
	}
	return t
}

func tickForm(at time.Time, step time.Duration) string {
	switch {
	case at.Equal(at.Truncate(24 * time.Hour)):
		return "2 Jan"
	case step < time.Minute:
		return "15:04:05"
	default:
		return "15:04"
	}
}

func timeForm(step time.Duration) string {
	switch {
	case step >= 24*time.Hour:
		return "UTC"
	case step >= time.Minute:
		return "15:04 UTC"
	default:
		return "15:04:05 UTC"
	}
}

// roundUp is the next number people can halve in their heads.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 3, 4, 5, 6, 8} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

func axisText(v float64) string {
	a, err := amountOf(v)
	if err != nil {
		return ""
	}
	return a.Text
}

// round keeps the page small: a hundredth of a unit cannot be seen.
func round(v float64) float64 { return math.Round(v*100) / 100 }
