package web

import (
	"strings"
	"time"

	"github.com/reedbed/reedbed/fingerprint"
)

// Completeness is how much of what clients sent arrived, by the numbers they give
// their events.
type Completeness struct {
	// Until is up to when nothing more is expected to show; zero if there is no such time.
	Until time.Time `json:"until,omitzero"`
	// Day is of the 24 hours before Until, Since of the time after it as far as it is
	// measured; nil where there is nothing.
	Day   *fingerprint.Completeness `json:"day,omitempty"`
	Since *fingerprint.Completeness `json:"since,omitempty"`
}

// CompleteInWords says it in one line, such as "complete to 21:00 UTC, 0.3 % missing
// in the 24 hours before". nil is a project that measures nothing.
func CompleteInWords(c *Completeness, now time.Time) string {
	const unmeasured = "completeness is not measured: "
	switch {
	case c == nil:
		return unmeasured + "no stage `completeness` does"
	case c.Day == nil && c.Since == nil:
		return unmeasured + "there are no events"
	case c.Day == nil && c.Since.Arrived() == nil:
		return "completeness is " + c.Since.Missing()
	case c.Day == nil:
		return "complete to no hour yet; so far: " + c.Since.Missing()
	case c.Day.Arrived() == nil:
		return "completeness is " + c.Day.Missing()
	}
	missing, unknown, _ := strings.Cut(c.Day.Missing(), "; ")
	words := "complete to " + hourOf(c.Until, now) + ", " + missing + " in the 24 hours before"
	if c.Since != nil && c.Since.Arrived() != nil {
		since, _, _ := strings.Cut(c.Since.Missing(), "; ")
		words += ", " + since + " so far since"
	}
	if unknown != "" {
		words += "; " + unknown
	}
	return words
}

// hourOf writes when an hour ends as people read it beside now.
func hourOf(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}
