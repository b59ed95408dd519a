package web

import (
	"math"
	"time"
)

// slow is how long a card computes before the page says so.
const slow = 2 * time.Second

// cardHTML is one card as templates show it: a trouble, or rows, or a chart,
// or a number, and under it how far the answer can be trusted.
type cardHTML struct {
	ID, Title string
	Kind      Kind
	Trouble   string
	Waiting   bool // nothing is known yet
	Empty     bool
	Rows      []rankedRow
	Chart     *chart
	Number    string
	Note      string
}

// rankedRow is one line of a ranked card. Share is its bar's length in
// per cent of the longest.
type rankedRow struct {
	Label  string
	Share  float64
	Amount amount
}

func (s *server) cardHTML(id string, c *Card, v cardView) cardHTML {
	h := cardHTML{ID: id, Title: c.Title, Kind: c.Kind, Note: s.note(v)}
	if v.err != nil {
		h.Trouble = v.err.Error()
	}
	switch {
	case !v.ready:
		h.Waiting = true
	case v.data.Columns == nil: // it never succeeded
	default:
		if err := h.fill(v.data, c.limit()); err != nil {
			h.Trouble = err.Error()
		}
	}
	return h
}

// note says as of when the answer is, and what goes on.
func (s *server) note(v cardView) string {
	note := ""
	if !v.data.AsOf.IsZero() {
		note = "As of " + moment(v.data.AsOf, s.Now())
	}
	if v.running < slow {
		return note
	}
	since := v.running.Truncate(time.Second).String()
	if note == "" {
		return "Computing for " + since
	}
	return note + ". Newer data is being read for " + since
}

func (h *cardHTML) fill(d CardData, limit int) error {
	if len(d.Rows) == 0 {
		h.Empty = true
		return nil
	}
	switch h.Kind {
	case Series:
		points, err := pointsOf(d, limit)
		if err != nil {
			return err
		}
		h.Chart = draw(points)
		return nil
	case Number:
		return h.fillNumber(d)
	default:
		return h.fillRanked(d, limit)
	}
}

func (h *cardHTML) fillNumber(d CardData) error {
	value, err := d.column("value")
	if err != nil {
		return err
	}
	a, err := amountOf(cell(d.Rows[0], value))
	h.Number = a.Text
	return err
}

func (h *cardHTML) fillRanked(d CardData, limit int) error {
	label, err := d.column("label")
	if err != nil {
		return err
	}
	value, err := d.column("value")
	if err != nil {
		return err
	}
	most := 0.0
	var rows []rankedRow
	for _, row := range d.Rows[:min(limit, len(d.Rows))] {
		a, err := amountOf(cell(row, value))
		if err != nil {
			return err
		}
		most = max(most, math.Abs(a.Value))
		rows = append(rows, rankedRow{Label: labelOf(cell(row, label)), Amount: a})
	}
	for i := range rows {
		if most > 0 {
			rows[i].Share = round(math.Abs(rows[i].Amount.Value) / most * 100)
		}
	}
	h.Rows = rows
	return nil
}
