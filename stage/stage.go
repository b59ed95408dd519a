// Package stage knows what a stage file says: a SQL SELECT any DuckDB shell can
// run, under a YAML header in a comment. It parses and validates the file, tells
// from the parsed SQL what the stage reads and whether it works row by row, and
// gives the stage its code identity.
//
// It never runs SQL, never opens the catalog and never decides when to run.
package stage

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/dataset"
)

// Stage is one stage file.
type Stage struct {
	Name   string // the file's name without .sql
	File   string // as people see it in messages
	SQL    string // the SELECT, with the header taken off
	Header Header
	// HeaderText is the YAML as written.
	HeaderText string
	// SQLLine is the line of the file on which SQL begins, from 1.
	SQLLine int
}

// Header is the YAML block of a stage file.
type Header struct {
	Owner       string           `yaml:"owner"`
	Description string           `yaml:"description"`
	Partition   dataset.Grain    `yaml:"partition"`
	Inputs      map[string]Input `yaml:"inputs"`
	Rejects     string           `yaml:"rejects"`
	Contract    contract.Terms   `yaml:"-"` // see decodeHeader
	Fingerprint contract.Profile `yaml:"-"`
	Key         []string         `yaml:"key"`
	Late        Late             `yaml:"late"`
	Equal       map[string]int   `yaml:"equal"`
	Release     string           `yaml:"release"`
	// Volatile admits SQL that gives other rows from the same inputs: what was
	// computed first stands until an input changes.
	Volatile bool `yaml:"volatile"`
}

// Input is how one input is read.
type Input struct {
	Window string `yaml:"window"`
	// From is the day from which on partitions follow a `latest` input; older ones
	// read it as it was when they closed.
	From string `yaml:"from"`
}

// window parses how an input is read.
func (in Input) window() (dataset.Window, error) {
	w, err := dataset.ParseWindow(in.Window)
	if err != nil || in.From == "" {
		return w, err
	}
	return w.ParseFrom(in.From)
}

// Late says how a stage meets late data.
type Late struct {
	// Debounce is the least time between two runs on one partition.
	Debounce string `yaml:"debounce"`
	// Allowance is how long after its end a partition stays open.
	Allowance string `yaml:"allowance"`
}

// Defaults of the header.
const (
	DefaultAllowance = 5 * time.Minute
	DefaultDebounce  = 5 * time.Second
)

// Problem is one thing wrong with a stage file.
type Problem = contract.Problem

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// ValidName reports whether s can name a dataset.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// Reserved reports whether only Reedbed makes datasets of this name.
func Reserved(name string) bool {
	return strings.HasSuffix(name, "_rejected") || slices.Contains([]string{dataset.Raw, dataset.Quarantine, dataset.Schemas}, name)
}

// Parse reads a stage file. The problems are complete for what can be seen
// without parsing the SQL; a file with problems gives a nil stage.
func Parse(name, file, text string) (*Stage, []Problem) {
	s := &Stage{Name: name, File: file}
	if !ValidName(name) {
		return nil, []Problem{{File: file, What: fmt.Sprintf("%q is not a dataset name", name), Fix: "name the file with a-z, 0-9 and _, beginning with a letter"}}
	}
	if Reserved(name) {
		return nil, []Problem{{File: file, What: fmt.Sprintf("the name %s is taken", name), Fix: "raw, quarantine, schemas and names that end in _rejected are made by Reedbed; rename the file"}}
	}
	problem := s.split(text)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	problems, ok := decodeHeader(s)
	if ok {
		problems = append(problems, s.validate()...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return s, nil
}

// split separates the header comment from the SQL.
func (s *Stage) split(text string) *Problem {
	open := strings.Index(text, "/* @stage")
	if open < 0 || strings.TrimSpace(text[:open]) != "" {
		return &Problem{File: s.File, Line: 1, What: "the stage header is missing", Fix: "begin the file with a comment /* @stage ... */ that holds owner, partition and inputs"}
	}
	end := strings.Index(text[open:], "*/")
	if end < 0 {
		return &Problem{File: s.File, Line: 1 + strings.Count(text[:open], "\n"), What: "the stage header is not closed", Fix: "end it with */"}
	}
	end += open
	s.HeaderText = strings.Repeat("\n", strings.Count(text[:open], "\n")) + strings.TrimPrefix(text[open:end], "/* @stage")
	s.SQL = strings.TrimSuffix(strings.TrimSpace(text[end+2:]), ";")
	before := text[:end+2] + text[end+2:end+2+len(text[end+2:])-len(strings.TrimLeft(text[end+2:], " \t\r\n"))]
	s.SQLLine = 1 + strings.Count(before, "\n")
	if s.SQL == "" {
		return &Problem{File: s.File, Line: s.SQLLine, What: "there is no SQL after the header", Fix: "write one SELECT"}
	}
	return nil
}

func (s *Stage) validate() []Problem {
	var out []Problem
	bad := func(key, what, fix string) {
		out = append(out, Problem{File: s.File, Line: s.Line(key), What: what, Fix: fix})
	}
	h := &s.Header
	if h.Owner == "" {
		bad("owner", "the stage has no owner", "add `owner: team-name`, so that people know whom a problem concerns")
	}
	if !h.Partition.Valid() {
		bad("partition", fmt.Sprintf("partition %q is not hour, day or none", h.Partition), "choose one of them")
	}
	if len(h.Inputs) == 0 {
		bad("inputs", "the stage has no inputs", "list each table of the FROM clause under `inputs:`")
	}
	for name, in := range h.Inputs {
		w, err := in.window()
		switch {
		case err != nil:
			bad(name, fmt.Sprintf("input %s: %v", name, err), "correct the window")
		case h.Partition == dataset.None && w.Kind == dataset.Span:
			bad(name, fmt.Sprintf("input %s: a stage with `partition: none` has no time of its own for a window", name), "use `window: all` or `latest`")
		case h.Partition == dataset.None && w.From != "":
			bad(name, fmt.Sprintf("input %s: a stage with `partition: none` has no history that could stay", name), "leave `from` out")
		}
	}
	for key, text := range map[string]string{"debounce": h.Late.Debounce, "allowance": h.Late.Allowance} {
		if d, err := parseDuration(text); err != nil || d < 0 {
			bad(key, fmt.Sprintf("late.%s %q is not a duration", key, text), "write it as 30s, 5m or 2h")
		}
	}
	for column, digits := range h.Equal {
		if digits < 0 || digits > 15 {
			bad("equal", fmt.Sprintf("equal: %s is rounded to %d digits", column, digits), "use 0 to 15")
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return a.Line - b.Line })
	return out
}

func parseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	return time.ParseDuration(s)
}

// Line is the line of the file on which a key of the header stands, 1 if none does.
func (s *Stage) Line(key string) int {
	for i, line := range strings.Split(s.HeaderText, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), key+":") {
			return i + 1
		}
	}
	return 1
}

// Window returns the parsed window of an input; the header was validated.
func (s *Stage) Window(input string) dataset.Window {
	w, err := s.Header.Inputs[input].window()
	if err != nil {
		return dataset.Window{}
	}
	return w
}

// Debounce is the least time between two runs on one partition.
func (s *Stage) Debounce() time.Duration { return durationOr(s.Header.Late.Debounce, DefaultDebounce) }

// Allowance is how long after its end a partition stays open.
func (s *Stage) Allowance() time.Duration {
	return durationOr(s.Header.Late.Allowance, DefaultAllowance)
}

func durationOr(text string, otherwise time.Duration) time.Duration {
	if text == "" {
		return otherwise
	}
	d, err := parseDuration(text)
	if err != nil {
		return otherwise
	}
	return d
}

// InputNames lists the inputs in order.
func (s *Stage) InputNames() []string {
	names := make([]string, 0, len(s.Header.Inputs))
	for name := range s.Header.Inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
