package stage

import (
	"errors"
	"strings"

	"github.com/reedbed/reedbed/internal/nearest"
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
		p.What, p.Line = "stage header: "+e.What, min(max(1, e.Line), 1+strings.Count(s.HeaderText, "\n"))
		if near := nearest.Word(e.Token, headerKeys()); near != "" {
			p.Fix = "did you mean `" + near + "`?"
		}
	}
	return p
}

func headerKeys() []string {
	return []string{
		"owner", "description", "partition", "inputs", "window", "rejects", "contract", "fingerprint",
		"key", "late", "debounce", "allowance", "equal", "release", "volatile",
	}
}
