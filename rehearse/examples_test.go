package rehearse_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/examples"
	"github.com/reedbed/reedbed/node"
)

// Every stage of the examples has cases, and all pass.
func TestExamples(t *testing.T) {
	for _, name := range []string{"plays", "web"} {
		r := try(t, copyOf(t, name))
		for _, p := range r.Problems {
			t.Errorf("%s: %v", name, p)
		}
		if len(r.Untested) > 0 || len(r.Stages) == 0 {
			t.Errorf("%s: stages without cases: %q of %q", name, r.Untested, r.Stages)
		}
		for _, x := range r.Results {
			if !x.Passed() {
				t.Errorf("%s: %+v", name, x)
			}
		}
	}
}

// change is a mistake somebody could make in a stage.
type change struct{ stage, from, to string }

// The cases of the examples are worth having: they see mistakes in the stages.
func TestExamplesSeeMistakes(t *testing.T) {
	for project, rounds := range map[string][][]change{
		"plays": {
			{
				{"events", "coalesce(user_id, anonymous_id)", "user_id"},
				{"plays", "NOT BETWEEN 0 AND", "NOT BETWEEN 1 AND"},
				{"plays_classified", ">= 0.8", "> 0.8"},
				{"play_counts_hourly", "coalesce(sum(played_ms) FILTER (WHERE NOT is_spam), 0)", "sum(played_ms)"},
				{"play_counts", "sum(spam_plays)", "max(plays)"},
				{"top_28d", "HAVING sum(plays) > 0", ""},
				{"listening_sessions", "pause > INTERVAL", "pause >= INTERVAL"},
				{"royalties", "played_ms >= 30000", "played_ms > 30000"},
				{"streams", "<= 1001", "<= 1000"},
				{"completeness", "INTERVAL 1 HOUR\n            THEN", "INTERVAL 2 HOURS\n            THEN"},
			},
			{
				{"events", "coalesce(ua_is_bot(agent), false)", "ua_is_bot(agent)"},
				{"plays", "nullif(properties ->> '$.track_id', '')", "properties ->> '$.track_id'"},
				{"plays_classified", "by_country.kind = 'country' AND ", ""},
				{"top_28d", "plays DESC, track_id", "plays DESC, track_id DESC"},
				{"listening_sessions", "WHERE NOT is_spam", ""},
				{"royalties", "coalesce(own.rate, other.rate)", "own.rate"},
				{"streams", "missing - least(missing, reported)", "missing"},
				{"completeness", "least(greatest(reported, 0), missing)", "0"},
			},
			{
				{"plays_classified", "played_ms < 5000", "played_ms <= 5000"},
				{"listening_sessions", "AND min(occurred_at) <", "AND min(occurred_at) <="},
				{"streams", "previous_time + behind", "previous_time"},
				{"completeness", "CASE WHEN stream_id IS NULL THEN 0 ELSE received END", "received"},
			},
		},
		"web": {{
			{"events", "coalesce(context ->> '$.page.url', properties ->> '$.url')", "properties ->> '$.url'"},
			{"page_views", "OR visitor_id IS NULL", ""},
			{"pages_daily", "count(DISTINCT visitor_id)", "count(visitor_id)"},
			{"referrers_daily", "OR campaign_source IS NOT NULL", ""},
			{"visits", "pause > INTERVAL", "pause >= INTERVAL"},
		}},
	} {
		for _, round := range rounds {
			dir := copyOf(t, project)
			for _, c := range round {
				c.make(t, dir)
			}
			failed := map[string]bool{}
			for _, x := range try(t, dir).Results {
				failed[x.Stage] = failed[x.Stage] || !x.Passed()
			}
			for _, c := range round {
				if !failed[c.stage] {
					t.Errorf("%s: no case of %s fails when %q becomes %q", project, c.stage, c.from, c.to)
				}
			}
		}
	}
}

func (c change) make(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "stages", c.stage+".sql")
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), c.from) {
		t.Fatalf("%s does not hold %q (%v)", file, c.from, err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), c.from, c.to)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyOf(t *testing.T, example string) string {
	t.Helper()
	files, err := fs.Sub(examples.FS, example)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), example)
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	return dir
}

func try(t *testing.T, dir string, only ...string) node.Rehearsal {
	t.Helper()
	project, err := config.Load(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := node.Rehearse(t.Context(), node.Options{Project: project}, only)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Cases of stages that were not named are not run.
func TestOnly(t *testing.T) {
	r := try(t, copyOf(t, "plays"), "royalties", "plays")
	var stages []string
	for _, x := range r.Results {
		stages = append(stages, x.Stage)
	}
	if got := slices.Compact(stages); !slices.Equal(got, []string{"plays", "royalties"}) || len(r.Problems)+len(r.Untested) > 0 {
		t.Errorf("got %q, %v, %q", got, r.Problems, r.Untested)
	}
}
