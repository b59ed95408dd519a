package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// String says in words what was expected and what was seen:
//
//	country: share of "us" is 12.0 %, expected 24.1 % to 29.8 %
func (f Finding) String() string {
	what := f.Metric
	if value, ok := strings.CutPrefix(f.Metric, ValuePrefix); ok {
		what = ValuePrefix + strconv.Quote(value)
	}
	switch {
	case f.Metric == "measure":
		what = "measure " + f.Column
	case f.Column != "":
		what = f.Column + ": " + what
	}
	expected := f.number(f.Low)
	if f.High != f.Low {
		expected += " to " + f.number(f.High)
	}
	return fmt.Sprintf("%s is %s, expected %s", what, f.number(f.Seen), expected)
}

// number has as many digits as the width of the range gives a meaning to; of a range
// that is a point, as how far off it is what was seen.
func (f Finding) number(x float64) string {
	unit, width := "", f.High-f.Low
	if width == 0 {
		width = math.Abs(f.Seen - f.Low)
	}
	if f.Share {
		x, width, unit = 100*x, 100*width, " %"
	}
	digits := 0
	if width > 0 && width < 20 {
		digits = min(6, int(math.Ceil(math.Log10(20/width))))
	}
	return strconv.FormatFloat(x, 'f', digits, 64) + unit
}
