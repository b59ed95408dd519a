package anomaly

import (
	"fmt"
	"slices"
	"time"

	"github.com/reedbed/reedbed/judge"
)

// acceptAfter is how long an anomaly lasts before it is what is usual.
const acceptAfter = 24 * time.Hour

// straddles is how long after its beginning an anomaly may be found to bring about
// more: a cause comes in the middle of an hour.
const straddles = time.Hour

// Keep is how long hours are of use, and ended anomalies.
const Keep = 10 * 7 * 24 * time.Hour

// Wanted are the starts of the hours that Judge would look at.
func Wanted(start, oldest time.Time) []time.Time { return judge.Wanted(start, time.Hour, oldest) }

// Judge compares an hour with earlier ones, of which Wanted names those that are of
// use. Known are the anomalies that last, and those that ended within Keep. It returns
// those that began, without an ID, and those of the known that changed.
//
// The chance of a false alarm is shared out to all that is asked of an hour (see
// judge.Temporal), so that more series do not raise more alarms. What began ends when
// it would not even be worth a warning any more. Hours of an anomaly are not what
// later ones are compared with, until it is accepted.
func Judge(h Hour, history []Hour, known []Anomaly) []Anomaly {
	r := newRecord(h, history, known)
	r.answerAll()
	found := r.causes()
	var changed []Anomaly
	for _, a := range known {
		if a.Until.IsZero() && r.goOn(&a, &found) {
			changed = append(changed, a)
		}
	}
	for _, c := range found {
		c.Since, c.Last = h.Start, h.Start
		changed = append(changed, c)
	}
	return changed
}

// goOn says what became of an anomaly in the judged hour, and takes what it explains
// from what was found.
func (r *record) goOn(a *Anomaly, found *[]Anomaly) (changed bool) {
	start := r.hours[0].Start
	*found = slices.DeleteFunc(*found, func(c Anomaly) bool {
		if a.Source != "" && c.Source != a.Source { // one of all sources is another cause
			return false
		}
		if a.concerns(question{c.Series, c.Kind}) {
			return true
		}
		if start.Sub(a.Since) > straddles {
			return false
		}
		a.With, changed = bounded(slices.Concat([]Effect{c.Effect}, a.With, c.With)), true
		return true
	})
	known, what := r.still(a)
	switch {
	case what != "":
		changed = changed || a.Last != start
		a.Last, a.What = start, what
	case known:
		a.Until = start
		a.End = "as expected again from " + start.Format("2006-01-02T15") + " on"
		if a.Kind == Volume {
			o, _ := r.read(0, a.Series)
			a.End += fmt.Sprintf(": %d events in that hour", o.Rows)
		}
		return true
	}
	if start.Sub(a.Since) >= acceptAfter {
		a.Until, a.Accepted = start, true
		a.End = fmt.Sprintf("it has been so for %.0f hours and is taken as usual from now on; in the end: %s", start.Sub(a.Since).Hours(), a.What)
		changed = true
	}
	return changed
}

// still says what is unusual yet of what an anomaly is about, if that is known.
func (r *record) still(a *Anomaly) (known bool, what string) {
	for _, e := range append([]Effect{a.Effect}, a.With...) {
		s := e.Series
		if s.Field != "" {
			s.Version = ""
		}
		x := r.answers[question{s, e.Kind}]
		known = known || x.known
		if x.stirs && what == "" {
			if what = x.effect.What; e.Series != a.Series {
				what = e.String() + ": " + what
			}
		}
	}
	return known, what
}
