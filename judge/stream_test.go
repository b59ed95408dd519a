package judge_test

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/judge"
)

const (
	firstHour  = 57 * 24 // from here on all the history that a gate looks at is there
	tries      = 20      // spoiled partitions per corruption, severity and seed
	approvedIn = 6       // hours after which a person approves what was held but is good
	hoursMonth = 30 * 24
)

var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

func startOf(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }

// stream is one corpus as a gate meets it: hour after hour.
type stream struct {
	corpus   *corpus
	printer  *printer
	prints   []*fingerprint.Fingerprint
	metrics  [][]fingerprint.Metric
	promoted []bool
	accepted []judge.Accepted
	waiting  []judge.Accepted // held, to be approved
}

// setting is what kind of stage it is.
type setting struct {
	name string
	rows float64 // in an average hour
	bare bool    // without ids of events and visitors, times and what is known of clocks
}

var events = setting{name: "events", rows: usualRows}

// newStream has the fingerprints of the first hours.
func newStream(seed uint64, of setting, hours int) *stream {
	s := &stream{corpus: newCorpus(seed), printer: newPrinter()}
	s.corpus.meanRows, s.printer.bare = of.rows, of.bare
	for hour := range hours {
		f := s.printer.print(s.corpus.rows(hour))
		s.prints = append(s.prints, f)
		s.metrics = append(s.metrics, judge.Metrics(f))
	}
	s.promoted = make([]bool, s.corpus.hours)
	return s
}

// judge asks the gate about metrics of an hour, with what was promoted before it.
func (s *stream) judge(hour int, metrics []fingerprint.Metric) judge.Verdict {
	h := judge.History{Every: time.Hour, Accepted: s.accepted}
	for _, at := range judge.Wanted(startOf(hour), time.Hour, epoch) {
		if i := int(at.Sub(epoch) / time.Hour); s.promoted[i] {
			h.Versions = append(h.Versions, judge.Version{Start: at, Metrics: s.metrics[i]})
		}
	}
	return judge.Temporal(judge.Version{Start: startOf(hour), Metrics: metrics}, h)
}

// approve promotes what has been held for so long that a person has looked at it.
func (s *stream) approve(hour int) {
	if len(s.waiting) == 0 || startOf(hour).Before(s.waiting[0].Start.Add(approvedIn*time.Hour)) {
		return
	}
	for _, held := range s.waiting {
		s.promoted[held.Start.Sub(epoch)/time.Hour] = true
		s.accepted = append(s.accepted, held)
	}
	s.waiting = nil
}

// planned are the spoiled partitions of each hour.
func (s *stream) planned(seed uint64) map[int][]spoiling {
	plan := make(map[int][]spoiling)
	r := rand.New(rand.NewPCG(seed, 0x9a))
	for k := range corruptions {
		for _, severity := range corruptions[k].severities {
			for range tries {
				hour := firstHour + r.IntN(s.corpus.hours-1-firstHour)
				for s.corpus.shifting(hour, 2*approvedIn) {
					hour = firstHour + r.IntN(s.corpus.hours-1-firstHour)
				}
				plan[hour] = append(plan[hour], spoiling{k, severity, r.Uint64()})
			}
		}
	}
	return plan
}

type spoiling struct {
	kind     int
	severity float64
	draw     uint64
}

// cell is one corruption at one severity.
type cell struct {
	kind     int
	severity float64
}

// tally is what one gate did over some streams.
type tally struct {
	hours, held, holidayHeld, warned int // good partitions: all, held, held at holidays, promoted with a warning
	caught, spoiled                  map[cell]int
	noticed                          int // true shifts held when they came
	shiftHeld                        int // partitions held until a person approved them
}

func newTally() *tally {
	return &tally{caught: map[cell]int{}, spoiled: map[cell]int{}}
}

func (t *tally) add(o *tally) {
	t.hours, t.held, t.holidayHeld, t.warned = t.hours+o.hours, t.held+o.held, t.holidayHeld+o.holidayHeld, t.warned+o.warned
	t.noticed, t.shiftHeld = t.noticed+o.noticed, t.shiftHeld+o.shiftHeld
	for c, n := range o.spoiled {
		t.spoiled[c] += n
		t.caught[c] += o.caught[c]
	}
}

// clean counts a verdict on a good partition. What is held within hours of a true
// shift is not false: it is what a person should see.
func (t *tally) clean(c *corpus, hour int, severity judge.Severity) {
	if c.shifting(hour, approvedIn) {
		if severity == judge.Hold {
			t.shiftHeld++
			if c.shifting(hour, 1) {
				t.noticed++
			}
		}
		return
	}
	t.hours++
	switch severity {
	case judge.Hold:
		t.held++
		if c.atHoliday(hour) {
			t.holidayHeld++
		}
	case judge.Warn:
		t.warned++
	}
}

func (t *tally) dirty(s spoiling, severity judge.Severity) {
	at := cell{s.kind, s.severity}
	t.spoiled[at]++
	if severity == judge.Hold {
		t.caught[at]++
	}
}

// run plays a corpus to the gate, and to the others, which are given the good history
// whatever they said of it.
func run(seed uint64, of setting, others []rival) []*tally {
	s := newStream(seed, of, corpusDays*24)
	tallies := make([]*tally, 1+len(others))
	for i := range tallies {
		tallies[i] = newTally()
	}
	plan := s.planned(seed)
	for hour := range s.corpus.hours {
		s.approve(hour)
		for _, spoiling := range plan[hour] {
			f := s.printer.print(s.corpus.spoiled(corruptions[spoiling.kind], hour, spoiling.severity, spoiling.draw))
			metrics := judge.Metrics(f)
			tallies[0].dirty(spoiling, s.judge(hour, metrics).Severity)
			for i, o := range others {
				tallies[1+i].dirty(spoiling, severityOf(o.alarm(s, hour, f, metrics)))
			}
		}
		verdict := s.judge(hour, s.metrics[hour])
		tallies[0].clean(s.corpus, hour, verdict.Severity)
		if s.promoted[hour] = verdict.Severity != judge.Hold; !s.promoted[hour] {
			s.waiting = append(s.waiting, acceptance(hour, verdict))
		}
		for i, o := range others {
			if hour >= firstHour {
				tallies[1+i].clean(s.corpus, hour, severityOf(o.alarm(s, hour, s.prints[hour], s.metrics[hour])))
			}
		}
	}
	return tallies
}

func acceptance(hour int, v judge.Verdict) judge.Accepted {
	a := judge.Accepted{Start: startOf(hour)}
	for _, f := range v.Findings {
		a.Columns = append(a.Columns, f.Column)
	}
	return a
}

func severityOf(alarm bool) judge.Severity {
	if alarm {
		return judge.Hold
	}
	return judge.None
}

// runAll plays the corpora of several seeds, two at a time.
func runAll(seeds []uint64, of setting, others []rival) []*tally {
	sums := make([]*tally, 1+len(others))
	for i := range sums {
		sums[i] = newTally()
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	turns := make(chan struct{}, 2)
	for _, seed := range seeds {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			tallies := run(seed, of, others)
			mu.Lock()
			defer mu.Unlock()
			for i := range sums {
				sums[i].add(tallies[i])
			}
		})
	}
	wait.Wait()
	return sums
}
