package judge_test

import (
	"math"
	"math/rand/v2"
	"time"

	clients "github.com/reedbed/reedbed/event"
)

// corruption spoils a partition. Its severity is the share of the rows that are
// touched, or of those that could be: of the rows in English where a word of it is
// renamed, of the amounts where their unit changes.
type corruption struct {
	name       string
	severities []float64
	apart      bool // the goal is not for it
	spoil      func(c *corpus, hour int, severity float64, r *rand.Rand) *rows
}

var corruptions = []corruption{
	{"rows lost", []float64{.05, .20, .50}, false, loss},
	{"batch twice", []float64{.05, .20, .50, 1}, false, duplicate},
	{"nulls", []float64{.01, .03, .10, .20, .50}, false, each(nulls)},
	{"unit x100", []float64{.05, .20, .50, 1}, false, each(unit)},
	{"word renamed", []float64{.05, .20, .50, 1}, false, each(rename)},
	{"country collapses", []float64{.05, .20, .50, 1}, false, each(collapse)},
	{"flood of bots", []float64{.05, .20, .50, 1}, false, flood},
	{"clocks behind", []float64{.05, .20, .50, 1}, false, skew(-time.Hour)},
	{"clocks ahead", []float64{.05, .20, .50, 1}, false, skew(+time.Hour)},
	{"columns swapped", []float64{.05, .20, .50, 1}, false, each(swap)},
	{"minutes lost", []float64{.05, .20, .50}, true, gap},
	{"hour before", []float64{.05, .20, .50, 1}, true, before},
}

// spoiled is the partition of an hour with a corruption. draw makes it one of many.
func (c *corpus) spoiled(k corruption, hour int, severity float64, draw uint64) *rows {
	return k.spoil(c, hour, severity, rand.New(rand.NewPCG(c.seed^draw<<32, uint64(hour)+1<<40)))
}

// take keeps the rows that keep says, in order.
func (r *rows) take(keep func(i int) bool) *rows {
	out := &rows{hour: r.hour, rejected: r.rejected, repeats: r.repeats}
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
	r.signedIn = append(r.signedIn, from.signedIn[i])
	r.times.add(&from.times, i)
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

// gap loses all rows of some minutes in a row.
func gap(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
	out := c.rows(hour)
	first := 3600 * (1 - severity) * r.Float64()
	return out.take(func(i int) bool { return out.occurred[i] < first || out.occurred[i] >= first+3600*severity })
}

// before has rows of the hour before under times of this one, as a stage makes them that
// is wrong about the hour. Clocks of clients do not; see skew.
func before(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
	out := c.rows(hour).take(func(int) bool { return r.Float64() >= severity })
	from := c.rows(hour - 1)
	for i := range from.len() {
		if r.Float64() < severity {
			out.add(from, i)
			out.received[out.len()-1] -= 3600
		}
	}
	return out
}

// skew is that of clients whose clocks are off: rows of this hour and those around it are
// put where Reedbed puts them. In half of the partitions they say when they sent, so that
// nothing is wrong with their rows but that they were corrected.
func skew(off time.Duration) func(*corpus, int, float64, *rand.Rand) *rows {
	return func(c *corpus, hour int, severity float64, r *rand.Rand) *rows {
		says := r.IntN(2) == 0
		out := c.rows(hour).take(func(int) bool { return false })
		for from := hour - 1; from <= hour+1; from++ {
			in := c.rows(from)
			for i := range in.len() {
				if r.Float64() < severity {
					out.place(in, i, off, says)
				} else if from == hour {
					out.add(in, i)
				}
			}
		}
		return out
	}
}

// place adds row i of an hour if that is where Reedbed puts it, of a client whose clock
// is off.
func (r *rows) place(from *rows, i int, off time.Duration, says bool) {
	const transit = 200 * time.Millisecond
	received := from.at(from.received[i])
	e := clients.Envelope{Time: from.at(from.occurred[i]).Add(off)}
	if says {
		e.SentAt = received.Add(off - transit)
	}
	p := clients.Place(&e, &clients.Batch{ReceivedAt: received}, clients.Policy{})
	if !p.Hour.Equal(startOf(r.hour)) {
		return
	}
	r.add(from, i)
	last := r.len() - 1
	r.occurred[last], r.received[last] = r.since(p.OccurredAt), r.since(received)
	r.corrected[last], r.implausible[last] = p.Corrected, p.Implausible
}
