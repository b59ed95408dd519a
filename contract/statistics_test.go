package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/fingerprint"
)

// TestStatistics reads how much weight statistics have, for a producer and for who
// reads it, who can only be stricter.
func TestStatistics(t *testing.T) {
	known := Subjects{
		"plays":  {Name: "plays", Stage: true, Timed: true},
		"totals": {Name: "totals", Stage: true},
		"raw":    {Name: "raw", Timed: true},
		"charts": {Name: "charts", Stage: true, Inputs: []string{"plays", "totals", "raw"}},
	}
	for text, want := range map[string]string{
		"plays: {statistics: hold}":  "",
		"plays: {statistics: hodl}":  "c.yaml:3: statistics: \"hodl\" is none of hold, warn, off; did you mean `hold`?",
		"plays: {statistics: warn}":  "c.yaml:3: statistics: who reads a dataset can only be stricter than its producer; write `hold`, or leave it out",
		"totals: {statistics: hold}": "c.yaml:3: statistics: totals is not cut by time, so there are no others to compare it with; leave `statistics` out",
		"raw: {statistics: hold}":    "c.yaml:3: statistics: versions of raw, which no stage computes, are not compared with others; leave `statistics` out",
	} {
		f, problems := Parse("c.yaml", []byte("owner: a\nconsumer: charts\ndatasets: {"+text+"}\n"))
		if f != nil {
			problems = f.Validate(known)
			if got := f.Contracts[0].Unusual(); got != strings.TrimSuffix(strings.SplitN(text, "statistics: ", 2)[1], "}") {
				t.Errorf("%s is %q", text, got)
			}
		}
		var got []string
		for _, p := range problems {
			got = append(got, p.Error())
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	producer := Contract{Dataset: "plays", Producer: true}
	if got := producer.Unusual(); got != Hold {
		t.Errorf("a producer that says nothing: %q", got)
	}
	plain := producer.Rules()
	producer.Terms.Statistics = &Literal{Text: Off, Line: 1}
	rules := producer.Rules()
	if cmp.Equal(plain.Identity(), rules.Identity()) || !rules.Judges() {
		t.Error("what is not compared any more would not be judged again")
	}
	if broken := rules.Judge(&fingerprint.Fingerprint{}, Facts{}); len(broken) > 0 {
		t.Errorf("broken by a fingerprint: %+v", broken)
	}
	if got := (Contract{Dataset: "plays", Consumer: "charts"}).Unusual(); got != "" {
		t.Errorf("a reader that says nothing: %q", got)
	}
}
