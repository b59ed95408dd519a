// Package alert knows what an alert is, when one is raised, changed and resolved,
// and how webhooks are told: as a signed CloudEvent, tried until it is taken, by a
// client that reaches no private network unless it was told to.
//
// It must never know the catalog or the engine, nor what can go wrong with
// datasets: it is given what is wrong now, and where messages are kept.
package alert

import (
	"strings"
	"time"
)

// Severity says how bad a cause is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // readers lack what they should have
	Warning Severity = "warning" // some readers do, or will
)

// Alert is one cause of trouble, whatever it is the cause of.
type Alert struct {
	// Key names the cause: what has the same key is the same trouble, of the same
	// owner, who would not be told of its end otherwise.
	Key      string   `json:"key"`
	Severity Severity `json:"severity"`
	Owner    string   `json:"owner,omitempty"` // the team to tell
	Title    string   `json:"title"`           // one line, the same as long as the cause is
	Detail   string   `json:"detail,omitempty"`
	// Count is how many partitions are concerned, First and Last which; 0 if the
	// trouble is not one of partitions.
	Count int64     `json:"count,omitempty"`
	First string    `json:"first,omitempty"`
	Last  string    `json:"last,omitempty"`
	Since time.Time `json:"since"`
	// Resolved is when the cause was found to be gone.
	Resolved time.Time `json:"resolved,omitzero"`
}

// What an alert says is cut to this many bytes, so that messages stay small.
const (
	maxTitle  = 300
	maxDetail = 4000
)

func (a Alert) bounded() Alert {
	a.Key, a.Title, a.Detail = cut(a.Key, maxTitle), cut(a.Title, maxTitle), cut(a.Detail, maxDetail)
	return a
}

func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// Kind is what happened to an alert.
type Kind string

// The kinds of change.
const (
	Raised   Kind = "raised"
	Changed  Kind = "changed"
	Resolved Kind = "resolved"
	Noted    Kind = "noted" // on record only: nobody is told
)

// Known is an alert as the last look left it.
type Known struct {
	Alert
	Told  int64     // the count that was told last, at least 1; 0: nobody was told yet
	Begun time.Time // when a look found it first
	Seen  time.Time // when a look found it last
}

// Change is what a look did to an alert, and the alert after it.
type Change struct {
	Kind  Kind
	Known Known
}

// What comes and goes while it is retried is told once: a cause must have been
// there for raiseAfter, and be gone for resolveAfter.
const (
	raiseAfter   = 10 * time.Second
	resolveAfter = 30 * time.Second
)

// Compare holds what is wrong at a time against what was known: the result is
// what is known then, and what changed. Each cause is found once at most. A
// count is told again when it is ten times what was told, or a tenth. What is found
// as Resolved is known to be over, and said to be in its last words.
func Compare(known []Known, found []Alert, at time.Time) (next []Known, changes []Change) {
	before := make(map[string]Known, len(known))
	for _, k := range known {
		before[k.Key] = k
	}
	for _, a := range found {
		a = a.bounded()
		old, ok := before[a.Key]
		delete(before, a.Key)
		if !a.Resolved.IsZero() {
			if old.Told > 0 {
				a.Since = old.Since
				old.Alert = a
				changes = append(changes, Change{Resolved, old})
			}
			continue
		}
		if !ok {
			old = Known{Alert: a, Begun: at}
		}
		k, kind := old.look(a, at)
		next = append(next, k)
		if kind != "" {
			changes = append(changes, Change{kind, k})
		}
	}
	for _, k := range known {
		if _, gone := before[k.Key]; !gone {
			continue
		}
		if at.Sub(k.Seen) < resolveAfter {
			next = append(next, k)
		} else if k.Told > 0 {
			k.Resolved = at
			changes = append(changes, Change{Resolved, k})
		}
	}
	return next, changes
}

// look is k after it was found as a; the kind is empty if that changed nothing.
func (k Known) look(a Alert, at time.Time) (Known, Kind) {
	a.Since = k.Since
	was := k.Alert
	k.Alert, k.Seen = a, at
	count := max(1, a.Count)
	switch {
	case k.Told == 0:
		if at.Sub(k.Begun) < raiseAfter {
			return k, ""
		}
		k.Told = count
		return k, Raised
	case a.Severity != was.Severity, a.Title != was.Title, count >= 10*k.Told, 10*count <= k.Told:
		k.Told = count
		return k, Changed
	case a != was:
		return k, Noted
	}
	return k, ""
}
