package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/reedbed/reedbed/dataset"
)

// SpreadWords says how the values of a column are spread, in one line:
//
//	us 61.0 %, se 20.3 %, de 11.9 %, others 6.8 %; NULL 0.1 % of 812 rows
//	from 3 over 41 (a tenth are below 12, a tenth above 310) to 4102; NULL 0 % of 812 rows
func SpreadWords(s dataset.Spread) string {
	words := topInWords(s.Top)
	if words == "" {
		words = quantilesInWords(s.Quantiles)
	}
	if words != "" {
		words += "; "
	}
	return fmt.Sprintf("%sNULL %s of %s", words, percentOf(s.Nulls), plural(s.Rows, "row"))
}

func topInWords(top []dataset.Part) string {
	var parts []string
	rest := 1.0
	for _, p := range top {
		parts = append(parts, fmt.Sprintf("%s %s", shownValue(p.Value), percentOf(p.Share)))
		rest -= p.Share
	}
	if len(parts) > 0 && rest > .0005 {
		parts = append(parts, "others "+percentOf(rest))
	}
	return strings.Join(parts, ", ")
}

// quantilesInWords tells five of eleven quantiles.
func quantilesInWords(q []float64) string {
	if len(q) != 11 {
		return ""
	}
	show := numberInWords
	if year := func(x float64) bool { return x > 1e9 && x < 1e10 }; year(q[0]) && year(q[10]) {
		show = func(x float64) string { return time.Unix(int64(x), 0).UTC().Format("2006-01-02T15:04:05Z") }
	}
	return fmt.Sprintf("from %s over %s (a tenth are below %s, a tenth above %s) to %s", show(q[0]), show(q[5]), show(q[1]), show(q[9]), show(q[10]))
}

func numberInWords(x float64) string { return strconv.FormatFloat(x, 'g', 5, 64) }

func percentOf(share float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(100*share, 'f', 1, 64), ".0") + " %"
}

// shownValue quotes what would not stand out as a value, or what a terminal would obey:
// clients chose it.
func shownValue(v string) string {
	odd := func(r rune) bool { return strings.ContainsRune(` ,;%"`, r) || !unicode.IsPrint(r) }
	if v == "" || strings.ContainsFunc(v, odd) {
		return strconv.Quote(v)
	}
	return v
}

// spreads are the lines that show a column there and here.
func spreads(b dataset.Broken) (lines []string) {
	if b.Here == nil {
		return nil
	}
	if b.Usual != nil {
		lines = append(lines, fmt.Sprintf("%s in %s: %s", b.Column, b.Usual.Of, SpreadWords(*b.Usual)))
	}
	return append(lines, fmt.Sprintf("%s here: %s", b.Column, SpreadWords(*b.Here)))
}
