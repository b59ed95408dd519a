package judge

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/fingerprint"
)

// grid are the values of a metric: a row for the judged season and each before it, the
// newest first; a column for the judged hour and each before it. [0][0] is the judged
// value; NaN is what is not on record.
type grid [seasons + 1][columns]float64

// baseline is what the judged version is compared with, found once for all metrics.
type baseline struct {
	judged       Version
	versions     []Version
	cells        [seasons + 1][columns]int32
	points       int
	coarse       bool      // so young that nothing is known of how forecasts are distributed
	values       []grid    // by metric
	errors       []float64 // of sampling, by metric
	keys         []fingerprint.Metric
	rows         *grid // logarithms; nil if there is no such metric
	unknown      grid  // shares of values that a version does not name
	accepted     [columns]bool
	explanations []explanation
	metric       metric   // the one that is being judged
	moved        []string // columns
}

const absent = -1

// newBaseline finds the place of each version: how many partitions before the judged one.
func newBaseline(v Version, h History) *baseline {
	b := &baseline{judged: v, versions: h.Versions}
	all := lengths(h.Every)
	byLag := make([]int32, seasons*all[0]+columns)
	for i := range byLag {
		byLag[i] = absent
	}
	for i, other := range h.Versions {
		lag, ok := lagOf(v.Start, other.Start, h.Every)
		if ok && lag < len(byLag) {
			if byLag[lag] == absent {
				b.points++
			}
			byLag[lag] = int32(i)
		}
	}
	for i, length := range all {
		n := b.place(byLag, length)
		b.coarse = i > 0
		if n >= young {
			break
		}
	}
	b.accept(v, h)
	b.keys = b.allKeys()
	b.gather()
	if i := slices.IndexFunc(b.keys, isRows); i >= 0 {
		b.rows = &b.values[i]
	}
	b.unknown = unknownShares(b.rows)
	b.explanations = b.explain()
	return b
}

// few says whether the judged version has too few rows, and should have.
func (b *baseline) few() bool {
	if b.rows == nil || b.rows[0][0] >= math.Log1p(MinRows) {
		return false
	}
	rows := *b.rows
	rows[0][0] = math.NaN()
	return median(rows.cells(0, seasons)) < math.Log1p(MinRows)
}

// accept notes which of the last hours were approved, and the columns of what was
// within the last weeks.
func (b *baseline) accept(v Version, h History) {
	for _, a := range h.Accepted {
		lag, ok := lagOf(v.Start, a.Start, h.Every)
		if !ok || lag > young*lengths(h.Every)[0] {
			continue
		}
		if lag < columns {
			b.accepted[lag] = true
		}
		for _, column := range a.Columns {
			if column != "" && !slices.Contains(b.moved, column) {
				b.moved = append(b.moved, column)
			}
		}
	}
}

// lagOf is how many partitions one start is before another, if it is before it by whole ones.
func lagOf(start, other time.Time, every time.Duration) (int, bool) {
	d := start.Sub(other)
	return int(d / every), every > 0 && d > 0 && d%every == 0
}

// place fills the cells for a length of seasons and says how many seasons have their
// value for the judged hour.
func (b *baseline) place(byLag []int32, length int) (n int) {
	for row := range b.cells {
		for column := range columns {
			b.cells[row][column] = absent
			if lag := row*length + column; lag > 0 && lag < len(byLag) {
				b.cells[row][column] = byLag[lag]
			}
		}
		if b.cells[row][0] != absent {
			n++
		}
	}
	return n
}

// allKeys are the judged metrics, and the values that the versions nearest to it had
// and it has not.
func (b *baseline) allKeys() []fingerprint.Metric {
	keys := b.judged.Metrics
	have := make(map[[2]string]bool, len(keys))
	for _, m := range keys {
		have[[2]string{m.Column, m.Name}] = true
	}
	for _, cell := range [][2]int{{0, 1}, {1, 0}, {2, 0}} {
		i := b.cells[cell[0]][cell[1]]
		if i == absent {
			continue
		}
		for _, m := range b.versions[i].Metrics {
			if at := [2]string{m.Column, m.Name}; strings.HasPrefix(m.Name, ValuePrefix) && !have[at] {
				have[at] = true
				keys = append(slices.Clip(keys), fingerprint.Metric{Name: m.Name, Column: m.Column, Of: b.judged.of(m.Column)})
			}
		}
	}
	return keys
}

// of is how many values of a column the shares of each are of.
func (v Version) of(column string) int64 {
	for _, m := range v.Metrics {
		if m.Column == column && m.Name == "top" {
			return m.Of
		}
	}
	return 0
}

// gather reads the values of all metrics on record, version by version, and the mean
// of each metric's sampling errors.
func (b *baseline) gather() {
	b.values, b.errors = make([]grid, len(b.keys)), make([]float64, len(b.keys))
	found := make([]float64, len(b.keys))
	for row := range b.cells {
		for column, i := range b.cells[row] {
			b.gatherCell(row, column, i, found)
		}
	}
	for k := range b.keys {
		key := &b.keys[k]
		b.values[k][0][0] = scaled(key, key.Value)
		b.errors[k] = max(key.Error, b.errors[k]/max(1, found[k]))
	}
}

func (b *baseline) gatherCell(row, column int, version int32, found []float64) {
	cursor := 0
	for k := range b.keys {
		key := &b.keys[k]
		b.values[k][row][column] = math.NaN()
		if version == absent {
			continue
		}
		if m := find(b.versions[version].Metrics, &cursor, key); m != nil {
			b.values[k][row][column] = scaled(key, m.Value)
			b.errors[k] += m.Error
			found[k]++
		}
	}
}

// read has the past of metric k. What no version names, of values, has the share that
// those have.
func (m *metric) read(b *baseline, k int) {
	m.key, m.value, m.error, m.ratio = b.keys[k], b.values[k], b.errors[k], nil
	if strings.HasPrefix(m.key.Name, ValuePrefix) {
		m.value.fill(b)
	}
	if m.key.Count && !isRows(m.key) && b.rows != nil {
		m.perRow = ratio(&m.value, b.rows)
		m.ratio = &m.perRow
	}
}

// fill gives the cells of versions that do not name a value its unknown share.
func (g *grid) fill(b *baseline) {
	for row := range g {
		for column := range columns {
			if math.IsNaN(g[row][column]) && b.cells[row][column] != absent {
				g[row][column] = b.unknown[row][column]
			}
		}
	}
	if g[0][0] == 0 {
		g[0][0] = b.unknown[0][0]
	}
}

// ratio is a count per row, as logarithms.
func ratio(count, rows *grid) grid {
	g := *count
	for row := range g {
		for column := range columns {
			g[row][column] -= rows[row][column]
		}
	}
	return g
}

// unknownShares are the middle of what the share of a value may be that too few rows
// have to be known by name.
func unknownShares(rows *grid) grid {
	var g grid
	if rows == nil {
		return g
	}
	for row := range g {
		for column := range columns {
			g[row][column] = min(.5, fingerprint.FloorRows/2*math.Exp(-rows[row][column]))
		}
	}
	return g
}

// find looks for a metric from the cursor on, where it is in nearly all cases.
func find(metrics []fingerprint.Metric, cursor *int, key *fingerprint.Metric) *fingerprint.Metric {
	for n := range metrics {
		at := *cursor + n
		if at >= len(metrics) {
			at -= len(metrics)
		}
		if m := &metrics[at]; m.Name == key.Name && m.Column == key.Column {
			*cursor = at + 1
			return m
		}
	}
	return nil
}

// scaled is the value on the scale it is compared on.
func scaled(key *fingerprint.Metric, value float64) float64 {
	if key.Count {
		return math.Log1p(max(0, value))
	}
	return value
}
