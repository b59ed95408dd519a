package converge

import (
	"maps"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

const (
	// unreadFirst is for how long a version that could not be looked at is left alone,
	// and unreadMost what that grows to, twofold each time.
	unreadFirst = time.Minute
	unreadMost  = 6 * time.Hour
	unreadKept  = 4096
)

// unread remembers the versions of what no stage computes that could not be looked
// at, unreadKept of them at most: so many that can never be keep no other from it.
type unread map[attempt]rest

// attempt is a look at some content for what a gate asks of it.
type attempt struct {
	dataset.Promoted
	by string
}

type rest struct {
	pause time.Duration
	until time.Time
}

// choose returns limit versions at most: first those that did not fail, and then those
// that were left alone for long enough.
func (u unread) choose(found []dataset.Judgement, gates map[string]storedGate, limit int, now time.Time) []dataset.Judgement {
	var chosen, again []dataset.Judgement
	for _, j := range found {
		r, failed := u[attempt{j.Promoted, string(gates[j.Dataset].by)}]
		switch {
		case !failed:
			chosen = append(chosen, j)
		case !r.until.After(now):
			again = append(again, j)
		}
	}
	chosen = append(chosen, again...)
	return chosen[:min(len(chosen), limit)]
}

// failed leaves a version alone, for longer each time.
func (u unread) failed(p dataset.Promoted, by []byte, now time.Time) {
	if len(u) >= unreadKept { // what was not found again has moved on
		maps.DeleteFunc(u, func(_ attempt, r rest) bool { return now.Sub(r.until) > unreadMost })
	}
	a := attempt{p, string(by)}
	r, again := u[a]
	if !again && len(u) >= unreadKept {
		return
	}
	r.pause = min(max(2*r.pause, unreadFirst), unreadMost)
	r.until = now.Add(r.pause)
	u[a] = r
}

// read forgets that a version could not be looked at.
func (u unread) read(p dataset.Promoted, by []byte) { delete(u, attempt{p, string(by)}) }
