package stage

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
)

// decodeHeader reads the YAML strictly: a key nobody knows is an error.
func decodeHeader(s *Stage) *Problem {
	err := yaml.UnmarshalWithOptions([]byte(s.HeaderText), &s.Header, yaml.Strict())
	if err == nil {
		return nil
	}
	p := &Problem{File: s.File, Line: 1, What: "the stage header is not valid YAML: " + firstLine(err.Error()), Fix: "check the indentation and the keys"}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		p.What = "stage header: " + y.GetMessage()
		if tok := y.GetToken(); tok != nil {
			p.Line = tok.Position.Line
			if near := nearest(tok.Value, headerKeys()); near != "" {
				p.Fix = "did you mean `" + near + "`?"
			}
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

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// nearest returns the known word within two edits of the given one, or "".
func nearest(word string, known []string) string {
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
