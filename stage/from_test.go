package stage

import (
	"testing"

	"github.com/reedbed/reedbed/dataset"
)

func TestFromOfAnInput(t *testing.T) {
	file := func(partition, input string) string {
		return "/* @stage\nowner: a\npartition: " + partition + "\ninputs:\n  raw: {window: all}\n  rules: " + input + "\n*/\nSELECT 1"
	}
	s, problems := Parse("s", "s.sql", file("hour", "{window: latest, from: 2026-01-02}"))
	if len(problems) > 0 || s.Window("rules") != (dataset.Window{Kind: dataset.Latest, From: "2026-01-02"}) {
		t.Fatalf("%v, %+v", problems, s)
	}
	plain, _ := Parse("s", "s.sql", file("hour", "{window: latest}"))
	asOf, _ := Parse("s", "s.sql", file("hour", "{window: as-of}"))
	id := func(s *Stage) string { return string(s.CodeIdentity(Analysis{}, "", "", nil, Semantics{})) }
	if id(s) != id(plain) || id(s) == id(asOf) {
		t.Error("a date says which version is read, not what is computed of it")
	}
	for _, bad := range []string{
		file("hour", "{window: latest, from: yesterday}"), file("hour", "{window: as-of, from: 2026-01-02}"),
		file("hour", "{window: same, from: 2026-01-02}"), file("none", "{window: latest, from: 2026-01-02}"), file("hour", "{window: latest, form: 2026-01-02}"),
	} {
		_, problems := Parse("s", "s.sql", bad)
		if len(problems) != 1 || problems[0].Line != 6 || problems[0].Fix == "" {
			t.Errorf("%s: %+v", bad, problems)
		}
	}
}
