package stage

import (
	"errors"
	"strings"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/internal/nearest"
	"github.com/reedbed/reedbed/internal/strictyaml"
)

// decodeHeader reads the YAML strictly: a key nobody knows is an error. What is
// wrong with the contract is told together; ok is false if there is nothing to
// look at further.
func decodeHeader(s *Stage) (problems []Problem, ok bool) {
	var doc struct {
		Header      `yaml:",inline"`
		Contract    strictyaml.Value `yaml:"contract"`
		Fingerprint strictyaml.Value `yaml:"fingerprint"`
	}
	if err := strictyaml.Decode([]byte(s.HeaderText), &doc); err != nil {
		return []Problem{s.headerProblem(err)}, false
	}
	s.Header = doc.Header
	var terms, profile []Problem
	s.Header.Contract, terms = contract.ReadTerms(s.File, doc.Contract)
	s.Header.Fingerprint, profile = contract.ReadProfile(s.File, doc.Fingerprint)
	return append(terms, profile...), true
}

func (s *Stage) headerProblem(err error) Problem {
	p := Problem{File: s.File, Line: 1, What: "stage header: " + err.Error(), Fix: "check the indentation and the keys"}
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

// Contract is what the stage promises of its dataset.
func (s *Stage) Contract() contract.Contract {
	return contract.Contract{
		Name: s.Name, Owner: s.Header.Owner, File: s.File, Line: s.Line("contract"), Dataset: s.Name, Producer: true, Terms: s.Header.Contract,
	}
}
