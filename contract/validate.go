package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/internal/nearest"
)

// Subject is a dataset as contracts can speak of it.
type Subject struct {
	Name     string
	Owner    string
	Columns  []dataset.Column
	Measures []string // that its stage takes
	Inputs   []string // that its stage reads; nil for what no stage computes
	Stage    bool
	Timed    bool // its partitions have an end
}

// Subjects are the datasets there are, by name.
type Subjects map[string]Subject

// Validate finds what a contract asks of columns, measures and datasets that do
// not exist, or that they can never keep.
func (c Contract) Validate(known Subjects) []Problem {
	s, ok := known[c.Dataset]
	r := reader{file: c.File}
	if !ok {
		r.bad(c.Line, "there is no dataset "+c.Dataset, known.suggest(c.Dataset))
		return r.problems
	}
	for _, x := range c.Terms.Columns {
		r.validateColumn(x, s, known)
	}
	for _, m := range c.Terms.Measures {
		if !slices.Contains(s.Measures, m.Name) {
			r.bad(m.Line, fmt.Sprintf("%s takes no measure %s", s.Name, m.Name), s.suggestMeasure(m.Name, c.Producer))
		}
	}
	r.validateStatistics(c, s)
	if band := c.Terms.Complete; !s.Stage && !band.empty() {
		r.bad(band.Line(), "complete: "+s.Name+" is computed by no stage, and what is measured later does not judge it again", "say it of a stage that reads it")
	}
	if band := c.Terms.Complete; s.Stage && !s.Timed && !slices.Contains(s.Measures, "complete") && !band.empty() {
		r.bad(band.Line(), "complete: "+s.Name+" is not cut by time, and how much arrived is measured of some time", "leave `complete` out, or have the stage take a measure complete")
	}
	if c.Terms.Fresh != nil && !s.Timed {
		r.bad(c.Terms.Fresh.Line, fmt.Sprintf("%s is not cut by time, so it has no end that it could be late after", s.Name), "leave `fresh` out")
	}
	return r.problems
}

// Validate finds what is wrong with a consumer's file, now that the datasets are known.
func (f *File) Validate(known Subjects) []Problem {
	r := reader{file: f.Path}
	consumer, ok := known[f.Consumer]
	switch {
	case f.Consumer == "":
	case !ok || !consumer.Stage:
		stages := maps.Clone(known)
		maps.DeleteFunc(stages, func(_ string, s Subject) bool { return !s.Stage })
		fix := stages.suggest(f.Consumer)
		r.bad(f.consumerLine, "there is no stage "+f.Consumer, fix+"; leave `consumer` out if who relies on it is no stage")
	default:
		for _, c := range f.Contracts {
			if _, there := known[c.Dataset]; there && !slices.Contains(consumer.Inputs, c.Dataset) {
				r.bad(c.Line, fmt.Sprintf("%s does not read %s, so nothing could be kept from it", f.Consumer, c.Dataset),
					"name what it reads itself: "+strings.Join(consumer.Inputs, ", "))
			}
		}
	}
	for _, c := range f.Contracts {
		r.problems = append(r.problems, c.Validate(known)...)
	}
	return r.problems
}

// Validate finds columns that do not exist.
func (p Profile) Validate(file string, columns []dataset.Column) []Problem {
	r := reader{file: file}
	for _, c := range p.Entropy {
		r.lookup(columns, c.Text, c.Line, "fingerprint.entropy: ")
	}
	return r.problems
}

// lookup finds a column, or says that there is none.
func (r *reader) lookup(columns []dataset.Column, name string, line int, prefix string) (dataset.Column, bool) {
	i := slices.IndexFunc(columns, func(c dataset.Column) bool { return strings.EqualFold(c.Name, name) })
	if i >= 0 {
		return columns[i], true
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	fix := "there are: " + strings.Join(names, ", ")
	if near := nearest.Word(name, names); near != "" {
		fix = "did you mean `" + near + "`?"
	}
	r.bad(line, prefix+"there is no column "+name, fix)
	return dataset.Column{}, false
}

func (r *reader) validateColumn(x Column, s Subject, known Subjects) {
	c, ok := r.lookup(s.Columns, x.Name, x.Line, s.Name+": ")
	if !ok {
		return
	}
	if x.Type != nil && !sameType(x.Type.Text, c.Type) {
		r.bad(x.Type.Line, fmt.Sprintf("%s is a %s, not a %s", x.Name, c.Type, x.Type.Text), "cast it in the SQL, or correct the type")
	}
	kind := kindOf(c.Type)
	for _, bound := range []*Literal{x.Min, x.Max} {
		r.validateBound(bound, x.Name, c.Type, kind)
	}
	for _, v := range x.Accepted {
		if kind == numbers && v.number() == nil {
			r.bad(v.Line, fmt.Sprintf("%s is a %s, and %q is no number", x.Name, c.Type, v.Text), "accept numbers")
		}
	}
	if x.Matches != nil && kind != texts {
		r.bad(x.Matches.Line, fmt.Sprintf("%s is a %s; only texts match a regular expression", x.Name, c.Type), "use min, max or accepted")
	}
	if x.Relation != nil {
		r.validateRelation(*x.Relation, s, known)
	}
}

func (r *reader) validateBound(l *Literal, column, sqlType string, kind kind) {
	switch {
	case l == nil:
	case kind == numbers && l.number() == nil:
		r.bad(l.Line, fmt.Sprintf("%s is a %s, and %q is no number", column, sqlType, l.Text), "write a number")
	case kind == times && !plainTime.MatchString(l.Text):
		r.bad(l.Line, fmt.Sprintf("%s is a %s, and %q is no time", column, sqlType, l.Text), "write 2026-05-01 or 2026-05-01 12:00:00")
	case kind != numbers && kind != times:
		r.bad(l.Line, fmt.Sprintf("%s is a %s; min and max are for numbers and times", column, sqlType), "use accepted or matches, or a check")
	}
}

// validateRelation wants the other dataset among those that the stage reads: only
// those are there when its rows are judged, as they were when it read them.
func (r *reader) validateRelation(x Relation, s Subject, known Subjects) {
	other, ok := known[x.Dataset]
	switch {
	case !ok:
		r.bad(x.Line, "there is no dataset "+x.Dataset, known.suggest(x.Dataset))
	case !slices.Contains(s.Inputs, x.Dataset):
		fix := "read it there, or check the relation in a stage that reads both"
		if len(s.Inputs) > 0 {
			fix = "relate to what it reads: " + strings.Join(s.Inputs, ", ")
		}
		r.bad(x.Line, fmt.Sprintf("%s does not read %s, so they cannot be compared when %[1]s is judged", s.Name, x.Dataset), fix)
	default:
		r.lookup(other.Columns, x.Column, x.Line, x.Dataset+": ")
	}
}

func (known Subjects) suggest(name string) string {
	names := slices.Sorted(maps.Keys(known))
	if near := nearest.Word(name, names); near != "" {
		return "did you mean `" + near + "`?"
	}
	return "there are: " + strings.Join(names, ", ")
}

func (s Subject) suggestMeasure(name string, own bool) string {
	if near := nearest.Word(name, s.Measures); near != "" {
		return "did you mean `" + near + "`?"
	}
	fix := fmt.Sprintf("ask its owner %s to take it", s.Owner)
	switch {
	case own:
		return fmt.Sprintf("add it under fingerprint: `measures: {%s: \"avg(...)\"}`", name)
	case len(s.Measures) > 0:
		fix += "; there are: " + strings.Join(s.Measures, ", ")
	}
	return fix
}
