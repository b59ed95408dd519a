package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/web"
)

type diffCmd struct {
	What     []string `arg:"" name:"version" placeholder:"DATASET A B" help:"A dataset and two of its versions, each PARTITION or PARTITION/VERSION: royalties 2026-11-20/1 2026-11-20/2. Or two versions as DATASET@PARTITION/VERSION."`
	Limit    int      `default:"5" placeholder:"N" help:"Rows to show of each kind of difference (${default})."`
	ExitCode bool     `help:"End with exit code 2 if they differ."`
}

// Run says how two versions differ.
func (c diffCmd) Run(ctx context.Context, g *globals, term terminal) error {
	ask, err := c.request()
	if err != nil {
		return wrongUse(err.Error(), "write DATASET A B, such as royalties 2026-11-20/1 2026-11-20/2")
	}
	o, err := g.node(term)
	if err != nil {
		return err
	}
	r, err := node.Diff(ctx, o, ask)
	if err != nil {
		return sqlFailure(err)
	}
	var words strings.Builder
	tellDifference(&words, ask, r)
	if err := g.say(term, r, web.TrimLines(words.String())); err != nil {
		return err
	}
	if c.ExitCode && !r.Equal {
		return errPending
	}
	return nil
}

func (c diffCmd) request() (r compare.Request, err error) {
	r.Limit = c.Limit
	if c.Limit < 0 || c.Limit > 1000 {
		return r, fmt.Errorf("--limit %d is not from 0 to 1000", c.Limit)
	}
	parse := dataset.ParseReference
	two := c.What
	if len(c.What) == 3 {
		parse = func(s string) (dataset.Reference, error) { return dataset.ParseVersionOf(c.What[0], s) }
		two = c.What[1:]
	}
	if len(two) != 2 {
		return r, fmt.Errorf("%d arguments do not name two versions", len(c.What))
	}
	if r.A, err = parse(two[0]); err != nil {
		return r, err
	}
	r.B, err = parse(two[1])
	return r, err
}

func tellDifference(w io.Writer, ask compare.Request, r compare.Result) {
	name := func(v compare.Version) string {
		return dataset.Reference{Dataset: v.Dataset, Partition: v.Partition, Version: v.Version}.String()
	}
	verdict := "differ"
	if r.Equal {
		verdict = "are equal"
	}
	fmt.Fprintf(w, "A, %s, and B, %s, %s\n\n", name(r.A), name(r.B), verdict)
	tellSchema(w, r.Schema)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tA\tB\t")
	fmt.Fprintf(table, "rows\t%d\t%d\t\n", r.A.Rows, r.B.Rows)
	fmt.Fprintf(table, "in both\t%d\t%d\t\n", r.Rows.Both, r.Rows.Both)
	fmt.Fprintf(table, "only there\t%d\t%d\t\n", r.Rows.OnlyA, r.Rows.OnlyB)
	_ = table.Flush() // w is a string builder
	tellKeys(w, r)
	fmt.Fprintln(w)
	tellColumns(w, r)
	tellSamples(w, ask.Limit, r)
}

func tellSchema(w io.Writer, s compare.Schema) {
	for _, c := range s.OnlyA {
		fmt.Fprintf(w, "column %s %s is only in A\n", c.Name, c.Type)
	}
	for _, c := range s.OnlyB {
		fmt.Fprintf(w, "column %s %s is only in B\n", c.Name, c.Type)
	}
	for _, c := range s.Retyped {
		fmt.Fprintf(w, "column %s is %s in A and %s in B; compared as text\n", c.Name, c.A, c.B)
	}
	if !s.Same() {
		fmt.Fprintln(w)
	}
}

func tellKeys(w io.Writer, r compare.Result) {
	k := r.ByKey
	if k == nil {
		fmt.Fprintf(w, "rows were compared as a whole: %s\n", r.NoKey)
		return
	}
	fmt.Fprintf(w, "by key (%s): %d on both sides, %d of them with other values; %d only in A, %d only in B\n",
		strings.Join(k.Key, ", "), k.Matched, k.Changed, k.OnlyA, k.OnlyB)
	if k.Unkeyed.A+k.Unkeyed.B > 0 {
		fmt.Fprintf(w, "rows whose key is NULL or comes more than once, compared as a whole: %d in A, %d only there; %d in B, %d only there\n",
			k.Unkeyed.A, k.Unkeyed.OnlyA, k.Unkeyed.B, k.Unkeyed.OnlyB)
	}
}

// tellColumns writes a line for each column: one figure where both sides agree,
// else A's and B's.
func tellColumns(w io.Writer, r compare.Result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "column\ttype\tequal\tnulls\tdistinct\tmin\tmax\tmean")
	for _, c := range r.Columns {
		both := func(figure func(compare.Statistics) string) string {
			switch {
			case c.A == nil:
				return figure(*c.B)
			case c.B == nil:
				return figure(*c.A)
			}
			a, b := figure(*c.A), figure(*c.B)
			if a == b {
				return a
			}
			return a + " → " + b
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.Type, share(c.Equal, r.ByKey),
			both(func(s compare.Statistics) string { return fmt.Sprint(s.Nulls) }),
			both(func(s compare.Statistics) string {
				if s.Estimated {
					return fmt.Sprintf("about %d", s.Distinct)
				}
				return fmt.Sprint(s.Distinct)
			}),
			both(func(s compare.Statistics) string { return brief(s.Least) }), both(func(s compare.Statistics) string { return brief(s.Most) }),
			both(func(s compare.Statistics) string { return rounded(s.Mean) }))
	}
	_ = table.Flush() // w is a string builder
}

// share is how many of the matched keys have equal values, in percent; 100% only
// when all have.
func share(equal *int64, k *compare.ByKey) string {
	if equal == nil || k == nil || k.Matched == 0 {
		return ""
	}
	percent := 100 * float64(*equal) / float64(k.Matched)
	if *equal < k.Matched {
		percent = min(percent, 99.99)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", percent), ".00") + "%"
}

func tellSamples(w io.Writer, limit int, r compare.Result) {
	s := r.Samples
	if len(s.Changed) > 0 {
		fmt.Fprintf(w, "\nwith other values%s\n", cut(len(s.Changed), limit))
	}
	for _, x := range s.Changed {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(x.Columns)) {
			parts = append(parts, fmt.Sprintf("%s %s → %s", name, brief(x.Columns[name][0]), brief(x.Columns[name][1])))
		}
		fmt.Fprintf(w, "  %s: %s\n", pairs(x.Key, r.ByKey.Key), strings.Join(parts, ", "))
	}
	var order []string
	for _, c := range r.Columns {
		order = append(order, c.Name)
	}
	for _, side := range []struct {
		name string
		rows []compare.Row
	}{{"A", s.OnlyA}, {"B", s.OnlyB}} {
		if len(side.rows) > 0 {
			fmt.Fprintf(w, "\nonly in %s%s\n", side.name, cut(len(side.rows), limit))
		}
		for _, x := range side.rows {
			times := ""
			if x.Times > 1 {
				times = fmt.Sprintf(", %d times more often", x.Times)
			}
			fmt.Fprintf(w, "  %s%s\n", pairs(x.Values, order), times)
		}
	}
}

// cut says that there may be more rows than are shown.
func cut(shown, limit int) string {
	if shown < limit {
		return ""
	}
	return fmt.Sprintf(" (the first %d)", shown)
}

func pairs(values map[string]json.RawMessage, order []string) string {
	var parts []string
	for _, name := range order {
		if v, ok := values[name]; ok {
			parts = append(parts, name+"="+brief(v))
		}
	}
	return strings.Join(parts, " ")
}

// brief writes a JSON value for people: a text without its quotes, and not more
// of it than fits beside others.
func brief(v json.RawMessage) string {
	const most = 40
	switch {
	case len(v) == 0:
		return ""
	case bytes.Equal(v, []byte("null")):
		return "NULL"
	}
	text := string(v)
	var s string
	if json.Unmarshal(v, &s) == nil {
		text = strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%q", s), `"`), `"`) // nothing in it moves the cursor
	}
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// rounded writes a mean with as many digits as tell anybody anything.
func rounded(v json.RawMessage) string {
	var f float64
	if len(v) == 0 || bytes.Equal(v, []byte("null")) || json.Unmarshal(v, &f) != nil {
		return brief(v)
	}
	return fmt.Sprintf("%.6g", f)
}
