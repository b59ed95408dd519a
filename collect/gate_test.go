package collect

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func testUsage(g *gate, s Source, now time.Time) *usage {
	u := new(usage)
	g.configure(u, s, now)
	return u
}

func TestRateAllowsBurstsAndCollectsDebts(t *testing.T) {
	now := time.Unix(1e9, 0)
	g := newGate(Limits{}.withDefaults())
	u := testUsage(g, Source{Rate: 10, Burst: 20}, now)
	pass := func(events int) shed {
		ticket, why := g.admit(u, 0, now)
		if why == admitted {
			ticket.charge(events)
			ticket.release()
		}
		return why
	}
	steps := []struct {
		wait   time.Duration
		events int
		want   shed
	}{
		{0, 15, admitted},
		{0, 25, admitted}, // 5 are left, so it may start; it owes 20
		{time.Second, 1, shedRate},
		{1100 * time.Millisecond, 1, admitted},
		{time.Hour, 20, admitted}, // never more than the burst
		{0, 1, shedRate},
	}
	for i, s := range steps {
		now = now.Add(s.wait)
		if got := pass(s.events); got != s.want {
			t.Errorf("step %d: %q, want %q", i, shedNames[got], shedNames[s.want])
		}
	}
}

func TestOneSourceLeavesRoomForOthers(t *testing.T) {
	now := time.Unix(1e9, 0)
	g := newGate(Limits{InFlight: 80}.withDefaults())
	hog, other := testUsage(g, Source{}, now), testUsage(g, Source{}, now)
	fill := func(u *usage) (tickets []ticket) {
		for {
			ticket, why := g.admit(u, 0, now)
			if why != admitted {
				return tickets
			}
			tickets = append(tickets, ticket)
		}
	}
	alone := fill(hog)
	if len(alone) != 70 {
		t.Fatalf("alone it holds %d of 80, want 70", len(alone))
	}
	late := fill(other)
	if len(late) != 10 {
		t.Fatalf("the other gets %d of the 10 left", len(late))
	}
	for i := range alone[:40] {
		alone[i].release()
	}
	if again := fill(hog); len(again) != 10 {
		t.Errorf("while the other holds some, it refills to %d, want 40", 30+len(again))
	}
	if late := fill(other); len(late) != 30 {
		t.Errorf("the other got %d of the 30 left", len(late))
	}
}

func TestBytesAreSharedToo(t *testing.T) {
	now := time.Unix(1e9, 0)
	g := newGate(Limits{InFlightBytes: 8 * mib}.withDefaults())
	hog, other := testUsage(g, Source{}, now), testUsage(g, Source{}, now)
	a, _ := g.admit(hog, mib, now)
	if why := a.need(5 * mib); why != admitted {
		t.Fatalf("one request alone: %q", shedNames[why])
	}
	b, _ := g.admit(other, 0, now)
	if _, why := g.admit(hog, mib, now); why != shedShare {
		t.Errorf("a second request over its share: %q", shedNames[why])
	}
	if why := b.need(4 * mib); why != shedBusy {
		t.Errorf("beyond the budget: %q", shedNames[why])
	}
	if why := b.need(3 * mib); why != admitted {
		t.Errorf("within the budget: %q", shedNames[why])
	}
	a.release()
	b.release()
	b.release()
	if n, bytes := g.inFlight(); n != 0 || bytes != 0 {
		t.Errorf("%d requests, %d bytes left", n, bytes)
	}
}

// TestGateAccounting does anything in any order and checks that the gate's
// sums are the sums of its tickets and never above its limits.
func TestGateAccounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		g := newGate(Limits{InFlight: 6, InFlightBytes: 1000}.withDefaults())
		var users []*usage
		for range 3 {
			users = append(users, testUsage(g, Source{Rate: 50}, now))
		}
		var held []*ticket
		user := rapid.SampledFrom(users)
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				if ticket, why := g.admit(user.Draw(t, "user"), rapid.Int64Range(0, 600).Draw(t, "bytes"), now); why == admitted {
					held = append(held, &ticket)
				}
			},
			"need": func(t *rapid.T) {
				if len(held) > 0 {
					held[rapid.IntRange(0, len(held)-1).Draw(t, "i")].need(rapid.Int64Range(0, 900).Draw(t, "bytes"))
				}
			},
			"move": func(t *rapid.T) {
				if len(held) > 0 {
					held[rapid.IntRange(0, len(held)-1).Draw(t, "i")].move(user.Draw(t, "user"), now)
				}
			},
			"charge": func(t *rapid.T) {
				if len(held) > 0 {
					held[rapid.IntRange(0, len(held)-1).Draw(t, "i")].charge(rapid.IntRange(0, 100).Draw(t, "n"))
				}
			},
			"release": func(*rapid.T) {
				if len(held) > 0 {
					held[0].release()
					held = held[1:]
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) { checkGate(t, g, users, held) },
		})
	})
}

func checkGate(t *rapid.T, g *gate, users []*usage, held []*ticket) {
	type sum struct{ slots, bytes int64 }
	want := make(map[*usage]sum)
	var all sum
	for _, h := range held {
		s := want[h.usage]
		want[h.usage] = sum{s.slots + 1, s.bytes + h.bytes}
		all = sum{all.slots + 1, all.bytes + h.bytes}
	}
	for i, u := range users {
		if got := (sum{u.slots, u.bytes}); got != want[u] {
			t.Fatalf("user %d holds %v, its tickets %v", i, got, want[u])
		}
	}
	if got := (sum{g.slots, g.bytes}); got != all {
		t.Fatalf("gate holds %v, its tickets %v", got, all)
	}
	if g.slots > g.maxSlots || g.bytes > g.maxBytes {
		t.Fatal(fmt.Sprint("over the limit: ", g.slots, g.bytes))
	}
}
