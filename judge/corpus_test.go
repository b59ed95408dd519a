package judge_test

import (
	"math"
	"math/rand/v2"
)

// A corpus is a made-up stage of hourly partitions, simulated row by row, so that
// what is correlated in the world is correlated in its statistics, and each has the
// sampling error it would have. It is the same for the same seed.
//
// Traffic comes from countries in several time zones, each with its working days and
// weekends. On that lie a trend, a change of the clocks in Europe, holidays that begin
// when people would get up, two true level shifts, noise that wanders and has heavy
// tails, and counts that scatter more than independent visits would.
type corpus struct {
	seed     uint64
	meanRows float64 // in an average hour
	hours    int
	holidays []holiday
	clocks   int       // the hour in which Europe's clocks are put on
	launch   int       // the hour of the first true shift: four times the traffic from Brazil
	redesign int       // the hour of the second: other sign-ins, referrers and durations
	volume   []float64 // the logarithm of what makes all traffic more or less
	wanders  [][]float64
}

// holiday changes the traffic of some countries by a factor for some days.
type holiday struct {
	day, days int
	zone      string // "" is everywhere
	factor    float64
}

const (
	corpusDays  = 180
	usualRows   = 4000 // in an average hour
	trendPerDay = 0.0015
)

// country is where visits come from: share of them, offset from UTC, language spoken.
var countries = []struct {
	code      uint8
	share     float64
	offset    int
	zone      string
	languages []float64 // in the order of languageCodes
}{
	{us, .26, -6, "america", []float64{.88, .01, .01, 0, .08, 0, 0, 0, .02}},
	{de, .15, 1, "europe", []float64{.08, .02, .86, .01, .01, 0, 0, 0, .02}},
	{gb, .12, 0, "europe", []float64{.09, .85, .01, .01, .01, 0, 0, 0, .03}},
	{fr, .09, 1, "europe", []float64{.05, .03, .01, .88, .01, 0, 0, 0, .02}},
	{br, .08, -3, "america", []float64{.06, 0, 0, 0, .03, .90, 0, 0, .01}},
	{in, .08, 5, "asia", []float64{.55, .25, 0, 0, 0, 0, .18, 0, .02}},
	{jp, .06, 9, "asia", []float64{.04, 0, 0, 0, 0, 0, 0, .95, .01}},
	{es, .06, 1, "europe", []float64{.04, .02, .01, .01, .90, 0, 0, 0, .02}},
	{mx, .05, -6, "america", []float64{.09, 0, 0, 0, .90, 0, 0, 0, .01}},
	{se, .05, 1, "europe", []float64{.30, .08, .02, 0, .01, 0, 0, 0, .59}},
}

// Activity by local hour, of a working day and of a weekend.
var (
	workday = [24]float64{.42, .30, .24, .22, .22, .26, .38, .60, .86, 1.02, 1.10, 1.14, 1.18, 1.16, 1.15, 1.14, 1.12, 1.12, 1.16, 1.24, 1.30, 1.24, 1.0, .66}
	weekend = [24]float64{.55, .42, .32, .26, .24, .24, .28, .38, .54, .74, .92, 1.02, 1.06, 1.06, 1.05, 1.04, 1.04, 1.05, 1.10, 1.18, 1.22, 1.18, .98, .70}
)

// What wanders besides the volume: logarithms of weights and scales, one series each.
const (
	wanderCountry  = 0
	wanderAgent    = wanderCountry + 10
	wanderEvent    = wanderAgent + 9
	wanderReferrer = wanderEvent + 6
	wanderScale    = wanderReferrer + 6 // amount, duration, latency, signed in, late, rejected, visits
	wanderClocks   = wanderScale + 7    // corrected, not believed
	wanderAll      = wanderClocks + 2
)

func newCorpus(seed uint64) *corpus {
	r := rand.New(rand.NewPCG(seed, 0xc0))
	c := &corpus{seed: seed, meanRows: usualRows, hours: corpusDays * 24, clocks: (60 + r.IntN(60)) * 24}
	c.launch = (80+r.IntN(15))*24 + r.IntN(24)
	c.redesign = (125+r.IntN(15))*24 + r.IntN(24)
	c.holidays = someHolidays(r)
	hourly, daily := wander(r, c.hours, .035, .93), wander(r, corpusDays+1, .03, .3)
	c.volume = make([]float64, c.hours)
	for h := range c.hours {
		at := float64(h%24) / 24
		c.volume[h] = trendPerDay*float64(h)/24 + hourly[h] + (1-at)*daily[h/24] + at*daily[h/24+1]
	}
	for range wanderAll {
		c.wanders = append(c.wanders, wander(r, c.hours, .03, .9))
	}
	return c
}

// someHolidays are six: of everybody, of some, with less traffic and with more.
func someHolidays(r *rand.Rand) []holiday {
	kinds := []holiday{
		{days: 1, factor: .6},
		{days: 2, factor: .7},
		{days: 1, factor: 1.5},
		{days: 1, factor: .55, zone: "europe"},
		{days: 1, factor: .6, zone: "america"},
		{days: 3, factor: .75, zone: "europe"},
	}
	for i, at := range r.Perm(len(kinds)) {
		kinds[i].day = 10 + at*27 + r.IntN(20)
	}
	return kinds
}

// wander is an autoregressive series of standard deviation sd whose steps are of a
// Student distribution with five degrees of freedom: mostly calm, at times not.
func wander(r *rand.Rand, n int, sd, phi float64) []float64 {
	step := sd * math.Sqrt(1-phi*phi)
	series, at := make([]float64, n), sd*r.NormFloat64()
	for i := range series {
		at = phi*at + step*student5(r)
		series[i] = at
	}
	return series
}

// student5 is of a Student distribution with five degrees of freedom, scaled to variance 1.
func student5(r *rand.Rand) float64 {
	var chi float64
	for range 5 {
		z := r.NormFloat64()
		chi += z * z
	}
	return r.NormFloat64() / math.Sqrt(chi/5) * math.Sqrt(3./5)
}

// visits are the weights of the countries in an hour. Their sum is 1 on average.
func (c *corpus) visits(hour int) []float64 {
	weights := make([]float64, len(countries))
	for i, from := range countries {
		local := hour + from.offset + 24*7
		if from.zone == "europe" && hour >= c.clocks {
			local++
		}
		curve := &workday
		if day := local / 24 % 7; day == 5 || day == 6 {
			curve = &weekend
		}
		weights[i] = from.share * curve[local%24] / .85 * c.holiday(local-24*7, from.zone) * math.Exp(c.wanders[wanderCountry+i][hour])
		if from.code == br && hour >= c.launch {
			weights[i] *= 4
		}
	}
	return weights
}

// holiday is the factor at a local hour: it comes and goes as people get up.
func (c *corpus) holiday(local int, zone string) float64 {
	factor := 1.
	for _, h := range c.holidays {
		if h.zone == "" || h.zone == zone {
			in := rise(float64(local-h.day*24-4) / 6)
			out := rise(float64(local-(h.day+h.days)*24-4) / 6)
			factor *= 1 + (h.factor-1)*(in-out)
		}
	}
	return factor
}

// rise goes smoothly from 0 at 0 to 1 at 1.
func rise(x float64) float64 {
	x = min(max(x, 0), 1)
	return x * x * (3 - 2*x)
}

// shifting says whether a true level shift happened at most so many hours before.
func (c *corpus) shifting(hour, within int) bool {
	return hour >= c.launch && hour < c.launch+within || hour >= c.redesign && hour < c.redesign+within
}

// atHoliday says whether it is a holiday somewhere, or the hours after one.
func (c *corpus) atHoliday(hour int) bool {
	for _, h := range c.holidays {
		if hour >= h.day*24-12 && hour < (h.day+h.days)*24+24 {
			return true
		}
	}
	return false
}
