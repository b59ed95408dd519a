package collect

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOneAddressLeavesTheSourceToOthers(t *testing.T) {
	now := time.Unix(1e9, 0)
	d, m := newDoor(t, Options{
		Sources:        []Source{{Name: "web", Keys: []string{"demo"}, AddressRate: 1}, {Name: "app", Keys: []string{"app-key"}}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Now:            func() time.Time { return now },
	})
	steps := []struct {
		path, remote, forwarded, body string
		wait                          time.Duration
		want                          int
	}{
		{path: "/v1/events?key=demo", remote: "203.0.113.9:1", body: "[" + strings.Repeat(one+",", 11) + one + "]", want: 200}, // ten at once, and owes two
		{path: "/v1/events?key=demo", remote: "203.0.113.9:2", body: one, want: 429},
		{path: "/v1/events", remote: "203.0.113.9:2", body: `{"writeKey":"demo","name":"a"}`, want: 429},
		{path: "/api/event", remote: "203.0.113.9:2", body: `{"n":"pageview","u":"https://a.test/","d":"demo"}`, want: 503}, // whose clients drop what is answered 429
		{path: "/v1/events?key=app-key", remote: "203.0.113.9:2", body: one, want: 200},
		{path: "/v1/events?key=demo", remote: "203.0.113.10:1", body: one, want: 200},
		{path: "/v1/events?key=demo", remote: "203.0.113.11:1", forwarded: "203.0.113.9", body: one, want: 200}, // it is no proxy
		{path: "/v1/events?key=demo", remote: "10.0.0.1:1", forwarded: "203.0.113.9", body: one, want: 429},
		{path: "/v1/events?key=demo", remote: "10.0.0.1:1", forwarded: "1.1.1.1, 203.0.113.12", body: one, want: 200},
		{wait: 2 * time.Second, path: "/v1/events?key=demo", remote: "203.0.113.9:1", body: one, want: 429},
		{wait: time.Second, path: "/v1/events?key=demo", remote: "203.0.113.9:1", body: one, want: 200},
	}
	stored := 0
	for i, s := range steps {
		now = now.Add(s.wait)
		r := httptest.NewRequest("POST", s.path, strings.NewReader(s.body))
		r.RemoteAddr = s.remote
		if s.forwarded != "" {
			r.Header.Set("X-Forwarded-For", s.forwarded)
		}
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code != s.want {
			t.Errorf("step %d: %d, want %d: %s", i, w.Code, s.want, w.Body)
		}
		if w.Code == 200 {
			stored++
			continue
		}
		if checkCode(t, parse(t, w), w.Code, "address_limited"); w.Header().Get("Retry-After") == "" {
			t.Errorf("step %d: it does not say when to come back", i)
		}
	}
	if len(m.batches) != stored {
		t.Errorf("%d batches stored, %d acknowledged", len(m.batches), stored)
	}
	if n, b := d.gate.inFlight(); n != 0 || b != 0 {
		t.Errorf("the gate still holds %d requests, %d bytes", n, b)
	}
}

func TestAddressesKeepTheirDebtsWhenSourcesChange(t *testing.T) {
	now := time.Unix(1e9, 0)
	list := []Source{{Name: "web", Keys: []string{"demo"}, AddressRate: 0.1}}
	d, _ := newDoor(t, Options{Sources: list, Now: func() time.Time { return now }})
	send := func() int { return call{path: "/v1/events?key=demo", body: one}.do(d).Code }
	if got := [2]int{send(), send()}; got != [2]int{200, 429} {
		t.Fatal(got)
	}
	list[0].Rate = 100
	if err := d.SetSources(list); err != nil {
		t.Fatal(err)
	}
	if got := send(); got != 429 {
		t.Error("what it owed is forgotten:", got)
	}
	list[0].AddressRate = 0
	if err := d.SetSources(list); err != nil {
		t.Fatal(err)
	}
	if got := send(); got != 200 {
		t.Error("without a limit:", got)
	}
}

func TestNetwork(t *testing.T) {
	for sent, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "2001:db8:1:2:3::4": "2001:db8:1:2::", "2001:db8:1:3::4": "2001:db8:1:3::",
	} {
		if got := network(netip.MustParseAddr(sent)).String(); got != want {
			t.Errorf("%s: %s, want %s", sent, got, want)
		}
	}
	if got := network(netip.Addr{}); got.IsValid() {
		t.Error(got)
	}
}

func TestAddressesAreBounded(t *testing.T) {
	var a addresses
	now := time.Unix(1e9, 0)
	first := netip.MustParseAddr("10.0.0.0")
	at := first
	for i := range 5 * maxAddresses {
		a.admit(at, 0.1, now)
		at = at.Next()
		if i%maxAddresses == maxAddresses/2 && a.admit(first, 0.1, now) {
			t.Fatal("one that comes again and again is forgotten after", i)
		}
	}
	if n := len(a.recent) + len(a.past); n > 2*maxAddresses {
		t.Errorf("%d are kept", n)
	}
}

// TestAllowances compares what addresses may send with one that never forgets.
func TestAllowances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rate = 2.0
		type simple struct {
			tokens float64
			at     time.Time
		}
		now := time.Unix(1e9, 0)
		var a addresses
		want := map[netip.Addr]simple{}
		from := rapid.SampledFrom([]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::"), {}})
		for range rapid.IntRange(1, 50).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			who, events := from.Draw(t, "who"), rapid.IntRange(0, 30).Draw(t, "events")
			s, known := want[who]
			if !known {
				s = simple{rate * addressSeconds, now}
			}
			s = simple{min(s.tokens+now.Sub(s.at).Seconds()*rate, rate*addressSeconds), now}
			may := s.tokens > 0
			if may {
				s.tokens -= float64(max(events, 1))
			}
			want[who] = s
			if got := a.admit(who, rate, now); got != may {
				t.Fatalf("%s with %v: %v, want %v", who, s.tokens, got, may)
			}
			if may && events > 0 {
				a.charge(who, events)
			}
		}
	})
}
