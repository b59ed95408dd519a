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
	Top, Half     string   // what the upper edge and the middle stand for
	Ticks         []string // along the time axis, evenly spread
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
	form := tickForm(step, last.Sub(first))
	for _, p := range points {
		slot := float64(int(p.at.Sub(first)/step) * slotWidth)
		h := round(max(p.amount.Value, 0) / top * chartHeight)
		c.Bars = append(c.Bars, bar{
			Slot: slot, X: slot + (slotWidth-barWidth)/2, Y: round(chartHeight - h), W: barWidth, H: h,
			Time: p.at.Format("2 Jan 2006, " + timeForm(step)), Amount: p.amount,
		})
	}
	c.Ticks = ticks(first, last, step, form)
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

// ticks are five times at most, evenly spread from the first to the last slot.
func ticks(first, last time.Time, step time.Duration, form string) []string {
	n := min(4, int(last.Sub(first)/step))
	var out []string
	for i := range n + 1 {
		at := first
		if n > 0 {
			at = first.Add(last.Sub(first) / time.Duration(n) * time.Duration(i)).Round(step)
		}
		out = append(out, at.Format(form))
	}
	return out
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

func tickForm(step, span time.Duration) string {
	switch {
	case step >= 24*time.Hour:
		return "2 Jan"
	case span >= 20*time.Hour:
		return "2 Jan 15:04"
	case step >= time.Minute:
		return "15:04"
	default:
		return "15:04:05"
	}
}

// roundUp is the next 1, 2 or 5 times a power of ten: an edge people can read.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
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
