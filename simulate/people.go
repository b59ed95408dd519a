package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// country is where listeners live. Its networks are public ranges announced
// there, so that a country database places them.
type country struct {
	code   string
	weight int
	east   int // hours ahead of UTC
	v4, v6 netip.Prefix
	locale string
}

var countries = [...]country{
	{"US", 26, -6, netip.MustParsePrefix("24.30.0.0/16"), netip.MustParsePrefix("2600:1300::/32"), "en-US"},
	{"GB", 11, 0, netip.MustParsePrefix("2.120.0.0/13"), netip.MustParsePrefix("2a01:8000::/32"), "en-GB"},
	{"DE", 12, 1, netip.MustParsePrefix("2.160.0.0/12"), netip.MustParsePrefix("2001:638::/32"), "de-DE"},
	{"FR", 7, 1, netip.MustParsePrefix("2.8.0.0/13"), netip.MustParsePrefix("2001:688::/32"), "fr-FR"},
	{"SE", 4, 1, netip.MustParsePrefix("2.248.0.0/14"), netip.MustParsePrefix("2a0a:6380::/32"), "sv-SE"},
	{"NL", 4, 1, netip.MustParsePrefix("31.136.0.0/14"), netip.MustParsePrefix("2a02:10::/32"), "nl-NL"},
	{"ES", 4, 1, netip.MustParsePrefix("2.154.0.0/15"), netip.MustParsePrefix("2a0d:a240::/32"), "es-ES"},
	{"IT", 4, 1, netip.MustParsePrefix("2.40.0.0/13"), netip.MustParsePrefix("2001:750::/32"), "it-IT"},
	{"PL", 3, 1, netip.MustParsePrefix("31.60.0.0/14"), netip.MustParsePrefix("2a0b:8240::/32"), "pl-PL"},
	{"BR", 6, -3, netip.MustParsePrefix("143.106.0.0/15"), netip.MustParsePrefix("2804:400::/32"), "pt-BR"},
	{"MX", 3, -6, netip.MustParsePrefix("201.172.0.0/15"), netip.MustParsePrefix("2001:1206::/32"), "es-MX"},
	{"CA", 4, -5, netip.MustParsePrefix("23.16.0.0/15"), netip.MustParsePrefix("2607:8880::/32"), "en-CA"},
	{"JP", 5, 9, netip.MustParsePrefix("150.82.0.0/15"), netip.MustParsePrefix("2001:240::/32"), "ja-JP"},
	{"KR", 3, 9, netip.MustParsePrefix("1.96.0.0/12"), netip.MustParsePrefix("2001:2d8::/32"), "ko-KR"},
	{"IN", 4, 5, netip.MustParsePrefix("14.140.0.0/15"), netip.MustParsePrefix("2001:4408::/32"), "en-IN"},
	{"AU", 3, 10, netip.MustParsePrefix("1.128.0.0/11"), netip.MustParsePrefix("2404:e80::/32"), "en-AU"},
	{"ZA", 2, 2, netip.MustParsePrefix("41.4.0.0/14"), netip.MustParsePrefix("2001:4210::/32"), "en-ZA"},
	{"NG", 2, 1, netip.MustParsePrefix("102.88.0.0/13"), netip.MustParsePrefix("2c0f:480::/32"), "en-NG"},
}

// attackers are the countries in which an attack rents its machines.
var attackers = [2]int{4, 5}

// wire is how an app sends.
type wire int

const (
	nativeBatch wire = iota
	nativeLines
	segmentBatch
)

// app is a player. In agents, %d is a version that differs between listeners.
type app struct {
	name    string
	weight  int
	version string
	wire    wire
	agents  []string
}

var apps = [...]app{
	{"web", 40, "2026.11", nativeBatch, []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0",
		"Mozilla/5.0 (X11; Linux x86_64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%[1]d.0.0.0 Safari/537.36 Edg/%[1]d.0.0.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.%d Safari/605.1.15",
	}},
	{"ios", 30, "5.3.1", segmentBatch, []string{"ReedPlayer/5.3.1 (iPhone; iOS 18.%d; Scale/3.00)", "ReedPlayer/5.3.1 (iPad; iPadOS 18.%d; Scale/2.00)"}},
	{"android", 22, "5.3.0", segmentBatch, []string{"ReedPlayer/5.3.0 (Linux; Android 15; Pixel %d)", "ReedPlayer/5.3.0 (Linux; Android 14; SM-S9%d)"}},
	{"desktop", 8, "4.1.0", nativeLines, []string{"ReedPlayer/4.1.0 (Windows NT 10.0; Win64; x64) Electron/33.%d", "ReedPlayer/4.1.0 (Macintosh; Intel Mac OS X 10_15_7) Electron/33.%d"}},
}

// sites are where the web player is embedded, the most visited first.
var sites = [...]string{
	"www.reedplayer.example", "blog.lowtide.example", "radio.harbour.example", "www.mixtape-daily.example",
	"news.example.org", "www.vinylhunters.example", "forum.synths.example", "www.gigs-tonight.example",
	"learn.piano.example", "shop.records.example", "www.nightbus.example", "fans.example.net",
}

var referrers = [...]string{
	"", "", "https://www.google.com/", "https://duckduckgo.com/", "https://news.example.org/music", "https://t.co/a1b2c3",
}

// listener is one person and the device they use. It is a function of the seed
// and the number alone, so nothing is kept for those who do not play.
type listener struct {
	id        int
	country   *country
	app       *app
	agent     string
	address   string
	userID    string // "" for those who are not signed in
	anonymous string
	device    string
}

func (s *Stream) listener(id int) listener {
	rng := rand.New(rand.NewPCG(s.Seed, uint64(id)+1))
	l := listener{id: id}
	l.country = &countries[pickCountry(rng)]
	l.app = &apps[pickApp(rng)]
	l.agent = fmt.Sprintf(l.app.agents[rng.IntN(len(l.app.agents))], 130+rng.IntN(12))
	l.address = address(rng, l.country)
	l.anonymous = uuid4(rng)
	l.device = uuid4(rng)
	if rng.Float64() < 0.7 {
		l.userID = fmt.Sprintf("usr_%06d", id)
	}
	return l
}

// attacker is one of the few accounts of an attack.
func (s *Stream) attacker() listener {
	l := s.listener(s.Listeners + s.rng.IntN(s.Attack.Listeners))
	l.country = &countries[attackers[l.id%len(attackers)]]
	l.app = &apps[2]
	l.agent = AttackAgent + "/2.1 (Linux; Android 13)"
	l.address = address(s.rng, l.country)
	l.userID = fmt.Sprintf("usr_%06d", l.id)
	return l
}

func pickCountry(rng *rand.Rand) int {
	return pick(rng, len(countries), func(i int) int { return countries[i].weight })
}

func pickApp(rng *rand.Rand) int {
	return pick(rng, len(apps), func(i int) int { return apps[i].weight })
}

// pick returns one of n things with the odds of their weights.
func pick(rng *rand.Rand, n int, weight func(int) int) int {
	total := 0
	for i := range n {
		total += weight(i)
	}
	left := rng.IntN(total)
	for i := range n {
		if left -= weight(i); left < 0 {
			return i
		}
	}
	panic("unreachable: left is below the sum of the weights")
}

// address picks an address; one in ten is IPv6.
func address(rng *rand.Rand, c *country) string {
	if rng.IntN(10) == 0 {
		a := c.v6.Addr().As16()
		fill(rng, a[c.v6.Bits()/8:])
		return netip.AddrFrom16(a).String()
	}
	a := c.v4.Addr().As4()
	host := rng.Uint32() & (1<<(32-c.v4.Bits()) - 1)
	for i := range a {
		a[i] |= byte(host >> (24 - 8*i))
	}
	return netip.AddrFrom4(a).String()
}

// activity is the share of a country's listeners who would listen at t: least
// at five in the morning, most at five in the afternoon.
func (c *country) activity(t time.Time) float64 {
	hour := float64(t.Hour()+c.east) + float64(t.Minute())/60
	return 0.1 + 0.45*(1-math.Cos((hour-5)/24*2*math.Pi))
}

// activity is the same over all countries.
func activity(t time.Time) float64 {
	sum, weights := 0.0, 0
	for i := range countries {
		c := &countries[i]
		sum += float64(c.weight) * c.activity(t)
		weights += c.weight
	}
	return sum / float64(weights)
}
