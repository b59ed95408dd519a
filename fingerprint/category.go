package fingerprint

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"
)

// TopValues is how many values of a category are kept, at most.
const TopValues = 64

// Categorise makes the column a category of these values, all there are, of which
// each is there once. Their texts may be longer than is kept.
func (c *Column) Categorise(values []Value) {
	rows := make(map[string]int64, len(values))
	for _, v := range values {
		rows[cut(v.Text, TextBytes)] += v.Rows
	}
	c.Top, c.TailEntropy = make([]Value, 0, len(rows)), 0
	for text, n := range rows {
		c.Top = append(c.Top, Value{text, n})
	}
	c.Distinct = int64(len(values))
	all := c.topRows()
	c.keep(TopValues, 0)
	c.setEntropy(all)
}

// keep leaves the most frequent values above the floor in Top, and lets the rows
// of others join the tail, which had some before.
func (c *Column) keep(most int, tail int64) {
	slices.SortFunc(c.Top, func(a, b Value) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Text, b.Text))
	})
	kept := 0
	for kept < min(most, len(c.Top)) && c.Top[kept].Rows >= FloorRows {
		kept++
	}
	groups := []group{{tail, c.TailEntropy}}
	for _, v := range c.Top[kept:] {
		groups = append(groups, group{v.Rows, 0})
	}
	c.TailEntropy = apart(groups)
	c.Top = c.Top[:kept:kept]
	if kept == 0 {
		c.Top = nil
	}
}

// group are rows among which values have an entropy, in nats.
type group struct {
	rows    int64
	entropy float64
}

// apart is the entropy of the rows of groups that have no value in common: that of
// which group a row is in, and that within it.
func apart(groups []group) float64 {
	var all int64
	for _, g := range groups {
		all += g.rows
	}
	var sum float64
	for _, g := range groups {
		if g.rows > 0 {
			p := float64(g.rows) / float64(all)
			sum += p * (g.entropy - math.Log(p))
		}
	}
	return sum
}

func (c *Column) topRows() (n int64) {
	for _, v := range c.Top {
		n += v.Rows
	}
	return n
}

// groups are the values in Top, and the tail of the column's n values.
func (c *Column) groups(n int64) []group {
	groups := []group{{n - c.topRows(), c.TailEntropy}}
	for _, v := range c.Top {
		groups = append(groups, group{v.Rows, 0})
	}
	return groups
}

// setEntropy finds the entropy of n values as a share of the most that so many
// distinct values can have. The entropy of a sample is too small, by about
// (distinct-1)/2n (Miller 1955, Note on the bias of information estimates).
func (c *Column) setEntropy(n int64) {
	c.Entropy = nil
	if n <= 0 {
		return
	}
	c.Entropy = new(float64)
	if c.Distinct > 1 {
		nats := apart(c.groups(n)) + float64(c.Distinct-1)/float64(2*n)
		*c.Entropy = min(1, nats/math.Log(float64(c.Distinct)))
	}
}

// entropyError is the standard error of the entropy of n values, from the variance
// of the values' log shares (Basharin 1959). Those of the tail are taken as equal.
func (c *Column) entropyError(n int64) float64 {
	if n <= 0 || c.Distinct < 2 {
		return 0
	}
	var mean, square float64
	for _, g := range c.groups(n) {
		if g.rows > 0 {
			p := float64(g.rows) / float64(n)
			bits := g.entropy - math.Log(p)
			mean += p * bits
			square += p * bits * bits
		}
	}
	return math.Sqrt(max(0, square-mean*mean)/float64(n)) / math.Log(float64(c.Distinct))
}

// mergeCategory is the category of all parts together, if all are one.
//
// Rows of a value that is in Top of some part only are those of these parts: it
// may have more, in the tails of the others. The entropy of the tails together is at
// least their weighted mean, when they are alike, and more by that of the weights
// when they have nothing in common; the estimates of distinct values say where
// between.
func (c *Column) mergeCategory(parts []weighed) {
	rows := map[string]int64{}
	var tails []group
	var values, tail, most, sum int64
	for _, p := range parts {
		if p.Entropy == nil {
			return
		}
		values += p.values
		for _, v := range p.Top {
			rows[v.Text] += v.Rows
		}
		g := p.groups(p.values)[0]
		tails, tail = append(tails, g), tail+g.rows
		others := max(0, p.Distinct-int64(len(p.Top)))
		most, sum = max(most, others), sum+others
	}
	for text, n := range rows {
		c.Top = append(c.Top, Value{text, n})
	}
	if tail == 0 {
		c.Distinct = int64(len(rows))
	}
	c.TailEntropy = within(tails, float64(sum), float64(most), float64(max(0, c.Distinct-int64(len(rows)))))
	c.keep(TopValues, tail)
	c.setEntropy(values)
}

// within is the entropy of tails with sum values if each is counted once for each
// tail, at least most of them different, and in truth different.
func within(tails []group, sum, most, different float64) float64 {
	highest := apart(tails)
	var all, lowest float64
	for _, g := range tails {
		all += float64(g.rows)
	}
	if all == 0 || sum <= most {
		return highest
	}
	for _, g := range tails {
		lowest += g.entropy * float64(g.rows) / all
	}
	common := min(1, max(0, (sum-different)/(sum-most)))
	return highest - common*(highest-lowest)
}

// cut shortens a text to so many bytes, at the end of a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
