package judge_test

import (
	"math"
	"math/rand/v2"
	"slices"
)

// corruption spoils a partition. Its severity is the share of the rows that are
// touched, or of those that could be: of the rows in English where a word of it is
// renamed, of the amounts where their unit changes.
type corruption struct {
	name       string
	severities []float64
	spoil      func(c *corpus, hour int, severity float64, r *rand.Rand) *rows
}

var corruptions = []corruption{
	{"rows lost", []float64{.05, .20, .50}, loss},
	{"batch twice", []float64{.05, .20, .50, 1}, duplicate},
	{"nulls", []float64{.01, .03, .10, .20, .50}, each(nulls)},
	{"unit x100", []float64{.05, .20, .50, 1}, each(unit)},
	{"word renamed", []float64{.05, .20, .50, 1}, each(rename)},
	{"country collapses", []float64{.05, .20, .50, 1}, each(collapse)},
	{"flood of bots", []float64{.05, .20, .50, 1}, flood},
	{"clocks behind", []float64{.05, .20, .50, 1}, skew(+1)},
	{"clocks ahead", []float64{.05, .20, .50, 1}, skew(-1)},
	{"columns swapped", []float64{.05, .20, .50, 1}, each(swap)},
}

// spoiled is the partition of an hour with a corruption. draw makes it one of many.
func (c *corpus) spoiled(k corruption, hour int, severity float64, draw uint64) *rows {
	return k.spoil(c, hour, severity, rand.New(rand.NewPCG(c.seed^draw<<32, uint64(hour)+1<<40)))
}

// take keeps the rows that keep says, in order.
func (r *rows) take(keep func(i int) bool) *rows {
	out := &rows{rejected: r.rejected, repeats: r.repeats}
	for i := range r.len() {
		if keep(i) {
			out.add(r, i)
		}
	}
	return out
}

// add appends row i of another.
func (r *rows) add(from *rows, i int) {
	r.visitor, r.item = append(r.visitor, from.visitor[i]), append(r.item, from.item[i])
	r.signedIn, r.late = append(r.signedIn, from.signedIn[i]), append(r.late, from.late[i])
	for k := range r.text {
		r.text[k] = append(r.text[k], from.text[k][i])
	}
	for k := range r.number {
		r.number[k] = append(r.number[k], from.number[k][i])
	}
}

// loss drops rows, whichever.
func loss(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
	return c.rows(hour).take(func(int) bool { return r.Float64() >= severity })
}

// duplicate has a run of rows twice, under the same ids.
func duplicate(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
	out := c.rows(hour)
	n := out.len()
	batch := int(math.Round(severity * float64(n)))
	first := r.IntN(n - batch + 1)
	for i := first; i < first+batch; i++ {
		out.add(out, i)
	}
	out.repeats = batch
	return out
}

// each touches rows one by one; what is done is drawn once for the partition.
func each(touch func(out *rows, r *rand.Rand) func(i int)) func(*corpus, int, float64, *rand.Rand) *rows {
	return func(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
		out := c.rows(hour)
		change := touch(out, r)
		for i := range out.len() {
			if r.Float64() < severity {
				change(i)
			}
		}
		return out
	}
}

// nulls empties one column of six.
func nulls(out *rows, r *rand.Rand) func(int) {
	missing := float32(math.NaN())
	switch k := r.IntN(6); k {
	case 0, 1, 2:
		return func(i int) { out.text[[]int{country, language, event}[k]][i] = null }
	case 3, 4:
		return func(i int) { out.number[[]int{latency, width}[k-3]][i] = missing }
	default:
		return func(i int) { out.visitor[i] = 0 }
	}
}

// unit has amounts in hundredths.
func unit(out *rows, _ *rand.Rand) func(int) {
	return func(i int) { out.number[amount][i] *= 100 }
}

// rename spells en-us otherwise.
func rename(out *rows, _ *rand.Rand) func(int) {
	return func(i int) {
		if out.text[language][i] == enUS {
			out.text[language][i] = enUSRenamed
		}
	}
}

// collapse puts rows into one country, as a failed look-up of addresses does.
func collapse(out *rows, r *rand.Rand) func(int) {
	to := countries[r.IntN(len(countries))].code
	return func(i int) { out.text[country][i] = to }
}

// swap exchanges two columns that hold the same kind of thing.
func swap(out *rows, r *rand.Rand) func(int) {
	if r.IntN(2) == 0 {
		return func(i int) {
			out.text[country][i], out.text[language][i] = out.text[language][i], out.text[country][i]
		}
	}
	return func(i int) {
		out.number[latency][i], out.number[score][i] = out.number[score][i], out.number[latency][i]
	}
}

// flood adds rows of bots from one country: half under the name of a bot, half under
// that of a browser.
func flood(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
	out := c.rows(hour)
	n := out.len()
	from := countries[r.IntN(len(countries))].code
	as := []uint8{bot, chromeWindows}[r.IntN(2)]
	for range int(severity * float64(n)) {
		out.add(out, r.IntN(n))
		last := out.len() - 1
		out.text[country][last], out.text[agent][last], out.text[event][last] = from, as, view
		out.text[platform][last], out.text[version][last] = web, null
		out.number[width][last], out.number[amount][last] = 1024, float32(math.NaN())
		out.visitor[last], out.signedIn[last] = 1+uint32(r.IntN(50)), false
	}
	return out
}

// skew is that of clients whose clocks are an hour off: +1 brings rows of the next
// hour into this one, which come after it has ended, and -1 those of the hour before,
// none of which is late.
// Reedbed itself puts rows of clocks that are ahead into the hour it received them in;
// the second is for times that a stage computes.
func skew(by int) func(*corpus, int, float64, *rand.Rand) *rows {
	return func(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
		out := c.rows(hour).take(func(int) bool { return r.Float64() >= severity })
		from := c.rows(hour + by)
		from.late = slices.Repeat([]bool{by > 0}, from.len())
		for i := range from.len() {
			if r.Float64() < severity {
				out.add(from, i)
			}
		}
		return out
	}
}
