package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Path names the setting: sources[0].rate. It is "" for the whole file.
	Path string `json:"path"`
	// Place is where the value was given: reedbed.yaml:3:7, the name of an
	// environment variable or a flag.
	Place string `json:"place"`
	// Value is what was given, or "" when nothing was; secrets are masked.
	Value string `json:"value,omitempty"`
	// Cause says what is wrong with it, Fix what would be right.
	Cause string `json:"cause"`
	Fix   string `json:"fix"`
}

// What is the setting and what is wrong with it.
func (p Problem) What() string {
	if p.Path == "" {
		return p.Cause
	}
	return p.Path + ": " + p.Cause
}

// String is the problem on one line.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s (%s)", p.Place, p.What(), p.Fix)
}

// Error is every problem of a configuration: first what cannot be read, then
// what breaks a rule, each in the order of the settings.
type Error struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
