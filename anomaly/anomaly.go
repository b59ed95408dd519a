// Package anomaly knows what the events of an hour are like, series by series;
// whether that is what earlier hours let one expect; and which one series explains
// what is not.
//
// It is pure: it reads no clock and keeps nothing. It never knows the catalog, the
// engine, how events are counted or who is told.
package anomaly

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/reedbed/reedbed/fingerprint"
)

// Series is what is watched: the events of a source or, with one more name, a part
// of them. Without a source it is everything.
type Series struct {
	Source  string `json:"source,omitempty"`
	Event   string `json:"event,omitempty"`   // the name of events
	Version string `json:"version,omitempty"` // an application and its version
	Field   string `json:"field,omitempty"`   // of the properties of Event
}

func (s Series) String() string {
	var parts []string
	if s.Source == "" {
		parts = append(parts, "all sources")
	} else {
		parts = append(parts, s.Source)
	}
	for _, p := range []struct{ what, name string }{{"event ", s.Event}, {"field ", s.Field}, {"version ", s.Version}} {
		if p.name != "" {
			parts = append(parts, p.what+p.name)
		}
	}
	return strings.Join(parts, ", ")
}

// level is how narrow a series is. Each level has names that compete for room.
type level int

const (
	everything level = iota
	ofSource
	ofEvent
	ofVersion
	ofField
)

func (s Series) level() level {
	switch {
	case s.Field != "":
		return ofField
	case s.Version != "":
		return ofVersion
	case s.Event != "":
		return ofEvent
	case s.Source != "":
		return ofSource
	}
	return everything
}

// Observation is one series in one hour. Counts but Rows are of parts of Rows, and
// say nothing of other levels than they name.
type Observation struct {
	Series
	Rows int64 `json:"rows"` // events; of a field, those of a sample that was looked at

	// Slow are events that came more than so many of Delays after they happened,
	// Robots those of user agents that say to be one.
	Slow   [3]int64 `json:"slow,omitzero"`
	Robots int64    `json:"robots,omitempty"`
	// Crowd are the events of the ten busiest visitors of a source.
	Crowd int64 `json:"crowd,omitempty"`
	// Refused are, beside Rows, what a source sent that does not decode.
	Refused int64 `json:"refused,omitempty"`

	// Missing are those without a field, Values the frequent values of the others.
	Missing int64               `json:"missing,omitempty"`
	Values  []fingerprint.Value `json:"values,omitempty"`
	// ByVersion are Rows and Missing of the versions that send a field most. They are
	// looked at once and not kept.
	ByVersion []Part `json:"-"`
}

// Part is what one version of an application has of the rows of a field.
type Part struct {
	Version       string
	Rows, Missing int64
}

// Delays are what Observation.Slow is about, the shortest first.
func Delays() [3]time.Duration {
	return [...]time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}
}

// Hour are all series of one hour.
type Hour struct {
	Start  time.Time     `json:"start"`
	Series []Observation `json:"series"`
	// Unwatched is what there was no room for. Where there is any, a series that is
	// not in the list may have had rows.
	Unwatched Unwatched `json:"unwatched,omitzero"`
	// Past says that it was looked at long after its close, as an hour of an import is:
	// how late its events came says nothing of hours that just closed.
	Past bool `json:"past,omitempty"`
}

// Unwatched counts the series of each level that are not in an hour's list.
type Unwatched struct {
	Sources  int `json:"sources,omitempty"`
	Events   int `json:"events,omitempty"`
	Versions int `json:"versions,omitempty"`
	Fields   int `json:"fields,omitempty"`
}

// Unknown is an hour that could not be looked at.
func Unknown(start time.Time) Hour {
	return Hour{Start: start, Unwatched: Unwatched{Sources: 1, Events: 1, Versions: 1, Fields: 1}}
}

func (u Unwatched) at(l level) int {
	return [...]int{everything: u.Sources, ofSource: u.Sources, ofEvent: u.Events, ofVersion: u.Versions, ofField: u.Fields}[l]
}

// Kind is what of a series is not as expected.
type Kind string

// The kinds, the ones that explain others first.
const (
	Refused Kind = "refused" // more that does not decode
	Spam    Kind = "spam"    // more of robots, or of few visitors
	Delay   Kind = "delay"   // more that comes late
	Volume  Kind = "volume"  // more or fewer events
	Missing Kind = "missing" // a field is missing more often
	Values  Kind = "values"  // a value of a field is more or less frequent
)

// Kinds are all kinds, the ones that explain others first.
func Kinds() []Kind { return []Kind{Refused, Spam, Delay, Volume, Missing, Values} }

// of says whether a series has what the kind is about.
func (k Kind) of(l level) bool {
	switch k {
	case Refused:
		return l <= ofSource
	case Missing, Values:
		return l == ofField
	default:
		return l <= ofVersion
	}
}

// Effect is one thing that is not as expected.
type Effect struct {
	Kind Kind `json:"kind"`
	Series
	More bool   `json:"more"` // than expected, or less
	What string `json:"what"` // in words, of the last hour it was so
}

// Anomaly is one cause: the narrowest series that explains all that is unusual.
type Anomaly struct {
	ID int64 `json:"-"` // on record, 0 before
	Effect
	With  []Effect  `json:"with,omitempty"` // what it brings about, or is made of
	Since time.Time `json:"since"`          // the start of its first hour
	Last  time.Time `json:"last"`           // and of the last that was unusual
	// Until is the start of the first hour after it, zero while it lasts.
	Until time.Time `json:"until,omitzero"`
	// Accepted says that it is not over, but what is usual from now on.
	Accepted bool   `json:"accepted,omitempty"`
	End      string `json:"end,omitempty"` // in words
}

// Key names the cause: with the same key it is the same trouble.
func (a *Anomaly) Key() string {
	parts := []string{string(a.Kind), a.Source, a.Event, a.Field, a.Version}
	if a.Kind == Volume {
		parts[0] = map[bool]string{true: "more", false: "fewer"}[a.More]
	}
	return strings.TrimRight(strings.Join(parts, "/"), "/")
}

// Title says in one line what is wrong, in words that stay the same while it is.
func (a *Anomaly) Title() string { return printable(a.title()) }

func (a *Anomaly) title() string {
	switch a.Kind {
	case Refused:
		return fmt.Sprintf("%s: more is refused than usual", a.Series)
	case Spam:
		return fmt.Sprintf("%s: more of it looks like spam than usual", a.Series)
	case Delay:
		return fmt.Sprintf("%s: events come later than usual", a.Series)
	case Missing:
		return fmt.Sprintf("%s: missing more often than usual", a.Series)
	case Values:
		return fmt.Sprintf("%s: values are not distributed as usual", a.Series)
	default:
		return fmt.Sprintf("%s: %s events than usual", a.Series, map[bool]string{true: "more", false: "fewer"}[a.More])
	}
}

// Detail says what was seen and expected, and what it explains.
func (a *Anomaly) Detail() string {
	lines := []string{a.What}
	if a.End != "" {
		lines = []string{a.End}
	}
	for _, e := range a.With {
		if line := e.String() + ": " + e.What; line != a.What {
			lines = append(lines, "with it: "+line)
		}
	}
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// printable keeps what clients put into names from doing anything in a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
