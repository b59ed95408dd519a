package judge

import (
	"math"
	"testing"
)

// The tails are those of tables: of a normal variable, and of Student's.
func TestTails(t *testing.T) {
	for _, test := range []struct {
		got, want float64
	}{
		{normalTail(1.959964), -math.Log10(.05)},
		{normalTail(-6), -math.Log10(1.973175e-9)},
		{normalTail(29.99), normalTail(30.01) - .26},
		{studentTail(2.228139, 10), -math.Log10(.05)},
		{studentTail(4.143700, 14), -math.Log10(.001)},
		{studentTail(6.442, 10), -math.Log10(7.38e-5)},
		{chebyshevTail(10), 2},
		{chebyshevTail(.5), 0},
	} {
		if math.Abs(test.got-test.want) > .05 {
			t.Errorf("%.4f, expected %.4f", test.got, test.want)
		}
	}
}

// A level that moved and stayed is found, and by how much; a single odd week and noise
// are not.
func TestShifted(t *testing.T) {
	wavy := func(level func(row int) float64) *grid {
		var g grid
		for row := range g {
			for column := range columns {
				g[row][column] = level(row) + float64(column) + .1*math.Sin(float64(7*row+3*column))
			}
		}
		return &g
	}
	for _, test := range []struct {
		name  string
		level func(row int) float64
		ok    bool
	}{
		{"noise", func(int) float64 { return 0 }, false},
		{"an odd week", func(row int) float64 { return map[int]float64{3: 5}[row] }, false},
		{"the last hours", func(row int) float64 { return map[int]float64{0: 5}[row] }, true},
		{"two weeks ago", func(row int) float64 { return map[int]float64{0: 5, 1: 5, 2: 5}[row] }, true},
	} {
		found, ok := shifted(wavy(test.level))
		if ok != test.ok || ok && math.Abs(found.by-5) > .5 {
			t.Errorf("%s: %+v, %v", test.name, found, ok)
		}
	}
}
