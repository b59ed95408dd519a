package converge

import (
	"strings"
	"testing"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/fingerprint"
	"github.com/reedbed/reedbed/stage"
)

// What a stage's measure `complete` says is what the rule of that name judges; where
// it says nothing, nobody knows, and that is not enough.
func TestGateJudgesCompleteness(t *testing.T) {
	s, problems := stage.Parse("loss", "stages/loss.sql", `/* @stage
owner: platform
partition: hour
inputs: {raw: {window: same}}
contract: {complete: {min: 99%}}
fingerprint: {measures: {complete: avg(seq)}}
*/
SELECT seq FROM raw`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	g := newGate(s, nil, []contract.Contract{})
	for name, c := range map[string]struct {
		measures []fingerprint.Measure
		broken   string
	}{
		"enough":         {[]fingerprint.Measure{{Name: "complete", Value: new(0.995)}}, ""},
		"too little":     {[]fingerprint.Measure{{Name: "complete", Value: new(0.97)}}, "97%"},
		"nothing known":  {[]fingerprint.Measure{{Name: "complete"}}, "nobody knows"},
		"failed":         {[]fingerprint.Measure{{Name: "complete", Value: new(1.0), Error: "division by zero"}}, "nobody knows"},
		"other measures": {[]fingerprint.Measure{{Name: "completed", Value: new(1.0)}}, "nobody knows"},
	} {
		t.Run(name, func(t *testing.T) {
			v := g.judge(&fingerprint.Fingerprint{Rows: 10, Measures: c.measures}, false)
			switch {
			case c.broken == "" && len(v.Broken) > 0:
				t.Errorf("held: %+v", v.Broken)
			case c.broken != "" && (len(v.Broken) != 1 || !strings.Contains(v.Broken[0].What, c.broken)):
				t.Errorf("broken: %+v, want one with %q", v.Broken, c.broken)
			}
			if v := g.judge(&fingerprint.Fingerprint{Measures: c.measures}, true); len(v.Broken) > 0 {
				t.Errorf("judged before its close: %+v", v.Broken)
			}
		})
	}
}
