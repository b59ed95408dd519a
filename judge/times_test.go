package judge_test

import (
	"math"
	"math/rand/v2"
	"time"
)

// times are what Reedbed records of when a row happened and when it came, in seconds from
// the start of the partition, and whether its client's clock was right: columns that the
// events stage of the templates passes on.
type times struct {
	occurred, received     []float64
	corrected, implausible []bool
}

func newTimes(n int) times {
	return times{make([]float64, n), make([]float64, n), make([]bool, n), make([]bool, n)}
}

func (t *times) add(from *times, i int) {
	t.occurred, t.received = append(t.occurred, from.occurred[i]), append(t.received, from.received[i])
	t.corrected, t.implausible = append(t.corrected, from.corrected[i]), append(t.implausible, from.implausible[i])
}

// at is the time so many seconds after the start of the rows' hour.
func (r *rows) at(seconds float64) time.Time {
	return startOf(r.hour).Add(time.Duration(seconds * float64(time.Second)))
}

func (r *rows) since(at time.Time) float64 { return at.Sub(startOf(r.hour)).Seconds() }

// late says which rows came after the partition had ended.
func (r *rows) late() []bool {
	late := make([]bool, r.len())
	for i, at := range r.received {
		late[i] = at >= 3600
	}
	return late
}

// clock gives the rows of an hour their times. There are more of them in that part of the
// hour where the traffic is higher, and some come all at once. Clients send every ten
// seconds, but two in a hundred rows wait for a network: for half an hour by the median,
// and at times for days. One client in 70 has a clock that Reedbed corrects, and one in
// 400 one that it does not believe, whose rows happened when they came.
func (c *corpus) clock(r *rows) {
	random := rand.New(rand.NewPCG(c.seed, uint64(r.hour)+1<<41))
	tilt := c.tilt(r.hour) + .03*student5(random)
	burst, width, crowd := 3600*random.Float64(), 30+150*random.Float64(), max(0, .02*random.NormFloat64())
	offline := .022 * math.Pow(math.Exp(c.wanders[wanderScale+4][r.hour]), 3)
	corrected := .014 * math.Exp(4*c.wanders[wanderClocks][r.hour])
	implausible := .0025 * math.Exp(4*c.wanders[wanderClocks+1][r.hour])
	for i := range r.len() {
		at := 3600 * tilted(random.Float64(), tilt)
		if random.Float64() < crowd {
			at = min(3599, burst+width*random.Float64())
		}
		wait := .2 + 10*random.Float64()
		if random.Float64() < offline {
			wait += 1800 * math.Exp(1.5*random.NormFloat64())
		}
		r.occurred[i] = at
		switch clock := random.Float64(); {
		case clock < corrected:
			r.corrected[i] = true
		case clock < corrected+implausible:
			r.implausible[i], wait = true, 0
		}
		r.received[i] = at + wait
	}
}

// tilt is how much more traffic the end of an hour has than its middle, as a share.
func (c *corpus) tilt(hour int) float64 {
	sum := func(hour int) (sum float64) {
		for _, w := range c.visits(min(max(hour, 0), c.hours-1)) {
			sum += w
		}
		return sum
	}
	return min(max((sum(hour+1)-sum(hour-1))/4/sum(hour), -.5), .5)
}

// tilted is where in the hour, from 0 to 1, so much of its traffic is over.
func tilted(part, tilt float64) float64 {
	if math.Abs(tilt) < 1e-6 {
		return part
	}
	return (math.Sqrt((1-tilt)*(1-tilt)+4*tilt*part) - (1 - tilt)) / (2 * tilt)
}
