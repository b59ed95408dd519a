package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

func subjects() Subjects {
	return Subjects{
		"raw": {Name: "raw", Columns: []dataset.Column{{Name: "event_id", Type: "VARCHAR"}}, Timed: true},
		"plays": {
			Name: "plays", Owner: "player", Stage: true, Timed: true, Inputs: []string{"raw", "tracks"}, Measures: []string{"spam_rate"},
			Columns: []dataset.Column{
				{Name: "play_id", Type: "VARCHAR"},
				{Name: "country", Type: "VARCHAR"},
				{Name: "played_ms", Type: "BIGINT"},
				{Name: "track_id", Type: "VARCHAR"},
				{Name: "at", Type: "TIMESTAMP WITH TIME ZONE"},
				{Name: "site", Type: "VARCHAR"},
				{Name: "tags", Type: "VARCHAR[]"},
				{Name: "amount", Type: "DECIMAL(18,6)"},
			},
		},
		"tracks":    {Name: "tracks", Columns: []dataset.Column{{Name: "id", Type: "VARCHAR"}}},
		"royalties": {Name: "royalties", Owner: "finance", Stage: true, Timed: true, Inputs: []string{"plays"}},
		"charts":    {Name: "charts", Stage: true, Inputs: []string{"tracks"}},
	}
}

func validate(t *testing.T, text string) []string {
	t.Helper()
	f, problems := Parse("contracts/a.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var out []string
	for _, p := range f.Validate(subjects()) {
		out = append(out, strings.TrimPrefix(p.Error(), "contracts/a.yaml:"))
	}
	return out
}

func TestValidate(t *testing.T) {
	if got := validate(t, wellFormed); got != nil {
		t.Errorf("a contract that can be kept has problems: %q", got)
	}
	for name, c := range map[string]struct{ text, want string }{
		"column":      {"plays: {columns: {contry: {not_null: true}}}", "3: plays: there is no column contry; did you mean `country`?"},
		"dataset":     {"plase: {}", "3: there is no dataset plase; did you mean `plays`?"},
		"measure":     {"plays: {measures: {spamrate: {max: 1}}}", "3: plays takes no measure spamrate; did you mean `spam_rate`?"},
		"no measure":  {"plays: {measures: {loudness: {max: 1}}}", "3: plays takes no measure loudness; ask its owner player to take it; there are: spam_rate"},
		"type":        {"plays: {columns: {played_ms: {type: double}}}", "3: played_ms is a BIGINT, not a double; cast it in the SQL, or correct the type"},
		"bound":       {"plays: {columns: {played_ms: {min: soon}}}", `3: played_ms is a BIGINT, and "soon" is no number; write a number`},
		"time":        {"plays: {columns: {at: {min: 5}}}", `3: at is a TIMESTAMP WITH TIME ZONE, and "5" is no time; write 2026-05-01 or 2026-05-01 12:00:00`},
		"text range":  {"plays: {columns: {site: {min: 5}}}", "3: site is a VARCHAR; min and max are for numbers and times; use accepted or matches, or a check"},
		"accepted":    {"plays: {columns: {played_ms: {accepted: [x]}}}", `3: played_ms is a BIGINT, and "x" is no number; accept numbers`},
		"matches":     {"plays: {columns: {played_ms: {matches: x}}}", "3: played_ms is a BIGINT; only texts match a regular expression; use min, max or accepted"},
		"relation":    {"plays: {columns: {track_id: {relation: {dataset: tracks, column: ids}}}}", "3: tracks: there is no column ids; did you mean `id`?"},
		"not read":    {"plays: {columns: {track_id: {relation: {dataset: charts, column: id}}}}", "3: plays does not read charts, so they cannot be compared when plays is judged; relate to what it reads: raw, tracks"},
		"nothing":     {"plays: {columns: {track_id: {relation: {dataset: trakcs, column: id}}}}", "3: there is no dataset trakcs; did you mean `tracks`?"},
		"no end":      {"tracks: {fresh: 5m}", "3: tracks is not cut by time, so it has no end that it could be late after; leave `fresh` out"},
		"kept":        {"plays: {columns: {amount: {type: numeric, min: 0.5}, tags: {}, AT: {type: timestamptz, max: '2026-01-01 10:00:00Z'}}}", ""},
		"exact":       {"plays: {columns: {amount: {type: 'decimal(18, 6)'}, tags: {type: 'text[]'}}}", "3: tags is a VARCHAR[], not a text[]; cast it in the SQL, or correct the type"},
		"no stage":    {"plays: {}\nconsumer: royalteis", "4: there is no stage royalteis; did you mean `royalties`?; leave `consumer` out if who relies on it is no stage"},
		"arrived":     {"raw: {complete: {min: 99%}}", "3: complete: raw is computed by no stage, and what is measured later does not judge it again; say it of a stage that reads it"},
		"at no time":  {"charts: {complete: {min: 99%}}", "3: complete: charts is not cut by time, and how much arrived is measured of some time; leave `complete` out, or have the stage take a measure complete"},
		"side input":  {"plays: {}\nconsumer: tracks", "4: there is no stage tracks; there are: charts, plays, royalties; leave `consumer` out if who relies on it is no stage"},
		"no reader":   {"plays: {}\nconsumer: charts", "3: charts does not read plays, so nothing could be kept from it; name what it reads itself: tracks"},
		"not a stage": {"raw: {columns: {event_id: {not_null: true}}, rows: {min: 1}, fresh: 1h}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(validate(t, "owner: a\ndatasets:\n  "+c.text+"\n"), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestProfileValidate(t *testing.T) {
	p := Profile{Entropy: []Literal{{"country", 3}, {"contry", 4}}}
	want := []Problem{{File: "stages/plays.sql", Line: 4, What: "fingerprint.entropy: there is no column contry", Fix: "did you mean `country`?"}}
	if d := cmp.Diff(want, p.Validate("stages/plays.sql", subjects()["plays"].Columns)); d != "" {
		t.Error(d)
	}
}
