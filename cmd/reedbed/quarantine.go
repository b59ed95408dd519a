package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/reedbed/reedbed/node"
)

type quarantineCmd struct {
	List  quarantineListCmd  `cmd:"" help:"Say what is refused, and why: events that do not decode, and rows that stages refuse."`
	Show  quarantineShowCmd  `cmd:"" help:"Show what is refused, whole."`
	Retry quarantineRetryCmd `cmd:"" help:"Decode what is in quarantine again."`
}

type quarantineListCmd struct{}

// Run lists what is refused, by cause.
func (quarantineListCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	all, err := node.Refused(ctx, o)
	if err != nil {
		return sqlFailure(err)
	}
	if len(all) == 0 {
		return g.say(term, []node.RefusedGroup{}, "nothing is refused\n")
	}
	return g.list(term, all, func(w *tabwriter.Writer) { tabulateRefused(w, all) })
}

func tabulateRefused(w *tabwriter.Writer, all []node.RefusedGroup) {
	fmt.Fprintln(w, "group\tdataset\tcause\tsource\tschema\tapp\trows\tshare\tfirst\tlast\tsample")
	for _, x := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", x.ID, x.Dataset, plain(x.Cause, 60), plain(x.Source, 30), plain(x.Schema, 40), plain(x.AppVersion, 20),
			x.Rows, percent(x.Share), minute(x.First), minute(x.Last), cmp.Or(plain(x.Sample, 40), plain(x.Text, 40)))
	}
}

// plain is text that came from outside, without what a terminal would obey.
func plain(text string, most int) string {
	quoted := fmt.Sprintf("%q", text)
	if short := quoted[1 : len(quoted)-1]; len(short) <= most {
		return short
	}
	cut := quoted[1:most]
	for !utf8.ValidString(cut) {
		cut = cut[:len(cut)-1]
	}
	return cut + "..."
}

func percent(share float64) string {
	if share < 0.0001 {
		return "<0.01%"
	}
	return fmt.Sprintf("%.2f%%", 100*share)
}

func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04Z")
}

type quarantineShowCmd struct {
	What  string `arg:"" name:"group" placeholder:"GROUP|ID" help:"A group of the list, or the id of one row."`
	Limit int    `default:"5" help:"At most so many rows."`
}

// Run shows what is refused, whole.
func (c quarantineShowCmd) Run(ctx context.Context, g *globals, term terminal) error {
	if c.Limit < 1 {
		return wrongUse(fmt.Sprintf("%d rows are none", c.Limit), "leave --limit out, or name at least 1")
	}
	o, err := g.node(term)
	if err != nil {
		return err
	}
	rows, err := node.ShowRefused(ctx, o, node.RefusedAsk{What: c.What, Limit: c.Limit})
	if err != nil {
		return sqlFailure(err)
	}
	if g.JSON {
		out := json.NewEncoder(term.out)
		out.SetEscapeHTML(false)
		return out.Encode(shownRows(rows))
	}
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(term.out)
		}
		printRefused(term, r)
	}
	return nil
}

// shownRow is a row with its bytes as text where they are text.
type shownRow struct {
	node.RefusedRow
	Body []byte `json:"body_base64,omitempty"`
	Text string `json:"body,omitempty"`
}

func shownRows(rows []node.RefusedRow) []shownRow {
	out := []shownRow{}
	for _, r := range rows {
		s := shownRow{RefusedRow: r, Body: r.Body}
		if utf8.Valid(r.Body) {
			s.Body, s.Text = nil, string(r.Body)
		}
		out = append(out, s)
	}
	return out
}

// printRefused prints a row with everything escaped that a terminal would obey.
func printRefused(term terminal, r node.RefusedRow) {
	fmt.Fprintf(term.out, "%s %s\n", r.Dataset, plain(r.ID, 256))
	fmt.Fprintf(term.out, "  refused: %s\n", plain(r.Cause+before(": ", r.Reason), 2000))
	fmt.Fprintf(term.out, "  from: %s%s\n", plain(r.Source, 256), before(" at ", minute(r.At)))
	if r.Row != nil {
		fmt.Fprintf(term.out, "  row: %s\n", printable(string(r.Row)))
		return
	}
	fmt.Fprintf(term.out, "  %d bytes: %s\n", len(r.Body), printable(string(r.Body)))
}

func before(what, text string) string {
	if text == "" {
		return ""
	}
	return what + text
}

type quarantineRetryCmd struct {
	Source string `help:"Only events of this source."`
	Reason string `placeholder:"CODE" help:"Only what was refused for this reason, such as too_large."`
	DryRun bool   `help:"Say how many would decode with the limits that reedbed.yaml has now, and change nothing."`
}

// Run decodes quarantine again.
func (c quarantineRetryCmd) Run(ctx context.Context, g *globals, term terminal) error {
	o, err := g.node(term)
	if err != nil {
		return err
	}
	done, err := node.RetryQuarantine(ctx, o, node.RetryRequest{Source: c.Source, Reason: c.Reason, DryRun: c.DryRun})
	if err != nil {
		return err
	}
	if done.Restart && !g.Quiet {
		fmt.Fprintln(term.err, "the running node has other limits than reedbed.yaml: start it again to use those of the file")
	}
	return g.say(term, done, retriedInWords(done))
}

func retriedInWords(r node.Retried) string {
	if r.DryRun {
		return fmt.Sprintf("%d events of quarantine: %d would decode, %d would stay\n", r.Events, r.Loaded, r.Stay)
	}
	return fmt.Sprintf("%d events of quarantine: %d decode now (%d rows added, %d duplicates removed), %d stay\n", r.Events, r.Loaded+r.Repeats, r.Loaded, r.Repeats, r.Stay)
}
