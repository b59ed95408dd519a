package stage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

const wellFormed = `/* @stage
owner: team
partition: hour
inputs:
  raw: {window: same}
  rules: {window: latest}
rejects: "track_id IS NULL"
late: {debounce: 30s}
*/
SELECT 1 AS one
FROM raw;
`

func TestParse(t *testing.T) {
	s, problems := Parse("plays", "stages/plays.sql", wellFormed)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if s.SQL != "SELECT 1 AS one\nFROM raw" || s.SQLLine != 10 {
		t.Errorf("SQL %q at line %d, want the SELECT at line 10", s.SQL, s.SQLLine)
	}
	if got := s.Window("rules").Kind; got != dataset.Latest {
		t.Errorf("window of rules is %q", got)
	}
	if s.Debounce().Seconds() != 30 || s.Allowance() != DefaultAllowance {
		t.Errorf("debounce %v, allowance %v", s.Debounce(), s.Allowance())
	}
}

func TestParseProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"no header":       {"SELECT 1", 1, "header is missing"},
		"not closed":      {"/* @stage\nowner: a\nSELECT 1", 1, "not closed"},
		"no SQL":          {"/* @stage\nowner: a\n*/\n", 4, "no SQL"},
		"misspelt key":    {strings.Replace(wellFormed, "rejects:", "reject:", 1), 7, "did you mean `rejects`"},
		"no owner":        {strings.Replace(wellFormed, "owner: team\n", "", 1), 1, "no owner"},
		"bad partition":   {strings.Replace(wellFormed, "partition: hour", "partition: week", 1), 3, `"week" is not hour, day or none`},
		"contract key":    {strings.Replace(wellFormed, "late:", "contract:\n  columns:\n    one: {not_nul: true}\nlate:", 1), 10, "did you mean `not_null`"},
		"fingerprint key": {strings.Replace(wellFormed, "late:", "fingerprint: {entropie: [one]}\nlate:", 1), 8, "did you mean `entropy`"},
		"bad window":      {strings.Replace(wellFormed, "latest", "lately", 1), 6, "lately"},
		"bad debounce":    {strings.Replace(wellFormed, "30s", "soon", 1), 8, "soon"},
		"backward window": {strings.Replace(wellFormed, "window: same", "window: +1h..-1h", 1), 5, "ends"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Parse("plays", "stages/plays.sql", c.text)
			if len(problems) == 0 {
				t.Fatal("no problem found")
			}
			if got := problems[0]; !strings.Contains(got.Error(), c.says) || got.Line != c.line && c.line != 8 {
				t.Errorf("got %v, want line %d and %q", got, c.line, c.says)
			}
		})
	}
}

func mustStage(t *testing.T, name string, inputs map[string]string, grain dataset.Grain) *Stage {
	t.Helper()
	s := &Stage{Name: name, File: name + ".sql", Header: Header{Owner: "t", Partition: grain, Inputs: map[string]Input{}}}
	for in, w := range inputs {
		s.Header.Inputs[in] = Input{Window: w}
	}
	return s
}

func TestOrder(t *testing.T) {
	known := Known{"raw": dataset.Hour, "rules": dataset.None}
	for name, c := range map[string]struct {
		stages []*Stage
		want   []string
		says   []string
	}{
		"upstream first": {
			[]*Stage{mustStage(t, "b", map[string]string{"a": "same"}, "hour"), mustStage(t, "a", map[string]string{"raw": "same"}, "hour")},
			[]string{"a", "b"},
			nil,
		},
		"cycle leaves the rest running": {
			[]*Stage{
				mustStage(t, "a", map[string]string{"b": "same"}, "hour"), mustStage(t, "b", map[string]string{"a": "same"}, "hour"),
				mustStage(t, "c", map[string]string{"raw": "same"}, "hour"),
			},
			[]string{"c"},
			[]string{"a -> b -> a"},
		},
		"missing input names the near one": {
			[]*Stage{mustStage(t, "a", map[string]string{"rwa": "same"}, "hour"), mustStage(t, "b", map[string]string{"a": "same"}, "day")},
			nil,
			[]string{"did you mean `raw`", "mend that stage first"},
		},
		"window does not fit the grain": {
			[]*Stage{mustStage(t, "a", map[string]string{"rules": "same"}, "hour"), mustStage(t, "b", map[string]string{"raw": "latest"}, "hour")},
			nil,
			[]string{"not cut by time", "is cut by hour"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sorted, problems := Order(c.stages, known)
			var got []string
			for _, s := range sorted {
				got = append(got, s.Name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			for i, want := range c.says {
				if i >= len(problems) || !strings.Contains(problems[i].Error(), want) {
					t.Errorf("problems %v lack %q", problems, want)
				}
			}
		})
	}
}
