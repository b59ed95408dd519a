package arrival

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestGroups(t *testing.T) {
	var c Counter
	for i, e := range []Event{
		{Source: "web", Protocol: "native", AppVersion: "1.0", StreamID: "a", Seq: 7},
		{Source: "web", Protocol: "native", AppVersion: "1.0", StreamID: "a", Seq: 10},
		{Source: "web", Protocol: "native", AppVersion: "1.0", StreamID: "a", Seq: 9},
		{Source: "web", Protocol: "native", AppVersion: "1.0", StreamID: "a", Seq: 9},
		{Source: "web", Protocol: "native", AppVersion: "1.1", StreamID: "b", Seq: 0},
		{Source: "shop", Protocol: "native", StreamID: "a", Seq: 500},
		{Source: "shop", Protocol: "segment", Quarantined: true},
	} {
		e.At = noon.Add(time.Duration(i) * time.Second)
		c.Add(e)
	}
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	want := []Group{
		{Source: "web", Protocol: "native", AppVersion: "1.0", Events: 4, Streams: 1, Missing: 1, Last: at(3)},
		{Source: "shop", Protocol: "native", Events: 1, Streams: 1, Last: at(5)},
		{Source: "shop", Protocol: "segment", Events: 1, Quarantined: 1, Last: at(6)},
		{Source: "web", Protocol: "native", AppVersion: "1.1", Events: 1, Streams: 1, Last: at(4)},
	}
	if d := cmp.Diff(want, c.Groups(at(7))); d != "" {
		t.Error(d)
	}
	if got := c.Groups(noon.Add(Window + time.Minute)); len(got) > 0 {
		t.Errorf("after the window: %+v", got)
	}
}

// The window slides by the minute.
func TestWindow(t *testing.T) {
	var c Counter
	for m := range 40 {
		c.Add(Event{At: noon.Add(time.Duration(m) * time.Minute), Source: "web"})
	}
	if got := c.Groups(noon.Add(39 * time.Minute)); len(got) != 1 || got[0].Events != 15 {
		t.Errorf("%+v", got)
	}
}

// Whatever is sent, no more is kept than said.
func TestBounds(t *testing.T) {
	var c Counter
	for i := range 3 * maxStreams {
		c.Add(Event{At: noon, Source: "web", AppVersion: fmt.Sprint(i / 150), StreamID: fmt.Sprint(i), Seq: int64(i)})
	}
	if len(c.groups) != maxGroups || len(c.streams) != maxStreams {
		t.Errorf("%d groups, %d streams", len(c.groups), len(c.streams))
	}
}

// What is missing is what a set of all numbers says, as long as nothing comes later
// than 63 numbers after its turn.
func TestMissing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Counter
		next, seen := rapid.Int64Range(0, 1<<40).Draw(t, "first"), map[int64]bool{}
		least, most := int64(1<<62), int64(-1)
		for range rapid.IntRange(1, 80).Draw(t, "events") {
			seq := next
			if back := rapid.IntRange(0, 3).Draw(t, "how"); back == 0 && most >= 0 {
				seq = max(0, most-rapid.Int64Range(0, 63).Draw(t, "back"))
			} else {
				next += rapid.Int64Range(1, 5).Draw(t, "step")
			}
			seen[seq] = true
			least, most = min(least, seq), max(most, seq)
			c.Add(Event{At: noon, Source: "web", StreamID: "s", Seq: seq})
		}
		if got, want := c.Groups(noon)[0].Missing, most-least+1-int64(len(seen)); got != want {
			t.Errorf("%d missing, %d by a count one by one", got, want)
		}
	})
}
