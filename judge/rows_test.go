package judge_test

import (
	"math"
	"math/rand/v2"
)

// The words that text columns hold, as codes; 0 is NULL.
const (
	null uint8 = iota
	us
	de
	gb
	fr
	br
	in
	jp
	es
	mx
	se
	enUS // en-us
	enGB
	deDE
	frFR
	esES
	ptBR
	hiIN
	jaJP
	other
	enUSRenamed // en-US
	chromeWindows
	chromeMac
	edge
	firefox
	safariMac
	safariIOS
	chromeAndroid
	samsung
	bot
	web
	mobile
	release0
	release1
	release2
	release3
	release4
	release5
	release6
	release7
	view
	click
	play
	add
	purchase
	signup
	google
	facebook
	newsletter
	partner
	search
)

var words = [...]string{
	us: "us", de: "de", gb: "gb", fr: "fr", br: "br", in: "in", jp: "jp", es: "es", mx: "mx", se: "se",
	enUS: "en-us", enGB: "en-gb", deDE: "de-de", frFR: "fr-fr", esES: "es-es", ptBR: "pt-br", hiIN: "hi-in", jaJP: "ja-jp",
	other: "other", enUSRenamed: "en-US",
	chromeWindows: "chrome windows", chromeMac: "chrome mac", edge: "edge", firefox: "firefox", safariMac: "safari mac",
	safariIOS: "safari ios", chromeAndroid: "chrome android", samsung: "samsung", bot: "bot",
	web: "web", mobile: "mobile",
	release0: "1.0", release1: "1.1", release2: "1.2", release3: "1.3", release4: "1.4", release5: "1.5", release6: "1.6", release7: "1.7",
	view: "view", click: "click", play: "play", add: "add", purchase: "purchase", signup: "signup",
	google: "google", facebook: "facebook", newsletter: "newsletter", partner: "partner", search: "search",
}

var languageCodes = []uint8{enUS, enGB, deDE, frFR, esES, ptBR, hiIN, jaJP, other}

// Columns of the simulated rows.
const (
	country = iota
	language
	agent
	platform
	version
	event
	referrer
	texts
)

const (
	amount = iota
	duration
	latency
	width
	score
	numbers
)

var (
	textNames   = [texts]string{"country", "language", "agent", "platform", "version", "event", "referrer"}
	numberNames = [numbers]string{"amount", "duration", "latency", "width", "score"}
)

// rows are the rows of one partition, column by column.
type rows struct {
	visitor  []uint32 // 0 is NULL
	item     []uint32
	text     [texts][]uint8
	number   [numbers][]float32 // NaN is NULL
	signedIn []bool
	times
	hour     int
	repeats  int // rows whose id another row has
	rejected int
}

func (r *rows) len() int { return len(r.visitor) }

// table draws categories by 12 random bits.
type table [4096]uint8

// draw fills a table with codes by weight.
func draw(codes []uint8, weights []float64) *table {
	var sum, at float64
	for _, w := range weights {
		sum += w
	}
	t, i := new(table), 0
	for k, w := range weights {
		at += w / sum
		for ; i < len(t) && (float64(i) < at*float64(len(t)) || k == len(weights)-1); i++ {
			t[i] = codes[k]
		}
	}
	return t
}

// Quantiles of a standard normal variable and of a logarithmic one, by 12 random bits.
var normal, lognormal = normalQuantiles()

func normalQuantiles() (plain, logarithmic [4096]float64) {
	for i := range plain {
		plain[i] = math.Sqrt2 * math.Erfinv(2*(float64(i)+.5)/4096-1)
		logarithmic[i] = math.Exp(plain[i])
	}
	return plain, logarithmic
}

// regulars are quantiles of who made a visit, among visitors in order of how often they
// come: that is exponentially distributed, so the number of rows that a visitor has is
// geometrically.
var regulars = func() (at [4097]float64) {
	v := 0.
	for i := range at {
		for range 50 {
			if v > 0 {
				v -= (v - v*math.Log(v) - float64(i)/4096) / max(-math.Log(v), 1e-3)
			}
			v = min(max(v, 1e-9), 1)
		}
		at[i] = v
	}
	at[0], at[4096] = 0, 1
	return at
}()

// regular is who, from 0 to 1, by 32 random bits.
func regular(bits uint64) float64 {
	i, rest := bits>>20, float64(bits&0xfffff)/(1<<20)
	return min(regulars[i]*(1-rest)+regulars[i+1]*rest, 1-1e-9)
}

// mix is how the rows of one hour are drawn.
type mix struct {
	country, agent, event, referrer, version *table
	language                                 [se + 1]*table
	amount, duration, latency                float64
	signedIn                                 uint64 // of 4096
	visitors                                 float64
}

// rows simulates the rows of an hour.
func (c *corpus) rows(hour int) *rows {
	r := rand.New(rand.NewPCG(c.seed, uint64(hour)+1))
	m, expected := c.mix(hour)
	expected *= 1 + .02*r.NormFloat64()
	n := int(max(0, math.Round(expected+math.Sqrt(expected)*r.NormFloat64())))
	out := newRows(n)
	out.hour = hour
	for i := range n {
		m.row(r, out, i)
	}
	c.clock(out)
	refusals := expected * .004 * math.Exp(4*c.wanders[wanderScale+5][hour])
	out.rejected = int(max(0, math.Round(refusals+math.Sqrt(refusals)*r.NormFloat64())))
	return out
}

func newRows(n int) *rows {
	out := &rows{visitor: make([]uint32, n), item: make([]uint32, n), signedIn: make([]bool, n), times: newTimes(n)}
	for i := range out.text {
		out.text[i] = make([]uint8, n)
	}
	for i := range out.number {
		out.number[i] = make([]float32, n)
	}
	return out
}

// mix is the state of the world in an hour, and how many rows to expect.
func (c *corpus) mix(hour int) (*mix, float64) {
	weights, sum := c.visits(hour), 0.
	codes := make([]uint8, len(weights))
	m := &mix{}
	for i, w := range weights {
		codes[i], sum = countries[i].code, sum+w
		m.language[codes[i]] = draw(append([]uint8{null}, languageCodes...), append([]float64{.03}, countries[i].languages...))
	}
	m.country = draw(append(codes, null), append(weights, .01*sum))
	m.agent, m.event, m.referrer, m.version = c.agents(hour), c.events(hour), c.referrers(hour), c.versions(hour)
	scale := func(i int) float64 { return math.Exp(c.wanders[wanderScale+i][hour]) }
	m.amount, m.duration, m.latency = 20*scale(0), 60*scale(1), 80*scale(2)*(1+.2*sum)
	signedIn := .35 * scale(3)
	if hour >= c.redesign {
		signedIn, m.duration = signedIn*1.5, m.duration*1.4
	}
	m.signedIn = uint64(4096 * signedIn)
	expected := c.meanRows * sum * math.Exp(c.volume[hour])
	// With more traffic than usual there are more visitors, and each does more.
	m.visitors = expected/1.7*scale(6)/math.Exp((c.volume[hour]-trendPerDay*float64(hour)/24)/2) + 1
	return m, expected
}

// wandering multiplies weights by what wanders from a series on.
func (c *corpus) wandering(weights []float64, from, hour int) []float64 {
	for i := range weights {
		weights[i] *= math.Exp(c.wanders[from+i][hour])
	}
	return weights
}

// agents: more mobile ones in the evening and at weekends.
func (c *corpus) agents(hour int) *table {
	m := .45 + .10*math.Cos(2*math.Pi*float64(hour%24-20)/24)
	if day := hour / 24 % 7; day >= 5 {
		m += .08
	}
	d := 1 - m
	weights := []float64{.45 * d, .15 * d, .15 * d, .10 * d, .15 * d, .5 * m, .35 * m, .15 * m, .015}
	codes := []uint8{chromeWindows, chromeMac, edge, firefox, safariMac, safariIOS, chromeAndroid, samsung, bot}
	return draw(codes, c.wandering(weights, wanderAgent, hour))
}

func (c *corpus) events(hour int) *table {
	buying := 1 + .3*math.Cos(2*math.Pi*float64(hour%24-19)/24)
	weights := []float64{.58, .20, .10, .06 * buying, .05 * buying, .01}
	return draw([]uint8{view, click, play, add, purchase, signup}, c.wandering(weights, wanderEvent, hour))
}

func (c *corpus) referrers(hour int) *table {
	weights := []float64{.40, .30, .12, .05, .03, .10}
	if hour >= c.redesign {
		weights[0] = .65
	}
	return draw([]uint8{null, google, facebook, newsletter, partner, search}, c.wandering(weights, wanderReferrer, hour))
}

// versions of the application come every four weeks and are taken up over some ten days.
func (c *corpus) versions(hour int) *table {
	var codes []uint8
	var weights []float64
	left := 1.
	for i := 7; i >= 0; i-- {
		days := float64(hour)/24 - float64(28*i-14)
		taken := left / (1 + math.Exp(-(days-7)/2))
		if i == 0 {
			taken = left
		}
		codes, weights, left = append(codes, release0+uint8(i)), append(weights, taken), left-taken
	}
	return draw(codes, weights)
}

// row draws row i.
func (m *mix) row(r *rand.Rand, out *rows, i int) {
	a, b, x, y := r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()
	at := func(bits uint64, k int) uint64 { return bits >> (12 * k) & 4095 }
	from := m.country[at(a, 0)]
	out.text[country][i] = from
	if from == null {
		from = us
	}
	out.text[language][i] = m.language[from][at(a, 1)]
	by := m.agent[at(a, 2)]
	out.text[agent][i], out.text[platform][i] = by, web
	if by >= safariIOS && by <= samsung {
		out.text[platform][i], out.text[version][i] = mobile, m.version[at(a, 3)]
	}
	what := m.event[at(a, 4)]
	out.text[event][i], out.text[referrer][i] = what, m.referrer[at(b, 0)]
	out.signedIn[i] = at(b, 1) < m.signedIn
	out.visitor[i] = 1 + uint32(m.visitors*regular(x>>32))
	out.item[i] = uint32(math.Exp2(14 * float64(x&0xffffffff) / (1 << 32)))
	missing := float32(math.NaN())
	out.number[amount][i], out.number[duration][i] = missing, missing
	if what == purchase {
		out.number[amount][i] = float32(m.amount * math.Pow(lognormal[at(b, 3)], .6))
	}
	if what == view || what == play {
		out.number[duration][i] = float32(m.duration * lognormal[at(b, 4)])
	}
	out.number[latency][i] = float32(m.latency * math.Sqrt(lognormal[at(y, 0)]))
	out.number[score][i] = float32(50 + 10*normal[at(y, 1)])
	out.number[width][i] = screens[by][at(y, 2)%4]
}

// screens are widths by agent, each as frequent as the others.
var screens = [bot + 1][4]float32{
	chromeWindows: {1920, 1920, 1366, 1536}, chromeMac: {1440, 1728, 2560, 1512}, edge: {1920, 1920, 2560, 1536},
	firefox: {1920, 1366, 2560, 1440}, safariMac: {1440, 1728, 2560, 1512}, safariIOS: {390, 393, 430, 375},
	chromeAndroid: {412, 360, 384, 412}, samsung: {360, 384, 412, 360}, bot: {800, 1024, 1280, 800},
}
