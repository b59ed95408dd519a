package nearest_test

import (
	"testing"

	"github.com/reedbed/reedbed/internal/nearest"
)

func TestWord(t *testing.T) {
	known := []string{"name", "raw", "listen", "journal", "partition", "max_lateness"}
	for misspelt, want := range map[string]string{
		"":              "",
		"rwa":           "raw",
		"rw":            "raw",
		"row":           "raw",
		"day":           "",
		"nam":           "name",
		"names":         "name",
		"lisen":         "listen",
		"jurnl":         "journal",
		"jounrla":       "journal",
		"partitoins":    "partition",
		"max_latenes":   "max_lateness",
		"lateness":      "",
		"journal":       "",
		"something":     "",
		"maximum_laten": "",
	} {
		if got := nearest.Word(misspelt, known); got != want {
			t.Errorf("%q: got %q, want %q", misspelt, got, want)
		}
	}
	if got := nearest.Word("ab", []string{"ac", "ad"}); got != "ac" {
		t.Errorf("of several the first, got %q", got)
	}
}
