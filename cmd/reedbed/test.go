package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"

	"github.com/reedbed/reedbed/internal/nearest"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/rehearse"
	"github.com/reedbed/reedbed/stage"
)

type testCmd struct {
	Stages []string `arg:"" optional:"" name:"stage" help:"Stages whose cases to run; all if none is named."`
}

// Run tries the cases of tests/*.yaml. What is wrong with the project's files
// comes before cases that failed: the exit code is 1 for those, 3 for these.
func (c testCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := node.Rehearse(ctx, node.Options{Project: project, Log: g.logger(term)}, c.Stages)
	if err != nil {
		return err
	}
	if g.JSON {
		err = c.writeJSON(term.out, r)
	} else {
		err = testText{w: term.out, dir: g.Dir, quiet: g.Quiet, verbose: g.Verbose}.write(r, time.Since(began))
	}
	if err != nil {
		return err
	}
	return c.verdict(g, r)
}

// verdict is the error of a run, if there is one.
func (c testCmd) verdict(g *globals, r node.Rehearsal) error {
	var found failures
	for _, p := range r.Problems {
		code := "stage"
		if strings.HasPrefix(p.File, "tests/") {
			code = "case"
		}
		found = append(found, &failure{Code: code, What: p.What, At: placeOf(g.Dir, p), Fix: p.Fix, exit: exitFailed})
	}
	for _, name := range c.Stages {
		if len(r.Problems) > 0 {
			break // they may be why
		}
		switch {
		case !slices.Contains(r.Stages, name):
			fix := "there are: " + strings.Join(r.Stages, ", ")
			if near := nearest.Word(name, r.Stages); near != "" {
				fix = "did you mean " + near + "?"
			}
			found = append(found, &failure{Code: "unknown_stage", What: "there is no stage " + name, Fix: fix, exit: exitFailed})
		case slices.Contains(r.Untested, name):
			found = append(found, &failure{
				Code: "no_cases", What: "stage " + name + " has no cases", Fix: "write some: tests/" + name + ".yaml", exit: exitFailed,
			})
		}
	}
	if failed := failedCases(r.Results); failed > 0 {
		found = append(found, &failure{Code: "cases_failed", What: fmt.Sprintf("%d of %d cases failed", failed, len(r.Results)), exit: exitCheck})
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

func failedCases(results []rehearse.Result) int {
	n := 0
	for _, r := range results {
		if !r.Passed() {
			n++
		}
	}
	return n
}

func (testCmd) writeJSON(w io.Writer, r node.Rehearsal) error {
	type line struct {
		rehearse.Result
		Passed       bool  `json:"passed"`
		Milliseconds int64 `json:"milliseconds"`
	}
	out := struct {
		Cases    []line   `json:"cases"`
		Passed   int      `json:"passed"`
		Failed   int      `json:"failed"`
		Untested []string `json:"untested"`
	}{Cases: []line{}, Failed: failedCases(r.Results), Untested: append([]string{}, r.Untested...)}
	out.Passed = len(r.Results) - out.Failed
	for _, x := range r.Results {
		out.Cases = append(out.Cases, line{x, x.Passed(), x.Took.Milliseconds()})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

// placeOf is where a problem is, as people can open it.
func placeOf(dir string, p stage.Problem) string {
	at := filepath.Join(dir, p.File)
	if p.Line > 0 {
		at += ":" + strconv.Itoa(p.Line)
	}
	return at
}

// testText writes a run for people: a line per stage, every failed case, and
// the sum. -v adds the cases that passed, -q leaves only those that failed.
type testText struct {
	w              io.Writer
	dir            string
	quiet, verbose bool
}

func (t testText) write(r node.Rehearsal, took time.Duration) error {
	var b strings.Builder
	for _, name := range r.Stages {
		t.stage(&b, name, r)
	}
	if !t.quiet {
		failed := failedCases(r.Results)
		fmt.Fprintf(&b, "%d passed, %d failed in %s\n", len(r.Results)-failed, failed, took.Round(10*time.Millisecond))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (t testText) stage(b *strings.Builder, name string, r node.Rehearsal) {
	var mine []rehearse.Result
	for _, x := range r.Results {
		if x.Stage == name {
			mine = append(mine, x)
		}
	}
	switch failed := failedCases(mine); {
	case t.quiet:
	case slices.Contains(r.Untested, name):
		fmt.Fprintf(b, "none  %s\n", name)
	case failed > 0:
		fmt.Fprintf(b, "FAIL  %s  %d of %d\n", name, failed, len(mine))
	case len(mine) > 0:
		fmt.Fprintf(b, "ok    %s  %d\n", name, len(mine))
	}
	for _, x := range mine {
		switch {
		case !x.Passed():
			t.failed(b, x)
		case t.verbose && !t.quiet:
			fmt.Fprintf(b, "  ok    %s  (%d ms)\n", x.Case, x.Took.Milliseconds())
		}
	}
}

// shownDifferences is how many rows of a case are shown.
const shownDifferences = 10

func (t testText) failed(b *strings.Builder, x rehearse.Result) {
	fmt.Fprintf(b, "  FAIL  %s\n        %s\n", x.Case, placeOf(t.dir, stage.Problem{File: x.File, Line: x.Line}))
	if f := x.Failure; f != nil {
		fmt.Fprintf(b, "    the SQL failed: %s\n      at %s\n", f.What, placeOf(t.dir, *f))
		if f.Fix != "" {
			fmt.Fprintf(b, "      %s\n", f.Fix)
		}
	}
	for i, d := range x.Differences {
		if i == shownDifferences {
			fmt.Fprintf(b, "    and %d rows more\n", len(x.Differences)-i)
			break
		}
		writeDifference(b, d)
	}
}

func writeDifference(b *strings.Builder, d rehearse.Difference) {
	switch d.Kind {
	case rehearse.Differs:
		fmt.Fprintf(b, "    %s: other than expected in line %d\n", d.Output, d.Line)
		table := [][3]string{{"", "expected", "came out"}}
		for _, c := range d.Cells {
			got := "same"
			if !c.Same {
				got = shown(c.Got)
			}
			table = append(table, [3]string{c.Column, shown(c.Want), got})
		}
		writeTable(b, table)
	case rehearse.Missing:
		fmt.Fprintf(b, "    %s: missing, expected in line %d\n", d.Output, d.Line)
		writeRow(b, d.Cells, func(c rehearse.Cell) *string { return c.Want })
	case rehearse.Unexpected:
		fmt.Fprintf(b, "    %s: came out, but is not expected\n", d.Output)
		writeRow(b, d.Cells, func(c rehearse.Cell) *string { return c.Got })
	}
}

func writeRow(b *strings.Builder, cells []rehearse.Cell, of func(rehearse.Cell) *string) {
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = c.Column + ": " + shown(of(c))
	}
	fmt.Fprintf(b, "      {%s}\n", strings.Join(list, ", "))
}

func writeTable(b *strings.Builder, rows [][3]string) {
	var width [2]int
	for _, row := range rows {
		for i := range width {
			width[i] = max(width[i], runewidth.StringWidth(row[i]))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(b, "      %s  %s  %s\n", runewidth.FillRight(row[0], width[0]), runewidth.FillRight(row[1], width[1]), row[2])
	}
}

// shown writes a value as a case could: NULL is null, and text that would be
// taken for something else, or would move the cursor, has quotes.
func shown(v *string) string {
	if v == nil {
		return "null"
	}
	quoted := strconv.Quote(*v)
	structure := strings.HasPrefix(*v, "{") || strings.HasPrefix(*v, "[")
	switch {
	case *v == "", *v == "null", strings.TrimSpace(*v) != *v:
		return quoted
	case quoted == `"`+*v+`"`, structure && !strings.ContainsFunc(*v, func(r rune) bool { return !unicode.IsPrint(r) }):
		return *v
	}
	return quoted
}
