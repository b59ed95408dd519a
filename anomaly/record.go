package anomaly

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/judge"
)

// perHour is how often an hour may raise a false alarm: once in a month of hours,
// whatever is watched. A part of it goes to each level, and is shared out evenly to
// what is asked there.
const perHour = 1. / (30 * 24)

func partOf(l level) float64 {
	if l <= ofSource {
		return .5
	}
	return .25
}

// What falls to nothing is judged by the least it was, from trust on; what falls to
// less, from longTrust on, when weekends are on record.
const (
	trust     = 48 * time.Hour
	longTrust = 8 * 24 * time.Hour
)

// question is what is asked of an hour.
type question struct {
	Series
	Kind Kind
}

// answer to a question.
type answer struct {
	known  bool   // enough is on record
	alarm  bool   // chance alone would not do this in a month
	stirs  bool   // it is unusual: what began does not end
	effect Effect // if it stirs, by the metric that does most
	metric string
	low    float64 // the range nobody would wonder about
	high   float64
	usual  float64 // rows of the median hour
	rows   int64
}

// record is the judged hour, the first, and those it is compared with.
type record struct {
	hours   []Hour
	at      []map[Series]*Observation
	first   map[Series]time.Time // the first hour a series is on record
	known   []Anomaly
	asked   map[level]int // questions of a level that something is on record for
	answers map[question]answer
}

func newRecord(h Hour, history []Hour, known []Anomaly) *record {
	r := &record{hours: append([]Hour{h}, history...), first: map[Series]time.Time{}, known: known, asked: map[level]int{}, answers: map[question]answer{}}
	for i := range r.hours {
		at := make(map[Series]*Observation, len(r.hours[i].Series)+1)
		all := &Observation{}
		for j := range r.hours[i].Series {
			o := &r.hours[i].Series[j]
			at[o.Series] = o
			if o.level() == ofSource {
				all.plus(*o)
			}
		}
		if r.hours[i].Unwatched.Sources == 0 {
			at[Series{}] = all
		}
		for s := range at {
			if t, ok := r.first[s]; !ok || r.hours[i].Start.Before(t) {
				r.first[s] = r.hours[i].Start
			}
		}
		r.at = append(r.at, at)
	}
	return r
}

// read is what a series was like in hour i, not ok if that is not known: nothing of
// it came before its first hour, and in an hour with too many series it may not be
// in the list.
func (r *record) read(i int, s Series) (Observation, bool) {
	if o := r.at[i][s]; o != nil {
		return *o, true
	}
	h := &r.hours[i]
	if h.Unwatched.at(s.level()) > 0 || h.Start.Before(r.first[s]) {
		return Observation{}, false
	}
	o := Observation{Series: s}
	if s.Field != "" {
		if all := r.at[i][Series{Source: s.Source, Event: s.Event}]; all != nil {
			o.Rows, o.Missing = all.Rows, all.Rows
		}
	}
	return o, true
}

// questions are those that a series of the judged hour, or of one before it, raises.
func (r *record) questions() (all []question) {
	sources := 0
	for s := range r.first {
		if s.level() == ofSource {
			sources++
		}
	}
	for s := range r.first {
		if s.level() == everything && sources < 2 {
			continue
		}
		for _, k := range Kinds() {
			if k.of(s.level()) && r.hours[0].Start.After(r.first[s]) {
				all = append(all, question{s, k})
			}
		}
	}
	slices.SortFunc(all, func(a, b question) int { return cmp.Or(inOrder(a.Series, b.Series), cmp.Compare(a.Kind, b.Kind)) })
	return all
}

func inOrder(a, b Series) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Event, b.Event), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Field, b.Field))
}

// answerAll asks everything, once it is known how much is asked.
func (r *record) answerAll() {
	all := r.questions()
	past := make([]comparison, len(all))
	for i, q := range all {
		past[i] = r.compare(q)
		if past[i].known {
			r.asked[max(ofSource, q.level())]++
		}
	}
	for i, q := range all {
		r.answers[q] = r.answer(q, past[i])
	}
}

// comparison is what a question is answered by.
type comparison struct {
	known   bool
	version judge.Version
	history judge.History
	now     Observation
	rows    []int64 // of the hours compared with, in order of size
	oldest  time.Time
}

// compare gathers what a question is answered by.
func (r *record) compare(q question) comparison {
	c := comparison{history: judge.History{Every: time.Hour}, oldest: r.hours[0].Start}
	now, ok := r.read(0, q.Series)
	metrics, n := now.metrics(q.Kind)
	c.now, c.version = now, judge.Version{Start: r.hours[0].Start, Metrics: metrics}
	if !ok || q.Kind != Volume && n < fewShares {
		return c
	}
	for i := 1; i < len(r.hours); i++ {
		h := &r.hours[i]
		open, accepted := r.within(q, h.Start)
		if open || q.Kind == Delay && h.Past {
			continue
		}
		o, ok := r.read(i, q.Series)
		metrics, n := o.metrics(q.Kind)
		if !ok || q.Kind != Volume && n < fewShares/4 {
			continue
		}
		c.history.Versions = append(c.history.Versions, judge.Version{Start: h.Start, Metrics: metrics})
		if accepted {
			c.history.Accepted = append(c.history.Accepted, judge.Accepted{Start: h.Start})
		}
		c.rows = append(c.rows, o.Rows)
		if h.Start.Before(c.oldest) {
			c.oldest = h.Start
		}
	}
	slices.Sort(c.rows)
	c.known = len(c.rows) >= judge.MinPoints && (q.Kind != Volume || max(c.now.Rows, int64(c.usual())) >= fewRows)
	return c
}

func (c *comparison) usual() float64 {
	if len(c.rows) == 0 {
		return 0
	}
	return float64(c.rows[len(c.rows)/2])
}

// within says whether an hour is one of a known anomaly that the question is about,
// which is not what is usual, unless it was accepted.
func (r *record) within(q question, hour time.Time) (open, accepted bool) {
	for i := range r.known {
		a := &r.known[i]
		if hour.Before(a.Since) || !a.Until.IsZero() && !hour.Before(a.Until) || !a.spoils(q) {
			continue
		}
		accepted = accepted || a.Accepted
		open = open || !a.Accepted
	}
	return open, accepted
}

// spoils says whether the hours of an anomaly are of no use to a question: what is
// wrong with the events of a source is wrong with their fields too, but not the other
// way round.
func (a *Anomaly) spoils(q question) bool {
	return sameSource(a.Source, q.Source) && (a.Kind.of(ofSource) || !q.Kind.of(ofSource))
}

func sameSource(a, b string) bool { return a == b || a == "" || b == "" }

// concerns says whether what an anomaly is about is asked: the same kind of the same
// source, or of all sources.
func (a *Anomaly) concerns(q question) bool {
	if !sameSource(a.Source, q.Source) {
		return false
	}
	return a.Kind == q.Kind || slices.ContainsFunc(a.With, func(e Effect) bool { return e.Kind == q.Kind })
}

// answer judges what was gathered.
func (r *record) answer(q question, c comparison) answer {
	a := answer{known: c.known, usual: c.usual(), rows: c.now.Rows}
	if !c.known {
		return a
	}
	l := max(ofSource, q.level())
	limit := -math.Log10(perHour * partOf(l) / float64(max(1, r.asked[l])))
	if c.young() {
		limit /= 2
	}
	for _, f := range judge.Temporal(c.version, c.history).Findings {
		if f.Metric == "rows" && q.Kind == Values || f.Z < 0 && q.Kind != Volume && q.Kind != Values {
			continue
		}
		a.note(f, limit, Effect{Kind: q.Kind, Series: q.Series, More: f.Z > 0, What: words(q, f)})
	}
	if q.Kind == Volume {
		c.nothing(q, limit, &a)
	}
	return a
}

// young says whether judge.Temporal has so few weeks to go by that it can give but
// Chebyshev's bound of the chance. Far more seldom than that bound says is anything so
// far off; half of its logarithm is what the limit is held against then.
func (c *comparison) young() bool {
	const week, enough = 7 * 24 * time.Hour, 4
	weeks := 0
	for _, v := range c.history.Versions {
		if c.version.Start.Sub(v.Start)%week == 0 {
			weeks++
		}
	}
	return weeks < enough
}

// note keeps the weightiest finding.
func (a *answer) note(f judge.Finding, limit float64, e Effect) {
	if alarm := f.Weight >= limit; !a.stirs || alarm && !a.alarm {
		a.effect, a.metric, a.low, a.high, a.alarm = e, f.Metric, f.Low, f.High, alarm
	}
	a.stirs = true
}

// nothing notes a count that is far below all it was.
func (c *comparison) nothing(q question, limit float64, a *answer) {
	n, least, seen := c.now.Rows, c.rows[0], c.version.Start.Sub(c.oldest)
	if seen < longTrust {
		least /= 2
	}
	if seen < trust || seen < longTrust && n > 0 {
		return
	}
	if weight := fewer(n, least); weight >= stirring {
		a.note(judge.Finding{Metric: "rows", Weight: weight, Low: float64(c.rows[0]), High: math.Inf(1)}, limit, Effect{
			Kind: q.Kind, Series: q.Series, What: fmt.Sprintf("%d events, in no hour it is compared with fewer than %d", n, c.rows[0]),
		})
	}
}

// stirring is what is told of by judge.Temporal at all: once a week of hours.
const stirring = 2.2

func words(q question, f judge.Finding) string {
	switch q.Kind {
	case Volume:
		return fmt.Sprintf("%.0f events, expected %.0f to %.0f", f.Seen, f.Low, f.High)
	case Values:
		return f.String()
	default:
		name := strings.TrimPrefix(f.Metric, judge.ValuePrefix)
		f.Metric, f.Column = name, ""
		return f.String()
	}
}
