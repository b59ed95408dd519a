package converge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/stage"
)

// Refusal is why a set of definitions cannot be deployed, and whom it concerns.
type Refusal struct {
	stage.Problem
	Dataset string  `json:"dataset"`
	Owner   string  `json:"owner,omitempty"`
	Affects []Party `json:"affects"` // who reads it, directly or through others
}

// Party is a dataset and who owns it.
type Party struct {
	Dataset string `json:"dataset"`
	Owner   string `json:"owner"`
}

// Refused says that a set of definitions was not deployed, and why. What was
// deployed before goes on.
type Refused struct{ Plan Plan }

func (r *Refused) Error() string {
	return fmt.Sprintf("nothing was deployed: %d problems, the first: %v", len(r.Plan.Refusals), r.Plan.Refusals[0].Problem)
}

// refuse turns problems into refusals. What only follows from another problem is
// told as whom that one affects.
func (d *proposal) refuse() {
	told := d.refuseGone()
	for _, p := range d.problems {
		if p.Fix == stage.MendFirst || told[p.File] && strings.HasSuffix(p.What, "does not exist") {
			continue
		}
		if strings.HasPrefix(p.File, "contracts/") {
			if d.isDeployed(p.File) {
				d.breaks(p)
			} else {
				d.plan.Refusals = append(d.plan.Refusals, d.refusedContract(p))
			}
			continue
		}
		name := datasetOf(p.File)
		d.plan.Refusals = append(d.plan.Refusals, d.refusal(name, d.blame(name, p)))
	}
}

func (d *proposal) refusal(name string, p stage.Problem) Refusal {
	r := Refusal{Problem: p, Dataset: name, Owner: d.owner(name), Affects: []Party{}}
	for _, reader := range d.readers(name) {
		r.Affects = append(r.Affects, Party{reader, d.owner(reader)})
	}
	return r
}

// refuseGone refuses files that are gone while stages of the set read what they
// made, and returns the files of those stages.
func (d *proposal) refuseGone() map[string]bool {
	told := map[string]bool{}
	check := func(name, file string) {
		var who []string
		for _, s := range d.def.stages {
			if slices.ContainsFunc(s.InputNames(), func(in string) bool { return in == name || in == name+"_rejected" }) {
				who, told[s.File] = append(who, fmt.Sprintf("%s (%s)", s.File, s.Header.Owner)), true
			}
		}
		if len(who) > 0 {
			d.plan.Refusals = append(d.plan.Refusals, d.refusal(name, stage.Problem{
				File: file, What: "the file is gone and is still read by " + strings.Join(who, ", "),
				Fix: "put it back, or let those stages read something else in the same apply",
			}))
		}
	}
	for _, f := range d.before.Stages {
		if d.gone(f) {
			check(f.Name, f.File)
		}
	}
	for _, s := range d.before.Sides {
		if d.goneSide(s) {
			check(s.Spec.Name, s.File)
		}
	}
	return told
}

// blame adds to a problem of a stage whose inputs change what they no longer
// give: the file that is wrong may be another one.
func (d *proposal) blame(name string, p stage.Problem) stage.Problem {
	i := slices.IndexFunc(d.def.stages, func(s *stage.Stage) bool { return s.Name == name })
	if i < 0 || d.set[name] != nil {
		return p
	}
	s := d.def.stages[i]
	for _, in := range s.InputNames() {
		for _, words := range columnWords(d.columnsBefore(in), d.columns[in]) {
			column, _, _ := strings.Cut(strings.TrimPrefix(words, "column "), " ")
			if strings.HasSuffix(words, "is new") || !strings.Contains(p.What, column) {
				continue
			}
			file := d.fileOf(in)
			p.What = fmt.Sprintf("%s; %s changes what %s (owner %s) reads: %s", p.What, file, s.File, s.Header.Owner, words)
			p.Fix = fmt.Sprintf("keep the column in %s, or change %s in the same apply", file, s.File)
			return p
		}
	}
	return p
}

// columnsBefore are the columns a dataset has as deployed, nil if it is not.
func (d *proposal) columnsBefore(name string) []dataset.Column {
	for _, f := range d.before.Stages {
		if f.Name == name {
			return f.Columns
		}
		if f.Name+"_rejected" == name {
			return rejectedColumns(f.Columns)
		}
	}
	for _, s := range d.before.Sides {
		if s.Spec.Name == name {
			return s.Spec.Columns
		}
	}
	return d.columns[name]
}

func (d *proposal) fileOf(input string) string {
	name := strings.TrimSuffix(input, "_rejected")
	for _, s := range d.def.sides {
		if s.Spec.Name == name {
			return s.File
		}
	}
	return "stages/" + name + ".sql"
}

// owner is who owns a stage, as planned or as deployed.
func (d *proposal) owner(name string) string {
	for _, s := range d.def.stages {
		if s.Name == name {
			return s.Header.Owner
		}
	}
	if s := d.was[name]; s != nil {
		return s.Header.Owner
	}
	return ""
}

// readers lists the stages that read a dataset, directly or through others, as
// planned or, where a file does not parse, as deployed.
func (d *proposal) readers(name string) []string {
	stages := slices.Clone(d.def.stages)
	for other, s := range d.was {
		if !slices.ContainsFunc(stages, func(x *stage.Stage) bool { return x.Name == other }) {
			stages = append(stages, s)
		}
	}
	var out []string
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		for _, s := range stages {
			reads := slices.ContainsFunc(s.InputNames(), func(in string) bool { return strings.TrimSuffix(in, "_rejected") == todo[0] })
			if reads && s.Name != name && !slices.Contains(out, s.Name) {
				out, todo = append(out, s.Name), append(todo, s.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}
