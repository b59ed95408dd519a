package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// suspect is a track that history has plays of and the rules have doubts about.
const suspect = "trk_000666"

// disturbed is how many days back simulated listeners still play, for they come
// up to three days late. What is older is as the import left it.
const disturbed = 4

// TestChangedMindAboutSpam changes the spam rules and the classifier of
// examples/plays while listeners go on playing: what plan said would follow does,
// over all of history; why says what began it; and a rollback restores every
// closed day by moving pointers. It looks at days before those that what comes
// late may change, rightly, at any moment.
//
// REEDBED_DAYS says how much history there is, more than disturbed.
func TestChangedMindAboutSpam(t *testing.T) {
	days := sized(8, 6)
	if text := os.Getenv("REEDBED_DAYS"); text != "" {
		var err error
		if days, err = strconv.Atoi(text); err != nil {
			t.Fatal("REEDBED_DAYS:", err)
		}
	}
	p := newProject(t, "plays")
	doubted := p.importPlays(t, days)
	n := p.up(t).listening(t).deployed(t)
	n.converged(t)
	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	traffic.Go(func() {
		_ = p.command(ctx, "simulate", "--url", n.url, "--rate", "20", "-q").Run() // it ends by being killed
	})
	defer func() { stop(); traffic.Wait() }()

	today := time.Now().UTC().Truncate(24 * time.Hour)
	closed := "< DATE '" + today.AddDate(0, 0, -disturbed).Format(time.DateOnly) + "'"
	spam := "SELECT count(*) FROM plays_classified WHERE is_spam AND track_id = '" + suspect + "' AND occurred_at " + closed
	owed := "SELECT count(*) || ' ' || coalesce(sum(amount), 0) FROM royalties WHERE track_id = '" + suspect + "' AND day " + closed
	ranked := "SELECT count(*) FROM top_28d WHERE track_id = '" + suspect + "' AND day = DATE '" + today.AddDate(0, 0, -1).Format(time.DateOnly) + "'"
	day := "royalties@" + today.AddDate(0, 0, -disturbed-1).Format(time.DateOnly)
	before := p.answer(t, owed)
	if p.count(t, spam) != 0 || strings.HasPrefix(before, "0 ") || p.count(t, ranked) != 1 {
		t.Fatalf("void: %d plays are spam already, owed %s", p.count(t, spam), before)
	}
	numbers := n.versions(t, days, today)

	p.replace(t, "data/spam_rules.csv", suspect+",0.4", suspect+",0.9")
	p.replace(t, "stages/plays_classified.sql", "spam_score >= 0.8 AS is_spam", "spam_score > 0.75 AS is_spam")
	planned := p.planned(t)
	for _, name := range []string{"plays_classified", "listening_sessions", "play_counts_hourly"} {
		if got := planned[name]; got < days*24 {
			t.Errorf("plan says that %d partitions of %s would be recomputed, history has %d hours", got, name, days*24)
		}
	}
	for _, name := range []string{"play_counts", "top_28d", "royalties"} {
		if got := planned[name]; got < days || got > days+3 {
			t.Errorf("plan says that %d partitions of %s would be recomputed, history has %d days", got, name, days)
		}
	}
	if len(planned) != 6 {
		t.Errorf("plan says that these follow: %v", planned)
	}

	p.must(t, "apply", "-C", p.dir)
	eventually(t, convergeLimit, "a new history", func() error {
		if marked := p.count(t, spam); marked != doubted {
			return fmt.Errorf("%d plays are spam, %d plays are of the track", marked, doubted)
		}
		if left := p.answer(t, owed); !strings.HasPrefix(left, "0 ") || p.count(t, ranked) != 0 {
			return fmt.Errorf("owed for it: %s", left)
		}
		return nil
	})
	if why := p.must(t, "why", "-C", p.dir, day); !strings.Contains(why, "data/spam_rules.csv") && !strings.Contains(why, "stages/plays_classified.sql") {
		t.Errorf("why %s does not say what began it:\n%s", day, why)
	}

	began := time.Now()
	p.must(t, "rollback", "-C", p.dir)
	said := time.Since(began)
	eventually(t, convergeLimit, "the old versions", func() error {
		for at, number := range n.versions(t, days, today) {
			if number != numbers[at] {
				return fmt.Errorf("%s is at version %d, was at %d", at, number, numbers[at])
			}
		}
		return nil
	})
	t.Logf("%d days were back %v after the command began, which took %v", days, time.Since(began).Round(time.Millisecond), said.Round(time.Millisecond))
	if now := p.answer(t, owed); now != before {
		t.Errorf("owed %s, was %s", now, before)
	}
}

// importPlays imports a few plays of each hour of the last days and counts those
// of the suspect before the disturbed days.
func (p project) importPlays(t *testing.T, days int) (suspects int) {
	t.Helper()
	r := random(t)
	var text bytes.Buffer
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	all, quiet := 0, midnight.AddDate(0, 0, -disturbed)
	for at := midnight.AddDate(0, 0, -days); at.Before(midnight); at = at.Add(time.Hour) {
		for range 3 + r.IntN(3) {
			track := []string{"trk_000001", "trk_000002", suspect}[r.IntN(3)]
			if all++; track == suspect && at.Before(quiet) {
				suspects++
			}
			fmt.Fprintf(&text, `{"id":"h%d","name":"Track Played","time":%q,"user_id":"u%d","properties":{"track_id":%q,"played_ms":%d}}`+"\n",
				all, at.Add(time.Duration(r.IntN(3600))*time.Second).Format(time.RFC3339), r.IntN(40), track, 31_000+r.IntN(100_000))
		}
	}
	file := filepath.Join(t.TempDir(), "plays.ndjson")
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	p.must(t, "import", "-C", p.dir, "--source", "player", "--format", "ndjson", "-q", file)
	return suspects
}

func (p project) replace(t *testing.T, name, old, with string) {
	t.Helper()
	file := filepath.Join(p.dir, name)
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q: %v", name, old, err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte(old), []byte(with), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// planned is how many partitions of each dataset a plan names.
func (p project) planned(t *testing.T) map[string]int {
	t.Helper()
	var plan struct {
		Affected []struct {
			Dataset string
			Cost    struct{ Partitions int }
		}
	}
	if err := json.Unmarshal([]byte(p.must(t, "plan", "-C", p.dir, "--json", "--sample", "1")), &plan); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, a := range plan.Affected {
		out[a.Dataset] = a.Cost.Partitions
	}
	return out
}

// versions are the promoted versions of some partitions of undisturbed days.
func (n *node) versions(t *testing.T, days int, today time.Time) map[string]int {
	t.Helper()
	out := map[string]int{}
	for back := disturbed + 1; back <= days; back++ {
		at := today.AddDate(0, 0, -back)
		for _, place := range []string{
			"royalties@" + at.Format(time.DateOnly), "play_counts@" + at.Format(time.DateOnly), "top_28d@" + at.Format(time.DateOnly),
			"plays_classified@" + at.Add(7*time.Hour).Format("2006-01-02T15"), "play_counts_hourly@" + at.Add(20*time.Hour).Format("2006-01-02T15"),
		} {
			code, body, err := n.do(t.Context(), http.MethodGet, "/api/v1/datasets/"+strings.Replace(place, "@", "/", 1), nil, nil)
			if err != nil || code != http.StatusOK {
				t.Fatalf("%s: %d, %v", place, code, err)
			}
			var why struct{ Version struct{ Number int } }
			if err := json.Unmarshal(body, &why); err != nil {
				t.Fatal(err)
			}
			out[place] = why.Version.Number
		}
	}
	return out
}
