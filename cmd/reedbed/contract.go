package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/contract"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/internal/nearest"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/stage"
)

type contractCmd struct {
	Check   contractCheckCmd   `cmd:"" help:"Check the contracts of a project against its stages and their columns."`
	Explain contractExplainCmd `cmd:"" help:"Say what is promised and expected of a dataset, by whom, and when it is judged."`
	Export  contractExportCmd  `cmd:"" help:"Write a contract in the format of the Open Data Contract Standard."`
	Import  contractImportCmd  `cmd:"" help:"Take over a document of the Open Data Contract Standard as a file of contracts/."`
}

type contractCheckCmd struct {
	Files []string `arg:"" optional:"" name:"file" help:"Files to tell of, such as contracts/royalties.yaml or stages/plays.sql; all if none is named."`
}

// checkedFile is a file with a contract in which nothing is wrong.
type checkedFile struct {
	File     string   `json:"file"`
	Name     string   `json:"name"`
	Owner    string   `json:"owner"`
	Consumer string   `json:"consumer,omitempty"`
	Datasets []string `json:"datasets"`
	Rules    int      `json:"rules"`
	// OnRecord is how the versions on record fare by it.
	OnRecord []converge.Standing `json:"on_record,omitempty"`
}

// Run checks all contracts, whatever files are named: what they say depends on
// the stages. Those in which nothing is wrong judge what is on record.
func (c contractCheckCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	promises, problems, err := node.Lint(ctx, node.Options{Project: project})
	if err != nil {
		return err
	}
	good := checkedFiles(promises)
	if len(c.Files) > 0 {
		if good, problems, err = c.only(g.Dir, good, promises.Others, problems); err != nil {
			return err
		}
	}
	if found := badFiles(g, problems, exitCheck); len(found) > 0 {
		return found
	}
	if err := onRecord(ctx, project, promises, good); err != nil {
		return err
	}
	err = g.say(term, struct {
		Contracts []checkedFile `json:"contracts"`
		Others    []string      `json:"other_formats"`
	}{good, append([]string{}, promises.Others...)}, checkedInWords(good, promises.Others))
	if broken := breaches(good); err == nil && len(broken) > 0 {
		return broken
	}
	return err
}

// onRecord adds how what is on record fares by each file.
func onRecord(ctx context.Context, p config.Project, promises converge.Promises, good []checkedFile) error {
	place := map[string]int{}
	var contracts []contract.Contract
	for i, f := range good {
		place[f.File] = i
		for _, name := range f.Datasets {
			contracts = append(contracts, promises.About(name)...)
		}
	}
	contracts = slices.DeleteFunc(contracts, func(c contract.Contract) bool { _, asked := place[c.File]; return !asked })
	slices.SortFunc(contracts, func(a, b contract.Contract) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	contracts = slices.CompactFunc(contracts, func(a, b contract.Contract) bool { return a.File == b.File && a.Dataset == b.Dataset })
	found, err := node.Standings(ctx, p, contracts, promises.Subjects)
	for _, s := range found {
		f := &good[place[s.File]]
		f.OnRecord = append(f.OnRecord, s)
	}
	return err
}

// breaches are the contracts that something on record breaks.
func breaches(good []checkedFile) failures {
	var out failures
	for _, f := range good {
		for _, s := range f.OnRecord {
			if s.Breaks > 0 {
				out = append(out, &failure{
					Code: "broken", What: fmt.Sprintf("%d of %d versions of %s break %s", s.Breaks, s.Versions, s.Dataset, s.Contract), At: s.First[0].At,
					Why: fmt.Sprintf("%s@%s: %s", s.Dataset, s.First[0].Partition, s.First[0].What),
					Fix: "mend what makes them, or the contract; where it is deployed they are " + s.Meaning, exit: exitCheck,
				})
			}
		}
	}
	return out
}

func checkedFiles(p converge.Promises) []checkedFile {
	out := []checkedFile{}
	for _, c := range p.Produced {
		out = append(out, checkedFile{File: c.File, Name: c.Name, Owner: c.Owner, Datasets: []string{c.Dataset}, Rules: len(c.Rules().List)})
	}
	for _, f := range p.Consumed {
		x := checkedFile{File: f.Path, Name: f.Name, Owner: f.Owner, Consumer: f.Consumer}
		for _, c := range f.Contracts {
			x.Datasets = append(x.Datasets, c.Dataset)
			x.Rules += len(c.Rules().List)
		}
		out = append(out, x)
	}
	return out
}

func checkedInWords(good []checkedFile, others []string) string {
	var b strings.Builder
	for _, f := range good {
		fmt.Fprintf(&b, "ok    %s (%s): %d rules for %s\n", f.File, f.Owner, f.Rules, strings.Join(f.Datasets, ", "))
		for _, s := range f.OnRecord {
			fmt.Fprintf(&b, "      %s\n", strings.Join(s.Words(), "\n      "))
		}
	}
	for _, file := range others {
		fmt.Fprintf(&b, "other %s: an ODCS contract, which is named in plans and not judged; take it over: reedbed contract import FILE\n", file)
	}
	if b.Len() == 0 {
		return "there are no contracts\n"
	}
	return b.String()
}

// only leaves what concerns the files named, which may be paths from here or names
// in the project.
func (c contractCheckCmd) only(dir string, good []checkedFile, others []string, problems []stage.Problem) ([]checkedFile, []stage.Problem, error) {
	known := slices.Clone(others)
	for _, f := range good {
		known = append(known, f.File)
	}
	for _, p := range problems {
		known = append(known, p.File)
	}
	wanted := map[string]bool{}
	for _, name := range c.Files {
		file := filepath.ToSlash(filepath.Clean(name))
		if inside, err := filepath.Rel(dir, name); err == nil && !slices.Contains(known, file) {
			file = filepath.ToSlash(inside)
		}
		if !slices.Contains(known, file) {
			fix := "name a file of contracts/, or a stage that promises something"
			if near := nearest.Word(file, known); near != "" {
				fix = "did you mean " + near + "?"
			}
			return nil, nil, &failure{Code: "no_contract", What: "there is no contract in " + name, Fix: fix, exit: exitFailed}
		}
		wanted[file] = true
	}
	good = slices.DeleteFunc(good, func(f checkedFile) bool { return !wanted[f.File] })
	return good, slices.DeleteFunc(problems, func(p stage.Problem) bool { return !wanted[p.File] }), nil
}

type contractExplainCmd struct {
	Dataset string `arg:"" help:"What to tell of."`
}

// explained is what a dataset is held to.
type explained struct {
	Dataset   string          `json:"dataset"`
	Owner     string          `json:"owner,omitempty"`
	Contracts []explainedFile `json:"contracts"`
}

type explainedFile struct {
	Name     string          `json:"name"`
	Owner    string          `json:"owner"`
	File     string          `json:"file"`
	Producer bool            `json:"producer"`
	Meaning  string          `json:"meaning"` // what becomes of what breaks it
	Consumer string          `json:"consumer,omitempty"`
	Rules    []explainedRule `json:"rules"`
}

type explainedRule struct {
	ID    string         `json:"id"`
	Line  int            `json:"line"`
	Phase contract.Phase `json:"phase"`
	Says  string         `json:"says"`
	Warns bool           `json:"warns,omitempty"`
}

// Run says what the files of the project hold a dataset to, as far as they are right.
func (c contractExplainCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	promises, problems, err := node.Lint(ctx, node.Options{Project: project})
	if err != nil {
		return err
	}
	subject, ok := promises.Subjects[c.Dataset]
	if !ok {
		names := slices.Sorted(maps.Keys(promises.Subjects))
		fix := "there are: " + strings.Join(names, ", ")
		if near := nearest.Word(c.Dataset, names); near != "" {
			fix = "did you mean " + near + "?"
		}
		return append(failures{{Code: "unknown_dataset", What: "there is no dataset " + c.Dataset, Fix: fix, exit: exitFailed}}, badFiles(g, problems, exitFailed)...)
	}
	out := explained{Dataset: c.Dataset, Owner: subject.Owner, Contracts: []explainedFile{}}
	for _, x := range promises.About(c.Dataset) {
		out.Contracts = append(out.Contracts, explainContract(x, !subject.Stage))
	}
	return g.say(term, out, out.inWords())
}

// explainContract puts a contract in words; stored says that no stage computes its dataset.
func explainContract(c contract.Contract, stored bool) explainedFile {
	out := explainedFile{
		Name: c.Name, Owner: c.Owner, File: c.File, Producer: c.Producer, Consumer: c.Consumer, Meaning: converge.Meaning(c, stored), Rules: []explainedRule{},
	}
	for _, r := range c.Rules().List {
		out.Rules = append(out.Rules, explainedRule{ID: r.ID, Line: r.Line, Phase: r.Phase, Says: r.Says, Warns: r.Phase == contract.OverTime})
	}
	return out
}

func (e explained) inWords() string {
	var b strings.Builder
	if len(e.Contracts) == 0 {
		return e.Dataset + " is held to nothing\n"
	}
	for _, c := range e.Contracts {
		fmt.Fprintf(&b, "%s\n", c.heading())
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, r := range c.Rules {
			says := r.Says
			if r.Warns {
				says += " (told, not held)"
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\tline %d\n", phaseInWords(r.Phase), r.ID, says, r.Line)
		}
		_ = w.Flush() // into memory
	}
	return b.String()
}

// heading says whose contract it is, and what becomes of what breaks it.
func (c explainedFile) heading() string {
	if c.Producer {
		return fmt.Sprintf("promised by its owner %s in %s: what breaks it is %s", c.Owner, c.File, c.Meaning)
	}
	return fmt.Sprintf("expected by %s (%s) in %s: what breaks it is %s", c.Name, c.Owner, c.File, c.Meaning)
}

func phaseInWords(p contract.Phase) string {
	switch p {
	case contract.OnApply:
		return "when deployed"
	case contract.WithRows:
		return fmt.Sprintf("from %d rows on", contract.EnoughRows)
	case contract.OverTime:
		return "all the time"
	case contract.AtClose:
		return "at the close"
	}
	return "always"
}
