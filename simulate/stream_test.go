package simulate_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/enrich"
	"github.com/reedbed/reedbed/simulate"
)

func collect(c simulate.Config) []simulate.Request {
	var out []simulate.Request
	s := simulate.New(c)
	for r, ok := s.Next(); ok; r, ok = s.Next() {
		out = append(out, r)
	}
	return out
}

func config(events int) simulate.Config {
	c := simulate.Default()
	c.Start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	c.Events = events
	return c
}

func TestSameSeedSameBytes(t *testing.T) {
	c := config(5_000)
	c.History = simulate.History{Events: 2_000}
	first := collect(c)
	if !reflect.DeepEqual(first, collect(c)) {
		t.Fatal("the same configuration gave two streams")
	}
	c.Seed = 2
	if bytes.Equal(first[0].Body, collect(c)[0].Body) {
		t.Error("another seed gives the same first request")
	}
}

// What the generator says of a request is what the front door will say.
func TestRequestsHoldWhatTheySay(t *testing.T) {
	c := config(20_000)
	c.Malformed = 0.05
	decoders := map[string]*protocol.Decoder{}
	for path, name := range map[string]string{"/v1/events": protocol.Native, "/v1/batch": protocol.Segment} {
		p, _ := protocol.ByName(name)
		decoders[path] = protocol.NewDecoder(p, protocol.Limits{})
	}
	for _, r := range collect(c) {
		got := decoders[r.Path].Split(r.Body, "")
		var bad int
		var ids []string
		for i, item := range got.Items {
			if item.Refusal.Code != "" {
				bad++
			} else {
				ids = append(ids, got.IDs[i])
			}
		}
		if len(got.Items) != r.Events || bad != r.Bad {
			t.Fatalf("%d items, %d of them bad; the request says %d and %d:\n%s", len(got.Items), bad, r.Events, r.Bad, r.Body)
		}
		if diff := cmp.Diff(r.IDs, ids); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestRepeatsDifferOnlyInWhenTheyWereSent(t *testing.T) {
	stamp := regexp.MustCompile(`"(sent_at|sentAt)":"[^"]*"`)
	first := map[string]simulate.Request{}
	repeats := 0
	for _, r := range collect(config(20_000)) {
		key := strings.Join(r.IDs, " ")
		if !r.Repeat {
			if _, seen := first[key]; seen && key != "" {
				t.Fatalf("two fresh requests with the ids %s", key)
			}
			first[key] = r
			continue
		}
		repeats++
		was := first[key]
		if r.At <= was.At || !cmp.Equal(r.Headers, was.Headers) {
			t.Fatalf("the repeat %+v is no repeat of %+v", r, was)
		}
		if stamp.ReplaceAllString(string(r.Body), "") != stamp.ReplaceAllString(string(was.Body), "") {
			t.Fatalf("the repeat has other content:\n%s\n%s", r.Body, was.Body)
		}
	}
	if repeats == 0 {
		t.Error("nothing was repeated")
	}
}

// near checks a share against what was configured, with room for chance.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	t.Logf("%s: %.4f, want %.4f", what, got, want)
	if got < want-tolerance || got > want+tolerance {
		t.Errorf("%s is %.4f, want %.4f ± %.4f", what, got, want, tolerance)
	}
}

// chance is how far the share of n draws with probability p may be off: five
// standard deviations, so that another order of drawing, as after a change of
// what is sent, passes as well.
func chance(p, n float64) float64 { return 5 * math.Sqrt(p*(1-p)/n) }

func TestShares(t *testing.T) {
	c := config(60_000)
	c.Attack.For = 0
	var requests, events, repeats, bad, late, skewed, plays, bare float64
	tracks := map[string]int{}
	for _, r := range collect(c) {
		if r.Repeat {
			repeats++
			continue
		}
		if r.Events < 1 || r.Events > 50 {
			t.Fatalf("a batch of %d", r.Events)
		}
		requests++
		events += float64(r.Events)
		bad += float64(r.Bad)
		now := c.Start.Add(r.At)
		sent, played := parse(t, r)
		switch age := now.Sub(played.newest); {
		case sent.IsZero() || sent.Sub(now).Abs() > time.Minute:
			skewed++
		case age > 90*time.Second && !played.newest.IsZero():
			late++
		}
		for _, track := range played.tracks {
			plays++
			if track == "" {
				bare++
			}
			tracks[track]++
		}
	}
	near(t, "events per request", events/requests, 9, 1.5)
	near(t, "repeats", repeats/requests, c.Duplicates, chance(c.Duplicates, requests))
	near(t, "malformed", bad/events, c.Malformed, chance(c.Malformed, events))
	near(t, "late", late/requests, c.Late, chance(c.Late, requests))
	near(t, "skewed", skewed/requests, c.Skewed, chance(c.Skewed, requests))
	near(t, "plays of all events", plays/events, 0.6, 0.02)
	near(t, "plays without a track", bare/plays, c.Incomplete, chance(c.Incomplete, plays))
	most := 0
	for _, n := range tracks {
		most = max(most, n)
	}
	near(t, "the most played track", float64(most)/plays, 0.035, 0.02)
	if len(tracks) < 1_000 {
		t.Errorf("only %d tracks were played", len(tracks))
	}
}

type contents struct {
	newest time.Time
	oldest time.Time
	tracks []string
}

var (
	stamps  = regexp.MustCompile(`"sent_?[aA]t":"([^"]*)"`)
	claimed = regexp.MustCompile(`"time(?:stamp)?":"([^"]*)"`)
)

// parse reads when a request says it was sent and what it holds.
func parse(t *testing.T, r simulate.Request) (sent time.Time, c contents) {
	t.Helper()
	if m := stamps.FindSubmatch(r.Body); m != nil {
		sent = parseTime(t, m[1])
	}
	for _, m := range claimed.FindAllSubmatch(r.Body, -1) {
		at := parseTime(t, m[1])
		if c.oldest.IsZero() || at.Before(c.oldest) {
			c.oldest = at
		}
		if at.After(c.newest) {
			c.newest = at
		}
	}
	for _, part := range bytes.Split(r.Body, []byte(`"properties":`))[1:] {
		var p struct {
			TrackID  string `json:"track_id"`
			PlayedMS *int64 `json:"played_ms"`
		}
		if json.NewDecoder(bytes.NewReader(part)).Decode(&p) == nil && p.PlayedMS != nil {
			c.tracks = append(c.tracks, p.TrackID)
		}
	}
	return sent, c
}

func parseTime(t *testing.T, text []byte) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestListenersComeFromEverywhere(t *testing.T) {
	countries, browsers, devices := map[string]int{}, map[string]int{}, map[string]int{}
	requests := collect(config(30_000))
	for _, r := range requests {
		countries[enrich.Country(r.Headers["X-Forwarded-For"])]++
		agent := enrich.Agent(r.Headers["User-Agent"])
		browsers[agent.Browser]++
		devices[agent.Device]++
		if agent.Bot {
			t.Errorf("%s is taken for a bot", r.Headers["User-Agent"])
		}
	}
	t.Log(countries, browsers, devices)
	if countries[""] > 0 || len(countries) != 18 {
		t.Errorf("countries %v, want 18 and all known", countries)
	}
	if browsers[""] > 0 || browsers["ReedPlayer"] == 0 || browsers["Chrome"] == 0 {
		t.Errorf("browsers %v", browsers)
	}
	if devices["mobile"] == 0 || devices["desktop"] == 0 || devices["tablet"] == 0 {
		t.Errorf("devices %v", devices)
	}
}

// The day's rhythm follows the sun.
func TestCountriesSleepAtNight(t *testing.T) {
	share := func(hour int) float64 {
		c := config(20_000)
		c.Start = time.Date(2026, 11, 22, hour, 0, 0, 0, time.UTC)
		japan := 0
		requests := collect(c)
		for _, r := range requests {
			if enrich.Country(r.Headers["X-Forwarded-For"]) == "JP" {
				japan++
			}
		}
		return float64(japan) / float64(len(requests))
	}
	night, day := share(20), share(8) // 5 and 17 o'clock in Japan
	if day < 2*night {
		t.Errorf("Japan sends %.3f of the requests by day and %.3f by night", day, night)
	}
}

func TestAttack(t *testing.T) {
	c := config(40_000)
	var inside, attacks int
	listeners := map[string]bool{}
	for _, r := range collect(c) {
		within := c.Attack.After <= r.At && r.At < c.Attack.After+c.Attack.For
		attack := enrich.Agent(r.Headers["User-Agent"]).Browser == simulate.AttackAgent
		if attack && !within && !r.Repeat {
			t.Fatalf("an attack at %v", r.At)
		}
		if within && !r.Repeat {
			inside++
		}
		if !attack || r.Repeat {
			continue
		}
		attacks++
		listeners[r.Headers["X-Forwarded-For"]] = true
		_, played := parse(t, r)
		if slices.ContainsFunc(played.tracks, func(track string) bool { return track != simulate.AttackTrack }) {
			t.Fatalf("an attack plays %v", played.tracks)
		}
	}
	near(t, "attack requests in its window", float64(attacks)/float64(inside), c.Attack.Share, 0.05)
}

func TestHistoryComesFirstAndStaysInItsSpan(t *testing.T) {
	c := config(0)
	c.For = 20 * time.Second
	c.Late, c.Skewed, c.Duplicates, c.Malformed = 0, 0, 0, 0
	c.History = simulate.History{Events: 8_000, Span: 24 * time.Hour, Rate: 2_000}
	hours := map[time.Time]int{}
	history, live := 0, 0
	for _, r := range collect(c) {
		_, played := parse(t, r)
		if played.newest.IsZero() {
			continue
		}
		if played.newest.Before(c.Start) {
			history += r.Events
			if live > 0 {
				t.Fatal("history after live traffic")
			}
		} else {
			live += r.Events
		}
		hours[played.newest.Truncate(time.Hour)]++
		if played.oldest.Before(c.Start.Add(-c.History.Span - 4*time.Hour)) {
			t.Fatalf("an event at %v", played.oldest)
		}
	}
	near(t, "events of the history", float64(history), 8_000, 800)
	near(t, "live events", float64(live), 16*c.Rate, 1_000)
	if len(hours) < 24 || len(hours) > 26 {
		t.Errorf("requests end in %d hours, want each of the last 24", len(hours))
	}
}

func TestSendingIsInOrderAndAtTheRate(t *testing.T) {
	c := config(50_000)
	var last simulate.Request
	for _, r := range collect(c) {
		if r.At < last.At && !last.Repeat {
			t.Fatalf("a request at %v after one at %v", r.At, last.At)
		}
		last = r
	}
	near(t, "seconds", last.At.Seconds(), 50_000/c.Rate, 25)
}

func BenchmarkStream(b *testing.B) {
	s := simulate.New(simulate.Default())
	events := 0
	for b.Loop() {
		r, _ := s.Next()
		events += r.Events
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
