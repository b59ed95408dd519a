package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listen is one play of a track in the files these tests import.
type listen struct {
	at                time.Time
	user, track, app  string
	playedMillisecond int
}

// importAll imports plays through the running node.
func (p project) importAll(t *testing.T, plays []listen) {
	t.Helper()
	var text bytes.Buffer
	for _, x := range plays {
		fmt.Fprintf(&text, `{"id":"%s-%s-%d","name":"Track Played","time":%q,"user_id":%q,"properties":{"track_id":%q,"played_ms":%d},"context":{"app":{"name":%q}}}`+"\n",
			x.user, x.track, x.at.UnixMilli(), x.at.Format(time.RFC3339Nano), x.user, x.track, x.playedMillisecond, x.app)
	}
	file := filepath.Join(t.TempDir(), "plays.ndjson")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(t, "import", "-C", p.dir, "--source", "player", "--format", "ndjson", "-q", file)
}

// ordinary are 200 plays of an hour: of 20 tracks, in 4 apps.
func ordinary(hour time.Time) (out []listen) {
	for i := range 200 {
		out = append(out, listen{
			hour.Add(time.Duration(i) * 17 * time.Second), fmt.Sprintf("u%d", i%40), fmt.Sprintf("trk_%06d", i%20+1), fmt.Sprintf("app%d", i%4), 40_000,
		})
	}
	return out
}

func (p project) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// hold is what status says of something held.
type hold struct {
	Dataset, Partition, For string
	Reads                   int64
	Broken                  []struct{ Rule, What string }
}

// holds are what status says is held, and whether all is converged.
func (n *node) holds(t *testing.T) (out []hold, converged bool) {
	t.Helper()
	code, body, err := n.do(t.Context(), http.MethodGet, "/api/v1/status", nil, nil)
	if err != nil || code != http.StatusOK {
		t.Fatalf("status: %d, %v", code, err)
	}
	var s struct {
		Converged bool
		Holds     []hold
	}
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	return s.Holds, s.Converged
}

// held waits until all is converged and just that much is held.
func (n *node) held(t *testing.T, count int) []hold {
	t.Helper()
	var out []hold
	eventually(t, convergeLimit, fmt.Sprintf("converged with %d held", count), func() error {
		var converged bool
		if out, converged = n.holds(t); !converged || len(out) != count {
			return fmt.Errorf("converged: %v, held: %+v", converged, out)
		}
		return nil
	})
	return out
}

// TestAttackHeldForRoyalties floods one hour with plays of a doubtful track. By the
// contracts of the template finance tolerates few of those, charts many: charts go
// on, royalties stay as they are. The rule that says what these plays are releases
// them, with no other command. Status, why and a webhook tell the story.
func TestAttackHeldForRoyalties(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := newProject(t, "plays")
	told, hook := receiver(t)
	p.tells(t, hook)
	n := p.up(t).listening(t).deployed(t)
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	attacked := day.Add(9 * time.Hour)
	for _, hour := range []int{8, 9, 10} {
		p.importAll(t, ordinary(day.Add(time.Duration(hour)*time.Hour)))
	}
	n.held(t, 0)
	const owed = "SELECT count(*) || ' ' || sum(plays) || ' ' || sum(amount) FROM royalties"
	charted := "SELECT coalesce(sum(plays), 0)::BIGINT FROM play_counts_hourly WHERE track_id = '" + suspect + "'"
	before := p.answer(t, owed)

	var attack []listen
	for i := range 150 {
		attack = append(attack, listen{attacked.Add(time.Duration(i) * time.Second), fmt.Sprintf("bot%d", i%3), suspect, "app0", 31_000})
	}
	p.importAll(t, attack)
	held := n.held(t, 1)
	if h := held[0]; h.For != "royalties" || h.Dataset != "plays_classified" || h.Partition != attacked.Format("2006-01-02T15") || h.Reads == 0 || h.Broken[0].Rule != "measures.doubtful_rate" {
		t.Errorf("held: %+v", held)
	}
	if got := p.count(t, charted); got != 150 {
		t.Errorf("charts count %d plays of the attack", got)
	}
	if now := p.answer(t, owed); now != before {
		t.Errorf("owed %s, was %s", now, before)
	}
	if said := p.must(t, "status", "-C", p.dir); !strings.Contains(said, "for royalties") || !strings.Contains(said, "doubtful_rate") || !strings.Contains(said, "finance") {
		t.Errorf("status does not say what is held for whom and why:\n%s", said)
	}
	raised := <-told
	if raised.Type != "com.reedbed.alert.raised" || raised.Data.Owner != "finance" || raised.Data.Count != 1 || raised.Data.First != attacked.Format("2006-01-02T15") ||
		raised.Data.Title != "plays_classified is held for royalties: measures.doubtful_rate of contract royalties-need" {
		t.Errorf("told %+v", raised)
	}

	p.replace(t, "data/spam_rules.csv", suspect+",0.4", suspect+",0.9")
	p.must(t, "apply", "-C", p.dir)
	n.held(t, 0)
	if got := p.count(t, charted); got != 0 {
		t.Errorf("charts count %d plays of the attack, which is known for one", got)
	}
	if now := p.answer(t, owed); now != before {
		t.Errorf("owed %s, was %s", now, before)
	}
	if why := p.must(t, "why", "-C", p.dir, "royalties@"+day.Format(time.DateOnly)); !strings.Contains(why, "data/spam_rules.csv") {
		t.Errorf("why does not say what released it:\n%s", why)
	}
	for resolved := range told {
		if resolved.Data.Key == raised.Data.Key && resolved.Type == "com.reedbed.alert.resolved" {
			break
		}
		// The rule moved that hour far, which its owner is told of, too.
		if resolved.Type != "com.reedbed.alert.raised" || !strings.HasPrefix(resolved.Data.Key, "warned/plays_classified/") {
			t.Errorf("told %+v", resolved)
		}
	}
}

// TestBreakAndHeal loads an hour of which a part cannot be used, one in which all
// plays are of one app, and one as it should be. The last is there at once; of the
// others no row is to be seen until what is wrong with them is mended.
func TestBreakAndHeal(t *testing.T) {
	p := newProject(t, "plays")
	p.replace(t, "stages/plays.sql", "contract:\n", "contract:\n  rejected: {max: 1%}\n")
	p.replace(t, "stages/plays.sql", "    track_id: {not_null: true}\n", "    track_id: {not_null: true}\n    app: {entropy: {min: 0.5}}\n")
	n := p.up(t).listening(t).deployed(t)
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	malformed, collapsed, good := day.Add(5*time.Hour), day.Add(6*time.Hour), day.Add(7*time.Hour)

	var all []listen
	for i, x := range ordinary(malformed) {
		if i < 6 { // 3 %
			x.playedMillisecond = -1 - i
		}
		all = append(all, x)
	}
	for _, x := range ordinary(collapsed) {
		x.app = "app0"
		all = append(all, x)
	}
	p.importAll(t, append(all, ordinary(good)...))
	visible := func(at time.Time) int {
		return p.count(t, "SELECT count(*) FROM plays WHERE date_trunc('hour', occurred_at) = TIMESTAMPTZ '"+at.Format(time.DateTime)+"+00'")
	}
	for eventuallyGood := false; !eventuallyGood; { // whenever anybody looks
		eventuallyGood = visible(good) == 200
		if bad := visible(malformed) + visible(collapsed); bad > 0 {
			t.Fatalf("%d rows of bad hours are to be seen", bad)
		}
	}
	eventually(t, convergeLimit, "two hours of plays held", func() error {
		held, converged := n.holds(t)
		own := 0
		for _, h := range held {
			if h.Dataset == "plays" {
				own++
			}
		}
		if !converged || own != 2 {
			return fmt.Errorf("converged: %v, held: %+v", converged, held)
		}
		return nil
	})
	if got := p.count(t, "SELECT count(*) FROM play_counts_hourly WHERE date_trunc('hour', hour) <> TIMESTAMPTZ '"+good.Format(time.DateTime)+"+00'"); got != 0 {
		t.Errorf("%d rows were computed from what is held", got)
	}

	var rest []listen
	for i, x := range ordinary(collapsed) { // what had not arrived
		x.user, x.app = "late"+x.user, fmt.Sprintf("app%d", i%4)
		rest = append(rest, x)
	}
	p.importAll(t, rest)
	p.replace(t, "stages/plays.sql", "try_cast(properties ->> '$.played_ms' AS BIGINT) AS played_ms", "abs(try_cast(properties ->> '$.played_ms' AS BIGINT)) AS played_ms")
	p.must(t, "apply", "-C", p.dir)
	n.held(t, 0)
	if a, b, c := visible(malformed), visible(collapsed), visible(good); a != 200 || b != 400 || c != 200 {
		t.Errorf("after all is mended there are %d, %d and %d rows", a, b, c)
	}
}
