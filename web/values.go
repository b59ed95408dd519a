package web

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// longestLabel is how many bytes of a label are sent to the page.
const longestLabel = 200

// column finds the place of a column a card needs.
func (d CardData) column(name string) (int, error) {
	if i := slices.Index(d.Columns, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("the card's SQL selects no column called %s; it selects %s", name, strings.Join(d.Columns, ", "))
}

// cell is a value of a row, nil when the row is short.
func cell(row []any, i int) any {
	if i < len(row) {
		return row[i]
	}
	return nil
}

// amount is a number as it is drawn and as it is read.
type amount struct {
	Value float64
	Text  string
}

// amountOf reads what SQL engines give for numbers. NULL counts as none.
func amountOf(v any) (amount, error) {
	if v == nil {
		return amount{Text: "none"}, nil
	}
	text := fmt.Sprint(v)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return amount{}, fmt.Errorf("the column value holds %q, which is not a number", shorten(text))
	}
	if math.Abs(value) >= 1e18 {
		return amount{Value: value, Text: strconv.FormatFloat(value, 'g', 6, 64)}, nil
	}
	if strings.Trim(text, "-0123456789") != "" { // has a fraction or an exponent
		text = strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(value, 'f', 2, 64), "0"), ".")
	}
	if value == 0 || text == "-0" { // nothing, or rounded to nothing
		text = "0"
	}
	whole, fraction, has := strings.Cut(text, ".")
	text = group(whole)
	if has {
		text += "." + fraction
	}
	return amount{Value: value, Text: text}, nil
}

// labelOf is any value as a label, not longer than a page can bear.
func labelOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "(none)"
	case string:
		if strings.TrimSpace(v) == "" {
			return "(empty)"
		}
		return shorten(v)
	case time.Time:
		return v.UTC().Format(time.DateTime)
	case map[string]any, []any:
		text, _ := json.Marshal(v) // came from JSON
		return shorten(string(text))
	default:
		return shorten(fmt.Sprint(v))
	}
}

func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= longestLabel {
		return s
	}
	cut := longestLabel
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// timeOf reads what SQL engines give for times; one without a zone is UTC.
func timeOf(v any) (time.Time, error) {
	if t, ok := v.(time.Time); ok {
		return t.UTC(), nil
	}
	text, ok := v.(string)
	if !ok {
		return time.Time{}, fmt.Errorf("the column time holds %s, which is not a time", labelOf(v))
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04:05Z07", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("the column time holds %q, which is not a time", shorten(text))
}
