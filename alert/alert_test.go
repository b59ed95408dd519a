package alert

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestCompare(t *testing.T) {
	held := func(n int64) []Alert {
		return []Alert{{Key: "held/plays", Severity: Error, Title: "plays is held", Count: n, Since: noon}}
	}
	tougher := held(12)
	tougher[0].Severity = Warning
	over := held(12)
	over[0].Resolved = noon.Add(200 * time.Second)
	var known []Known
	for _, look := range []struct {
		at    int // seconds after noon
		found []Alert
		want  Kind
	}{
		{0, held(1), ""}, // it may be gone soon
		{9, held(1), ""},
		{10, held(1), Raised},
		{13, held(1), ""},
		{14, held(2), Noted},
		{15, held(9), Noted},
		{16, held(10), Changed},
		{17, held(99), Noted},
		{18, held(1), Changed},
		{19, nil, ""}, // it may come back
		{47, nil, ""},
		{49, held(1), ""},
		{50, held(12), Changed},
		{51, tougher, Changed},
		{80, nil, ""},
		{81, nil, Resolved},
		{82, nil, ""},
		{83, held(1), ""}, // another time
		{93, held(1), Raised},
		{94, over, Resolved}, // known to be over: nothing to wait for
		{95, over, ""},
		{96, held(1), ""},
		{97, over, ""}, // nobody was told that it was there
		{98, held(1), ""},
		{107, held(1), ""},
		{108, held(1), Raised},
		{200, over, Resolved},
	} {
		at := noon.Add(time.Duration(look.at) * time.Second)
		var changes []Change
		known, changes = Compare(known, look.found, at)
		var got Kind
		if len(changes) == 1 {
			got = changes[0].Kind
		}
		if got != look.want || len(changes) > 1 {
			t.Fatalf("after %d s: %v, want %q", look.at, changes, look.want)
		}
		if got == Resolved && look.found == nil && (!changes[0].Known.Resolved.Equal(at) || changes[0].Known.Title != "plays is held" || changes[0].Known.Count != 12) {
			t.Errorf("what is resolved is %+v", changes[0].Known)
		}
	}
}

// Whatever comes and goes, nobody hears of a cause that was there for a moment,
// nor twice that the same one is there, nor of its end without its beginning.
func TestCompareTellsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var known []Known
		open, first, last := map[string]bool{}, map[string]time.Time{}, map[string]time.Time{}
		at := noon
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			at = at.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "pause")) * time.Second)
			var found []Alert
			for _, key := range []string{"a", "b"} {
				if n := rapid.IntRange(0, 3).Draw(t, key); n > 0 {
					if at.Sub(last[key]) >= resolveAfter && !open[key] && !knows(known, key) {
						first[key] = at
					}
					last[key] = at
					found = append(found, Alert{Key: key, Count: int64(n * n * n)})
				}
			}
			var changes []Change
			known, changes = Compare(known, found, at)
			for _, c := range changes {
				key := c.Known.Key
				if open[key] == (c.Kind == Raised) {
					t.Fatalf("%s is %s while open is %t", key, c.Kind, open[key])
				}
				if c.Kind == Raised && at.Sub(first[key]) < raiseAfter {
					t.Fatalf("%s is raised %s after it began", key, at.Sub(first[key]))
				}
				if c.Kind == Resolved && at.Sub(last[key]) < resolveAfter {
					t.Fatalf("%s is resolved %s after it was seen", key, at.Sub(last[key]))
				}
				open[key] = c.Kind != Resolved
			}
			for key, is := range open {
				if is && at.Sub(last[key]) >= resolveAfter {
					t.Fatalf("%s is still open", key)
				}
			}
		}
	})
}

func knows(known []Known, key string) bool {
	for _, k := range known {
		if k.Key == key {
			return true
		}
	}
	return false
}

func TestWhatIsSaidIsBounded(t *testing.T) {
	long := Alert{Key: "k", Title: strings.Repeat("é", 1000), Detail: strings.Repeat("x", 1<<20) + "\xff"}
	_, changes := Compare([]Known{{Alert: Alert{Key: "k"}, Told: 1}}, []Alert{long}, noon)
	if len(changes) != 1 {
		t.Fatal(changes)
	}
	messages, err := Messages("radio", []Hook{{URL: "https://a.example"}}, changes, noon)
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	if n := len(messages[0].Body); n > 8<<10 || !utf8.Valid(messages[0].Body) {
		t.Errorf("a body of %d bytes", n)
	}
}
