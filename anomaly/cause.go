package anomaly

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/reedbed/reedbed/fingerprint"
)

// most is how many effects of one cause are told of.
const most = 8

func bounded(effects []Effect) []Effect { return slices.Clip(effects[:min(most, len(effects))]) }

// causes are what explains all alarms of the hour: one at most for all sources, or
// one for each source. The kinds that explain others come first.
//
// A narrower series explains a wider one if the wider one without it is as expected.
// So one version or event name is named where it carries what is unusual of a source;
// and where a source as a whole is unusual, its parts are consequences.
func (r *record) causes() []Anomaly {
	bySource := map[string][]Anomaly{}
	for _, k := range Kinds() {
		var found []Anomaly
		if k.of(ofSource) {
			found = r.explain(k)
		} else {
			found = r.fields(k)
		}
		for _, a := range found {
			bySource[a.Source] = append(bySource[a.Source], a)
		}
	}
	if all := bySource[""]; len(all) > 0 {
		return []Anomaly{join(all)}
	}
	var out []Anomaly
	for _, found := range bySource {
		out = append(out, join(found))
	}
	slices.SortFunc(out, func(a, b Anomaly) int { return inOrder(a.Series, b.Series) })
	return out
}

// join makes the first of several the cause of the others. There is room for one
// effect of each kind at least.
func join(found []Anomaly) Anomaly {
	a := found[0]
	var kinds, rest []Effect
	for _, other := range found[1:] {
		kinds, rest = append(kinds, other.Effect), append(rest, other.With...)
	}
	a.With = bounded(slices.Concat(kinds, a.With, rest))
	return a
}

// explain finds the causes of one kind, from everything down. While one source is
// unusual, everything is for that.
func (r *record) explain(k Kind) []Anomaly {
	lasts := slices.ContainsFunc(r.known, func(a Anomaly) bool { return a.Until.IsZero() && a.concerns(question{Series{}, k}) })
	if r.answers[question{Series{}, k}].alarm && !lasts {
		return []Anomaly{r.narrow(Series{}, k)}
	}
	var out []Anomaly
	for _, s := range r.children(Series{}) {
		if r.answers[question{s, k}].alarm {
			out = append(out, r.narrow(s, k))
		} else if a, ok := r.parts(s, k); ok {
			out = append(out, a)
		}
	}
	return out
}

// children are the parts of a series on record: of everything the sources; of a
// source its event names and versions, each of which are all of it.
func (r *record) children(s Series) (out []Series) {
	for c := range r.first {
		l := c.level()
		if s.level() == everything && l == ofSource || s.level() == ofSource && c.Source == s.Source && (l == ofEvent || l == ofVersion) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, inOrder)
	return out
}

// narrow is the narrowest cause of an alarm of a series.
func (r *record) narrow(s Series, k Kind) Anomaly {
	own := r.answers[question{s, k}].effect
	a := Anomaly{Effect: own}
	var best *Series
	var least int64
	for _, c := range r.children(s) {
		x := r.answers[question{c, k}]
		fresh := own.More && !r.first[c].Before(r.hours[0].Start)
		if !fresh && (!x.stirs || x.effect.More != own.More) {
			continue
		}
		if x.alarm || fresh && k == Volume {
			a.With = append(a.With, r.told(c, k))
		}
		if !r.carries(question{s, k}, c) {
			continue
		}
		if size := max(x.rows, int64(x.usual)); best == nil || size < least {
			c := c
			best, least = &c, size
		}
	}
	a.With = bounded(a.With)
	if best == nil {
		return a
	}
	if r.answers[question{*best, k}].alarm && best.level() == ofSource {
		return r.narrow(*best, k)
	}
	return Anomaly{Effect: r.told(*best, k), With: []Effect{own}}
}

// carries says whether what is unusual is as expected without a part of it: the rest
// of a count within the part of the expected range that it usually has, the rest's
// share within the range of the whole's.
func (r *record) carries(q question, part Series) bool {
	x := r.answers[q]
	rest, _ := r.read(0, q.Series)
	o, _ := r.read(0, part)
	rest.less(o)
	if q.Kind == Volume {
		usual := 1 - r.usualShare(q, part)
		n := float64(rest.Rows)
		return usual*x.usual >= fewRows && n >= usual*x.low && n <= usual*x.high
	}
	return x.holds(q.Kind, &rest)
}

// holds says whether the share that was unusual is as expected in other rows.
func (a *answer) holds(k Kind, o *Observation) bool {
	metrics, n := o.metrics(k)
	i := slices.IndexFunc(metrics, func(m fingerprint.Metric) bool { return m.Name == a.metric })
	return n >= fewShares && i >= 0 && metrics[i].Value >= a.low && metrics[i].Value <= a.high
}

// usualShare is the median share of a part in earlier hours.
func (r *record) usualShare(q question, part Series) float64 {
	var shares []float64
	for i := 1; i < len(r.hours); i++ {
		all, _ := r.read(i, q.Series)
		o, _ := r.read(i, part)
		if open, _ := r.within(q, r.hours[i].Start); !open && all.Rows > 0 {
			shares = append(shares, float64(o.Rows)/float64(all.Rows))
		}
	}
	if len(shares) == 0 {
		return 0
	}
	slices.Sort(shares)
	return shares[len(shares)/2]
}

// told is what is said of a part: what was unusual, or that it is new.
func (r *record) told(s Series, k Kind) Effect {
	if x := r.answers[question{s, k}]; x.stirs {
		return x.effect
	}
	o, _ := r.read(0, s)
	return Effect{Kind: k, Series: s, More: true, What: fmt.Sprintf("%d events, and none before", o.Rows)}
}

// parts is the cause of alarms of a source's parts, where the source is as expected:
// the only part there is of a level, or else the source.
func (r *record) parts(source Series, k Kind) (a Anomaly, ok bool) {
	var of [ofField][]Effect
	for _, c := range r.children(source) {
		x := r.answers[question{c, k}]
		if x.alarm && (k != Volume || c.level() != ofVersion || !r.released(c)) {
			of[c.level()] = append(of[c.level()], x.effect)
		}
	}
	few, others := of[ofEvent], of[ofVersion]
	if len(few) == 0 || len(others) > 0 && len(others) < len(few) {
		few, others = others, few
	}
	if len(few) == 0 {
		return a, false
	}
	// What is gone is the cause of what came in its place.
	slices.SortStableFunc(few, func(a, b Effect) int { return cmp.Compare(rank(a.More), rank(b.More)) })
	a.Effect, a.With = few[0], bounded(append(slices.Clone(few[1:]), others...))
	if len(few) > 1 && few[0].More == few[1].More {
		a.Effect = Effect{Kind: k, Series: source, More: few[0].More, What: few[0].String() + ": " + few[0].What}
		a.With = bounded(append(few, others...))
	}
	return a, true
}

func rank(more bool) int {
	if more {
		return 1
	}
	return 0
}

// released says whether a version is unusual as releases make it: it comes, or it
// faded before, or new or unusual others had more events than the hour before by half
// of what it had fewer, so that people seem to have gone from one to the other.
func (r *record) released(s Series) bool {
	x := r.answers[question{s, Volume}]
	last := slices.IndexFunc(r.hours, func(h Hour) bool { return r.hours[0].Start.Sub(h.Start) == time.Hour })
	if x.effect.More || last < 0 {
		return true
	}
	moved := func(s Series) (then, more int64) {
		now, _ := r.read(0, s)
		o, _ := r.read(last, s)
		return o.Rows, now.Rows - o.Rows
	}
	then, more := moved(s)
	if float64(then) < x.usual/2 || -2*more < then {
		return true
	}
	others := int64(0)
	for _, c := range r.children(Series{Source: s.Source}) {
		y := r.answers[question{c, Volume}]
		if c.level() == ofVersion && (!y.known || y.stirs) {
			_, more := moved(c)
			others += max(0, more)
		}
	}
	return 2*others >= -more
}

// fields are the causes of alarms of a kind of fields, one for each source: the
// field or, if it is several, what they have in common. If it is as expected without
// one version of the application, that is named.
func (r *record) fields(k Kind) []Anomaly {
	bySource := map[string][]Effect{}
	for q, x := range r.answers {
		if q.Kind == k && x.alarm {
			bySource[q.Source] = append(bySource[q.Source], r.byVersion(q, x.effect))
		}
	}
	var out []Anomaly
	for _, found := range bySource {
		slices.SortFunc(found, func(a, b Effect) int { return inOrder(a.Series, b.Series) })
		a := Anomaly{Effect: found[0]}
		for _, e := range found[1:] {
			a.Series = common(a.Series, e.Series)
		}
		if len(found) > 1 {
			a.What = fmt.Sprintf("%d fields, among them %s: %s", len(found), found[0].Field, found[0].What)
			a.With = bounded(found)
		}
		out = append(out, a)
	}
	return out
}

// common is what two series have in common.
func common(a, b Series) Series {
	same := func(x *string, y string) {
		if *x != y {
			*x = ""
		}
	}
	same(&a.Event, b.Event)
	same(&a.Field, b.Field)
	same(&a.Version, b.Version)
	return a
}

// byVersion names the version without which a field is missing as often as expected.
func (r *record) byVersion(q question, e Effect) Effect {
	x := r.answers[q]
	o, _ := r.read(0, q.Series)
	if q.Kind != Missing {
		return e
	}
	for _, part := range o.ByVersion {
		rest := o
		rest.Rows, rest.Missing = o.Rows-part.Rows, o.Missing-part.Missing
		if part.Version != "" && x.holds(q.Kind, &rest) {
			e.Version = part.Version
		}
	}
	return e
}
