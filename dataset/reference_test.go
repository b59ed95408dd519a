package dataset

import (
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	for text, want := range map[string]Reference{
		"plays@2026-11-22T03":    {"plays", "2026-11-22T03", 0},
		"royalties@2026-11-20/2": {"royalties", "2026-11-20", 2},
		"rates@all/1":            {"rates", Whole, 1},
	} {
		got, err := ParseReference(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%q is written as %q", text, got.String())
		}
	}
	for text, part := range map[string]string{
		"plays": "names no partition", "@2026-11-22": "names no partition", "plays@yesterday": "not a partition",
		"plays@2026-11-22/0": "counted from 1", "plays@2026-11-22/x": "counted from 1", "plays@2026-11-22/": "counted from 1",
	} {
		if r, err := ParseReference(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
}
