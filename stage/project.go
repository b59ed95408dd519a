package stage

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/internal/nearest"
)

// MendFirst is the fix of a problem that follows from another stage's problem.
const MendFirst = "mend that stage first"

// Known is a dataset a stage may read that is not a stage itself: a built-in
// one, a side file, or rows another stage rejected.
type Known map[string]dataset.Grain

// ReadFolder parses every .sql file of a stages folder, in name order. Files
// with problems are left out of the stages and named in the problems.
func ReadFolder(folder fs.FS, shown string) ([]*Stage, []Problem) {
	files, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, []Problem{{File: shown, What: err.Error()}}
	}
	var stages []*Stage
	var problems []Problem
	for _, file := range files {
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			problems = append(problems, Problem{File: path.Join(shown, file), What: "cannot be read: " + err.Error()})
			continue
		}
		s, found := Parse(strings.TrimSuffix(file, ".sql"), path.Join(shown, file), string(text))
		problems = append(problems, found...)
		if s != nil {
			stages = append(stages, s)
		}
	}
	return stages, problems
}

// Order sorts stages upstream first. Stages with inputs that do not exist or
// cannot be read as asked, stages in a cycle, and all that depend on these are
// left out, each with a problem; the rest keeps running.
func Order(stages []*Stage, known Known) ([]*Stage, []Problem) {
	o := order{known: Known{}, byName: map[string]*Stage{}, state: map[string]state{}}
	maps.Copy(o.known, known)
	for _, s := range stages {
		o.byName[s.Name] = s
		if s.Header.Rejects != "" {
			o.rejecters = append(o.rejecters, s.Name)
		}
	}
	for _, s := range stages {
		if _, taken := known[s.Name]; taken {
			o.bad(s, "", fmt.Sprintf("the name %s is taken by another dataset", s.Name), "rename this file, or the file in data")
			o.state[s.Name] = broken
			delete(o.byName, s.Name)
		}
	}
	for _, s := range stages {
		o.visit(s, nil)
	}
	return o.sorted, o.problems
}

type state int

const (
	unseen state = iota
	visiting
	good
	broken
)

type order struct {
	known     Known
	byName    map[string]*Stage
	rejecters []string
	state     map[string]state
	sorted    []*Stage
	problems  []Problem
}

// visit sorts s after its inputs and reports whether it can run.
func (o *order) visit(s *Stage, trail []string) bool {
	switch o.state[s.Name] {
	case good:
		return true
	case broken:
		return false
	case visiting:
		from := slices.Index(trail, s.Name)
		o.bad(s, "inputs", "the stage reads itself through "+strings.Join(append(trail[from:], s.Name), " -> "), "break the cycle: one of them must stop reading the other")
		return false
	}
	o.state[s.Name] = visiting
	ok := true
	for _, input := range s.InputNames() {
		ok = o.input(s, input, append(trail, s.Name)) && ok
	}
	if !ok {
		o.state[s.Name] = broken
		return false
	}
	o.state[s.Name] = good
	o.sorted = append(o.sorted, s)
	return true
}

func (o *order) bad(s *Stage, key, what, fix string) {
	o.problems = append(o.problems, Problem{File: s.File, Line: s.Line(key), What: what, Fix: fix})
}

// input checks one input of a stage and everything above it.
func (o *order) input(s *Stage, input string, trail []string) bool {
	producer := strings.TrimSuffix(input, "_rejected")
	up, isStage := o.byName[input]
	if !isStage && slices.Contains(o.rejecters, producer) {
		up, isStage = o.byName[producer], true
	}
	grain, isKnown := o.known[input]
	switch {
	case isStage:
		if !o.visit(up, trail) {
			if o.state[up.Name] != visiting {
				o.bad(s, input, fmt.Sprintf("input %s cannot run", input), MendFirst)
			}
			return false
		}
		grain = up.Header.Partition
	case !isKnown:
		o.bad(s, input, fmt.Sprintf("input %s does not exist", input), o.suggest(input))
		return false
	}
	return o.window(s, input, grain)
}

// window checks that a dataset of this grain can be read through the window.
func (o *order) window(s *Stage, input string, grain dataset.Grain) bool {
	w := s.Window(input)
	switch {
	case grain == dataset.None && w.Kind == dataset.Span:
		o.bad(s, input, fmt.Sprintf("input %s is not cut by time and has no window %q", input, w), "use `window: latest`, or `as-of` to keep history as it was")
		return false
	case grain != dataset.None && (w.Kind == dataset.Latest || w.Kind == dataset.AsOf):
		o.bad(s, input, fmt.Sprintf("input %s is cut by %s; window %q is for datasets that are not", input, grain, w), "use `same`, a range such as -1h..+1h, or `all`")
		return false
	}
	return true
}

func (o *order) suggest(input string) string {
	if input == dataset.Schemas {
		return "put a schema into schemas/EVENT/1-0-0.json, such as schemas/track_played/1-0-0.json for the event Track Played"
	}
	var names []string
	for name := range o.byName {
		names = append(names, name)
	}
	for name := range o.known {
		names = append(names, name)
	}
	if near := nearest.Word(input, names); near != "" {
		return "did you mean `" + near + "`?"
	}
	slices.Sort(names)
	return "there are: " + strings.Join(names, ", ")
}

// CheckTables compares the tables the SQL reads with the header's inputs: they
// must be the same.
func (s *Stage) CheckTables(a Analysis) []Problem {
	var out []Problem
	declared := s.InputNames()
	for _, table := range a.Tables {
		if f := a.callsFor(table); f != "" && !slices.Contains(declared, table) {
			out = append(out, Problem{
				File: s.File, Line: s.lineOf(f), What: fmt.Sprintf("the SQL calls %s(), which reads %s, and the header does not list it", f, table),
				Fix: fmt.Sprintf("add `%s: {window: latest}` under inputs", table),
			})
			continue
		}
		if !slices.Contains(declared, table) {
			out = append(out, Problem{
				File: s.File, Line: s.SQLLine, What: fmt.Sprintf("the SQL reads %s, which the header does not list", table),
				Fix: fmt.Sprintf("add `%s: {window: same}` under inputs, with the window you mean", table),
			})
		}
	}
	for _, name := range declared {
		if !slices.Contains(a.Tables, name) {
			out = append(out, Problem{
				File: s.File, Line: s.Line(name), What: fmt.Sprintf("the header lists %s, which the SQL does not read", name),
				Fix: "remove it from inputs, or read it",
			})
		}
	}
	if len(a.Sources) > 0 {
		out = append(out, Problem{
			File: s.File, Line: s.SQLLine, What: fmt.Sprintf("%s() reads something that is not an input", strings.Join(a.Sources, "(), ")),
			Fix: "put the file into data/ as a side input, or read a dataset",
		})
	}
	return out
}

// Depths gives each stage the length of the longest path from a dataset that
// is not a stage; stages must be sorted.
func Depths(sorted []*Stage) map[string]int {
	out := map[string]int{}
	for _, s := range sorted {
		depth := 0
		for _, input := range s.InputNames() {
			depth = max(depth, out[input], out[strings.TrimSuffix(input, "_rejected")])
		}
		out[s.Name] = depth + 1
	}
	return out
}
