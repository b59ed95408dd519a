package stage

import (
	"errors"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// decodeHeader reads the YAML strictly: a key nobody knows is an error.
func decodeHeader(s *Stage) *Problem {
	err := strictyaml.Decode([]byte(s.HeaderText), &s.Header)
	if err == nil {
		return nil
	}
	p := &Problem{File: s.File, Line: 1, What: "stage header: " + err.Error(), Fix: "check the indentation and the keys"}
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		p.What, p.Line = "stage header: "+e.What, max(1, e.Line)
		if near := Nearest(e.Token, headerKeys()); near != "" {
			p.Fix = "did you mean `" + near + "`?"
		}
	}
	return p
}

func headerKeys() []string {
	return []string{
		"owner", "description", "partition", "inputs", "window", "rejects", "contract", "fingerprint",
		"key", "late", "debounce", "allowance", "equal", "release",
	}
}

// Nearest returns the known word within two edits of the given one, or "".
func Nearest(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := edits(word, k); d < distance && d > 0 {
			best, distance = k, d
		}
	}
	return best
}

// edits is the number of letters to insert, remove, replace or swap with their
// neighbour to get from a to b (optimal string alignment).
func edits(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
