package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/node"
)

type planCmd struct {
	From     string `placeholder:"FOLDER" help:"Folder with stages/, data/, schemas/ and contracts/; the project's own if left out."`
	Sample   int    `default:"3" placeholder:"N" help:"Partitions of each stage that changes, or reads a side input that does, to compute as deployed and as planned; 0 for none."`
	ExitCode bool   `help:"Exit with 2 if anything would change."`
	Last     bool   `help:"Instead, set what was predicted of the last apply against what came of it."`
}

// Run says what deploying definitions would do, and changes nothing.
func (c planCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	if c.Last {
		return printLast(ctx, g, term, o)
	}
	def, err := g.definitions(c.From)
	if err != nil {
		return err
	}
	plan, err := node.Plan(ctx, o, node.PlanRequest{Definitions: def, Sample: c.Sample})
	if err != nil {
		return err
	}
	if g.JSON {
		err = json.NewEncoder(term.out).Encode(plan)
	} else {
		err = printPlan(term.out, plan)
	}
	switch {
	case err != nil:
		return err
	case len(plan.Refusals) > 0:
		return refusals(plan)
	case c.ExitCode && plan.Pending():
		return errPending
	}
	return nil
}

// definitions reads what is to be planned or deployed.
func (g *globals) definitions(from string) (node.Definitions, error) {
	if from != "" {
		return node.ReadDefinitions(from)
	}
	project, err := g.project(nil)
	if err != nil {
		return node.Definitions{}, err
	}
	return node.ReadDefinitions(project.Dir)
}

// refusals are the reasons why a plan cannot be deployed, for people.
func refusals(plan converge.Plan) error {
	var out failures
	for _, r := range plan.Refusals {
		at := r.File
		if r.Line > 0 {
			at = fmt.Sprintf("%s:%d", r.File, r.Line)
		}
		f := &failure{Code: "refused", What: r.What, At: at, Fix: r.Fix, exit: exitCheck}
		if r.Owner != "" {
			f.Why = "owner: " + r.Owner
		}
		var who []string
		for _, p := range r.Affects {
			who = append(who, fmt.Sprintf("%s (%s)", p.Dataset, p.Owner))
		}
		if len(who) > 0 {
			f.Why = strings.TrimPrefix(f.Why+"; affects "+strings.Join(who, ", "), "; ")
		}
		out = append(out, f)
	}
	return out
}

// asRefusals turns a refused apply into its reasons.
func asRefusals(err error) error {
	refusal, ok := errors.AsType[*dataset.Refusal](err)
	if !ok || len(refusal.Detail) == 0 {
		return err
	}
	var plan converge.Plan
	if json.Unmarshal(refusal.Detail, &plan) != nil || len(plan.Refusals) == 0 {
		return err
	}
	return refusals(plan)
}

func printPlan(out io.Writer, p converge.Plan) error {
	var b strings.Builder
	if !p.Pending() && len(p.Refusals) == 0 {
		b.WriteString("nothing would change: these files are what is deployed\n")
	}
	for _, c := range p.Changes {
		effect := "nothing is recomputed for it"
		switch {
		case slices.ContainsFunc(p.Refusals, func(r converge.Refusal) bool { return r.File == c.File }):
			effect = "refused, see below"
		case c.Recomputes:
			effect = "recomputes"
		}
		fmt.Fprintf(&b, "%s (%s)\n", c.File, effect)
		for _, words := range c.Changes {
			fmt.Fprintf(&b, "  %s\n", words)
		}
		for _, s := range c.OnRecord {
			fmt.Fprintf(&b, "  by %s, %s\n", s.Contract, strings.Join(s.Words(), "\n  "))
		}
	}
	if len(p.Affected) > 0 {
		printAffected(&b, p)
	}
	if len(p.Contracts) > 0 {
		b.WriteString("\ncontracts concerned\n")
		for _, c := range p.Contracts {
			fmt.Fprintf(&b, "  %s (%s), %s: %s\n", c.Name, c.Owner, c.File, strings.Join(c.Datasets, ", "))
			for _, p := range c.Broken {
				fmt.Fprintf(&b, "    BROKEN, tell %s: %s\n", c.Owner, p.Error())
			}
		}
	}
	if len(p.Samples) > 0 {
		printSamples(&b, p.Samples)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func printAffected(b *strings.Builder, p converge.Plan) {
	b.WriteString("\nwould be recomputed, at most: where output stays equal, nothing below it is\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "dataset\towner\tpartitions\trows\tCPU\tbytes\tfrom\tto\tbecause\t")
	for _, a := range p.Affected {
		rows, cpu, size := fmt.Sprint(a.Cost.Rows), seconds(a.Cost.CPU), bytesInWords(a.Cost.Bytes)
		if a.NoHistory {
			rows, cpu, size = "unknown", "unknown", "unknown"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", a.Dataset, a.Owner, a.Cost.Partitions, rows, cpu, size, a.First, a.Last, because(a))
	}
	fmt.Fprintf(w, "total\t\t%d\t%d\t%s\t%s\t\t\t\t\n", p.Total.Partitions, p.Total.Rows, seconds(p.Total.CPU), bytesInWords(p.Total.Bytes))
	_ = w.Flush() // into memory
	fmt.Fprintf(b, "about %s with %d workers, if recorded history is a guide\n", seconds(p.Estimate), p.Workers)
	for _, a := range p.Affected {
		if a.Recorded > 0 {
			fmt.Fprintf(b, "%d of %s have a version of this very code: from equal inputs they are not computed again\n", a.Recorded, a.Dataset)
		}
		if a.Unstable != "" {
			fmt.Fprintf(b, "%s, as deployed, gave verify other rows from the same inputs: recomputing them may change rows without cause (%s)\n", a.Dataset, a.Unstable)
		}
	}
}

// because says why a dataset would be recomputed.
func because(a converge.Affected) string {
	var out []string
	inputs := slices.DeleteFunc(slices.Clone(a.Because), func(name string) bool { return name == a.Dataset })
	if len(inputs) < len(a.Because) {
		out = append(out, "it changed")
	}
	if len(inputs) > 0 {
		out = append(out, "reads "+strings.Join(inputs, ", "))
	}
	return strings.Join(out, ", ")
}

// printSamples says of each dataset once which files make the difference.
func printSamples(b *strings.Builder, samples []converge.Sample) {
	b.WriteString("\nsamples: deployed and planned code and side inputs, over the same versions of all other inputs\n")
	for i, s := range samples {
		if i == 0 || samples[i-1].Dataset != s.Dataset {
			which := "its files are as they were" // and what they read has other columns
			if len(s.Files) > 0 {
				which = "changed: " + strings.Join(s.Files, ", ")
			}
			fmt.Fprintf(b, "  %s (%s)\n", s.Dataset, which)
		}
		printSample(b, s)
	}
}

func printSample(b *strings.Builder, s converge.Sample) {
	fmt.Fprintf(b, "  %s@%s: ", s.Dataset, s.Partition)
	switch {
	case s.Problem != "":
		fmt.Fprintf(b, "could not be compared: %s\n", s.Problem)
		return
	case s.Equal:
		fmt.Fprintf(b, "%d rows, equal content\n", s.RowsAfter)
		return
	}
	fmt.Fprintf(b, "%d rows, were %d; other content\n", s.RowsAfter, s.RowsBefore)
	for _, words := range s.Columns {
		fmt.Fprintf(b, "    %s\n", words)
	}
	k := s.Keys
	if k == nil {
		return
	}
	fmt.Fprintf(b, "    by %s: %d in both, %d new, %d gone\n", strings.Join(k.Key, ", "), k.Both, k.New, k.Gone)
	if !k.Unique {
		b.WriteString("    the key is not unique, so values are not compared\n")
	}
	same := 0
	for _, column := range slices.Sorted(maps.Keys(k.Equal)) {
		if k.Equal[column] == 1 {
			same++
			continue
		}
		fmt.Fprintf(b, "    %s: equal in %.1f%% of rows\n", column, 100*k.Equal[column])
	}
	if same > 0 {
		fmt.Fprintf(b, "    %d other columns: equal in all rows\n", same)
	}
}

// seconds is a time people can read at a glance.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func bytesInWords(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// printLast shows the score of the last apply.
func printLast(ctx context.Context, g *globals, term terminal, o node.Options) error {
	score, err := node.Score(ctx, o, 0)
	if err != nil {
		return err
	}
	return g.say(term, score, scoreInWords(score))
}

func scoreInWords(s sqlite.Score) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apply %d (%s) by %s at %s", s.ID, s.Action, s.Actor, s.At.Format(time.RFC3339))
	if s.GitRevision != "" {
		fmt.Fprintf(&b, ", git %s", s.GitRevision)
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "dataset\tpredicted partitions\tlooked at\tcomputed\tpredicted rows\trows\tpredicted CPU\tCPU\t")
	line := func(name string, predicted, actual dataset.Cost, executions int64) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", name, predicted.Partitions, actual.Partitions, executions,
			predicted.Rows, actual.Rows, seconds(predicted.CPU), seconds(actual.CPU))
	}
	for _, d := range s.Datasets {
		line(d.Dataset, d.Predicted, d.Actual, d.Executions)
	}
	line("total", s.Predicted, s.Actual, s.Executions)
	_ = w.Flush() // into memory
	return b.String()
}
