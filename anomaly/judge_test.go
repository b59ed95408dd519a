package anomaly

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reedbed/reedbed/fingerprint"
)

// world simulates the events of two sources hour by hour: season, weekends, noise,
// releases of an application.
type world struct {
	seed   uint64
	random *rand.Rand                  // of the hour
	spoil  func(at time.Time, c *cell) // changes what an hour has, cell by cell
	// release is the day from which on version 2 takes the place of version 1.
	release int
}

// cell is one event name of one version in one hour.
type cell struct {
	source, event, version string
	rows                   float64
	slow, robots           float64 // shares
	noPlan                 float64 // of rows, those without the field plan
	country                map[string]float64
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func (w *world) cells(at time.Time) (cells []*cell) {
	hour := float64(at.Hour())
	level := math.Exp(.8*math.Sin((hour-8)*math.Pi/12) + .05*w.random.NormFloat64())
	if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
		level *= .7
	}
	adopted := math.Max(0, math.Min(1, at.Sub(monday.AddDate(0, 0, w.release)).Hours()/72))
	for _, source := range []struct {
		name string
		size float64
	}{{"web", 6000}, {"app", 2500}} {
		noise := math.Exp(.03 * w.random.NormFloat64())
		for event, share := range map[string]float64{"play": .5, "page": .3, "like": .15, "buy": .05} {
			for version, part := range map[string]float64{"radio 1": .9 * (1 - adopted), "radio 2": .9 * adopted, "lite 7": .1} {
				c := &cell{
					source: source.name, event: event, version: version, rows: source.size * level * noise * share * part,
					slow: .02, robots: .03, noPlan: .1, country: map[string]float64{"us": .4, "de": .3, "fr": .2, "at": .1},
				}
				if w.spoil != nil {
					w.spoil(at, c)
				}
				cells = append(cells, c)
			}
		}
	}
	slices.SortFunc(cells, func(a, b *cell) int { // maps have no order, and the dice have
		return strings.Compare(a.source+a.event+a.version, b.source+b.event+b.version)
	})
	return cells
}

// hour counts what came.
func (w *world) hour(at time.Time) Hour {
	w.random = rand.New(rand.NewPCG(w.seed, uint64(at.Unix())))
	by := map[Series]*Observation{}
	note := func(s Series) *Observation {
		if by[s] == nil {
			by[s] = &Observation{Series: s}
		}
		return by[s]
	}
	for _, c := range w.cells(at) {
		n := w.some(c.rows)
		if n == 0 {
			continue
		}
		slow, robots, noPlan := w.some(float64(n)*c.slow), w.some(float64(n)*c.robots), min(n, w.some(float64(n)*c.noPlan))
		for _, s := range []Series{{Source: c.source}, {Source: c.source, Event: c.event}, {Source: c.source, Version: c.version}} {
			o := note(s)
			o.Rows, o.Robots = o.Rows+n, o.Robots+robots
			o.Slow[0], o.Slow[1] = o.Slow[0]+slow, o.Slow[1]+slow/2
		}
		plan := note(Series{Source: c.source, Event: c.event, Field: "plan"})
		plan.Rows, plan.Missing = plan.Rows+n, plan.Missing+noPlan
		plan.ByVersion = append(plan.ByVersion, Part{c.version, n, noPlan})
		country := note(Series{Source: c.source, Event: c.event, Field: "country"})
		country.Rows += n
		for _, text := range []string{"us", "de", "fr", "at", "US"} {
			country.add(text, w.some(float64(n)*c.country[text]))
		}
	}
	h := Hour{Start: at}
	for _, o := range by {
		if o.Rows >= fingerprint.FloorRows {
			o.Values = slices.DeleteFunc(o.Values, func(v fingerprint.Value) bool { return v.Rows < fingerprint.FloorRows })
			h.Series = append(h.Series, *o)
		}
	}
	return h
}

func (o *Observation) add(text string, rows int64) {
	for i := range o.Values {
		if o.Values[i].Text == text {
			o.Values[i].Rows += rows
			return
		}
	}
	o.Values = append(o.Values, fingerprint.Value{Text: text, Rows: rows})
}

// some is a count of independent events, of a mean.
func (w *world) some(mean float64) int64 {
	return max(0, int64(math.Round(mean+math.Sqrt(mean)*w.random.NormFloat64())))
}

// watcher judges hour after hour, as a node does.
type watcher struct {
	hours map[time.Time]Hour
	known []Anomaly
	ids   int64
	told  []string // began and ended, in words
}

func (w *watcher) record(h Hour) {
	if w.hours == nil {
		w.hours = map[time.Time]Hour{}
	}
	w.hours[h.Start] = h
}

func (w *watcher) judge(h Hour) {
	oldest := h.Start
	for at := range w.hours {
		if at.Before(oldest) {
			oldest = at
		}
	}
	var history []Hour
	for _, at := range Wanted(h.Start, oldest) {
		if past, ok := w.hours[at]; ok {
			history = append(history, past)
		}
	}
	for _, a := range Judge(h, history, w.known) {
		if i := slices.IndexFunc(w.known, func(k Anomaly) bool { return k.ID == a.ID }); i >= 0 {
			if w.known[i] = a; !a.Until.IsZero() {
				w.told = append(w.told, a.Until.Format("02T15")+" - "+a.Key())
			}
			continue
		}
		w.ids++
		a.ID = w.ids
		w.known = append(w.known, a)
		w.told = append(w.told, a.Since.Format("02T15")+" + "+a.Key())
	}
	w.record(h)
}

// simulate records hours from monday on, and judges those from a day on.
func simulate(seed uint64, from, to int, spoil func(time.Time, *cell)) *watcher {
	w := &watcher{}
	w.live(seed, 0, from, nil, w.record)
	w.live(seed, from, to, spoil, w.judge)
	return w
}

// live simulates some days.
func (w *watcher) live(seed uint64, from, to int, spoil func(time.Time, *cell), do func(Hour)) {
	world := &world{seed: seed, spoil: spoil, release: 35}
	for i := from * 24; i < to*24; i++ {
		do(world.hour(monday.Add(time.Duration(i) * time.Hour)))
	}
}

// Weekends, noise and a release raise no alarm.
func TestNothingUnusual(t *testing.T) {
	if w := simulate(1, 30, 39, nil); len(w.told) > 0 {
		t.Errorf("in nine days: %q", w.told)
	}
}

// What breaks for a while is told once when it begins and once when it is over, and
// it is the narrowest series that carries it that is named.
func TestOneAlarmForOneCause(t *testing.T) {
	before := simulate(7, 30, 30, nil)
	from, to := monday.AddDate(0, 0, 30).Add(10*time.Hour), monday.AddDate(0, 0, 30).Add(15*time.Hour)
	for _, test := range []struct {
		name  string
		spoil func(*cell)
		want  []string // keys
	}{
		{"everything is gone", func(c *cell) { c.rows = 0 }, []string{"fewer"}},
		{"everything falls", func(c *cell) { c.rows *= .3 }, []string{"fewer"}},
		{"a source is gone", func(c *cell) {
			if c.source == "app" {
				c.rows = 0
			}
		}, []string{"fewer/app"}},
		{"a source falls", func(c *cell) {
			if c.source == "web" {
				c.rows *= .4
			}
		}, []string{"fewer/web"}},
		{"a large event is gone", func(c *cell) {
			if c.source == "web" && c.event == "play" {
				c.rows = 0
			}
		}, []string{"fewer/web/play"}},
		{"a small event is gone", func(c *cell) {
			if c.source == "web" && c.event == "buy" {
				c.rows = 0
			}
		}, []string{"fewer/web/buy"}},
		{"an event has another name", func(c *cell) {
			if c.source == "web" && c.event == "like" {
				c.event = "love"
			}
		}, []string{"fewer/web/like"}},
		{"a version is gone", func(c *cell) {
			if c.source == "app" && c.version == "radio 1" {
				c.rows = 0
			}
		}, []string{"fewer/app///radio 1"}},
		{"a small version is gone", func(c *cell) {
			if c.source == "app" && c.version == "lite 7" {
				c.rows = 0
			}
		}, []string{"fewer/app///lite 7"}},
		{"robots", func(c *cell) {
			if c.source == "web" {
				more := c.rows * .5
				c.robots, c.rows = (c.robots*c.rows+more)/(c.rows+more), c.rows+more
			}
		}, []string{"spam/web"}},
		{"robots of one event", func(c *cell) {
			if c.source == "web" && c.event == "like" {
				more := c.rows * 2
				c.robots, c.rows = (c.robots*c.rows+more)/(c.rows+more), c.rows+more
			}
		}, []string{"spam/web/like"}},
		{"a version comes late", func(c *cell) {
			if c.version == "lite 7" && c.source == "web" {
				c.slow = .5
			}
		}, []string{"delay/web///lite 7"}},
		{"a version lacks a field", func(c *cell) {
			if c.version == "lite 7" && c.source == "web" && c.event == "play" {
				c.noPlan = 1
			}
		}, []string{"missing/web/play/plan/lite 7"}},
		{"all lack a field", func(c *cell) {
			if c.source == "web" {
				c.noPlan = .4
			}
		}, []string{"missing/web//plan"}},
		{"a value is spelt otherwise", func(c *cell) {
			if c.source == "web" && c.event == "play" {
				c.country["US"], c.country["us"] = c.country["us"], 0
			}
		}, []string{"values/web/play/country"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &watcher{hours: maps.Clone(before.hours)}
			w.live(7, 30, 31, func(at time.Time, c *cell) {
				if !at.Before(from) && at.Before(to) {
					test.spoil(c)
				}
			}, w.judge)
			var want []string
			for _, key := range test.want {
				want = append(want, from.Format("02T15")+" + "+key, to.Format("02T15")+" - "+key)
			}
			if !slices.Equal(w.told, want) {
				t.Errorf("got %q, want %q", w.told, want)
				for _, a := range w.known {
					t.Logf("%s\n%s", a.Title(), a.Detail())
				}
			}
		})
	}
}

// A level that moved for good is told once, and is what is usual after a day: nothing
// is told of it again.
func TestANewLevelIsAccepted(t *testing.T) {
	from := monday.AddDate(0, 0, 30).Add(10 * time.Hour)
	w := simulate(4, 30, 37, func(at time.Time, c *cell) {
		if !at.Before(from) && c.source == "web" {
			c.rows *= .3
		}
	})
	if want := []string{"01T10 + fewer/web", "02T10 - fewer/web"}; !slices.Equal(w.told, want) {
		t.Fatalf("got %q, want %q", w.told, want)
	}
	if a := w.known[0]; !a.Accepted || !strings.Contains(a.End, "it has been so for 24 hours and is taken as usual from now on") {
		t.Errorf("it ends with %+v", a)
	}
}

// From the third day on what is gone is found, and nothing that falls at night or on
// the first weekend.
func TestYoungHistory(t *testing.T) {
	from := monday.AddDate(0, 0, 9).Add(10 * time.Hour)
	w := simulate(5, 0, 10, func(at time.Time, c *cell) {
		if at.Equal(from) && c.source == "web" && c.event == "buy" {
			c.rows = 0
		}
	})
	if want := []string{"11T10 + fewer/web/buy", "11T11 - fewer/web/buy"}; !slices.Equal(w.told, want) {
		t.Errorf("got %q, want %q", w.told, want)
	}
}

// What begins in the hour after, or in other ways in the same hour, is no other
// cause; what begins later is one.
func TestACauseComesInTheMiddleOfAnHour(t *testing.T) {
	for after, want := range map[int][]string{
		0: {"01T10 + spam/web", "01T16 - spam/web"},
		1: {"01T10 + missing/web//plan", "01T16 - missing/web//plan"},
		3: {"01T10 + missing/web//plan", "01T13 + spam/web", "01T16 - missing/web//plan", "01T16 - spam/web"},
	} {
		from := monday.AddDate(0, 0, 30).Add(10 * time.Hour)
		w := simulate(7, 30, 31, func(at time.Time, c *cell) {
			if c.source == "web" && !at.Before(from) && at.Before(from.Add(6*time.Hour)) {
				if c.noPlan = .4; !at.Before(from.Add(time.Duration(after) * time.Hour)) {
					c.robots = .3
				}
			}
		})
		if !slices.Equal(w.told, want) {
			t.Errorf("%d hours after: got %q, want %q", after, w.told, want)
		}
	}
}

// An hour that is not known is none in which nothing came.
func TestUnknownHours(t *testing.T) {
	w := simulate(2, 0, 10, nil)
	for i := range 4 {
		at := monday.AddDate(0, 0, 10).Add(time.Duration(i) * time.Hour)
		w.judge(Unknown(at))
		w.judge((&world{seed: 2, release: 35}).hour(at.Add(4 * time.Hour)))
	}
	if len(w.told) > 0 {
		t.Errorf("got %q", w.told)
	}
}

func TestWords(t *testing.T) {
	web := Series{Source: "web", Event: "\x1b[2Jplay", Field: "plan", Version: "radio 2"}
	a := Anomaly{Effect: Effect{Kind: Missing, Series: web, What: "missing is 30.0 %, expected 0.0 % to 1.0 %"}, With: []Effect{{Kind: Volume, Series: Series{}, What: "9 events"}}}
	got := []string{a.Title(), a.Detail(), a.Key()}
	want := []string{
		"web, event \uFFFD[2Jplay, field plan, version radio 2: missing more often than usual",
		"missing is 30.0 %, expected 0.0 % to 1.0 %\nwith it: all sources: 9 events",
		"missing/web/\x1b[2Jplay/plan/radio 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// How late the events of an import came is nothing that later ones are compared with.
func TestDelaysOfAnImport(t *testing.T) {
	late := func(_ time.Time, c *cell) { c.slow = 1 }
	soon := monday.AddDate(0, 0, 14)
	w := &watcher{}
	w.live(9, 0, 10, late, func(h Hour) { h.Past = true; w.record(h) })
	w.live(9, 10, 15, func(at time.Time, c *cell) {
		if c.source == "web" && at.Equal(soon) {
			c.slow = .9
		}
	}, w.judge)
	if want := []string{"16T00 + delay/web", "16T01 - delay/web"}; !slices.Equal(w.told, want) {
		t.Errorf("got %q, want %q", w.told, want)
	}
}

// BenchmarkJudge judges an hour with as many series as are watched at most.
func BenchmarkJudge(b *testing.B) {
	hour := func(i int) Hour {
		h := Hour{Start: monday.Add(time.Duration(i) * time.Hour), Series: []Observation{{Series: Series{Source: "web"}, Rows: 100_000}}}
		for j := range 500 {
			o := Observation{Series: Series{Source: "web", Event: strconv.Itoa(j / 3)}, Rows: 1000 + int64((i*j)%7)}
			switch {
			case j%3 == 1 && j < 240:
				o.Series = Series{Source: "web", Version: strconv.Itoa(j)}
			case j%3 > 0:
				o.Field, o.Missing = strconv.Itoa(j%3), 100
				for k := range 10 {
					o.add(strconv.Itoa(k), 90+int64((i*k)%5))
				}
			}
			h.Series = append(h.Series, o)
		}
		return h
	}
	var history []Hour
	for _, at := range Wanted(monday.Add(9*168*time.Hour), monday) {
		history = append(history, hour(int(at.Sub(monday)/time.Hour)))
	}
	now := hour(9 * 168)
	for b.Loop() {
		Judge(now, history, nil)
	}
}
