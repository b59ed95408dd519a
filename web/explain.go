package web

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// Explain says an account in words, in lines of plain text.
func Explain(a sqlite.Account) string {
	var b strings.Builder
	tellAccount(&b, a)
	return TrimLines(b.String())
}

func tellAccount(w io.Writer, a sqlite.Account) {
	fmt.Fprintf(w, "%s@%s is %s\n", a.Dataset, a.Partition, stateInWords(a))
	if !a.ClosedAt.IsZero() {
		fmt.Fprintf(w, "  closed at %s\n", clock(a.ClosedAt))
	}
	if c := a.Completeness; c != nil {
		until := "more may show"
		if !c.Until.IsZero() {
			until = "complete to " + clock(c.Until)
		}
		fmt.Fprintf(w, "  of what was sent: %s; %s\n", c.Missing(), until)
	}
	if a.Hold != nil {
		tellHold(w, *a.Hold)
	}
	if a.Staged != nil {
		fmt.Fprintf(w, "  version %d is ready; readers get it together with the rest of release %s\n", *a.Staged, a.Release)
	}
	if a.Due != nil {
		tellCauses(w, a.Due.Causes)
	}
	if a.Version != nil {
		fmt.Fprintln(w)
		tellVersion(w, *a.Version)
	}
	if a.Looked != nil {
		fmt.Fprintf(w, "\nlast looked at %s: %s\n", clock(a.Looked.At), outcomeInWords(a.Looked.Outcome))
		told := a.Version != nil && startAlike(a.Looked.Causes, a.Version.Causes) || a.Hold != nil && startAlike(a.Looked.Causes, a.Hold.Causes)
		if !told {
			tellCauses(w, a.Looked.Causes)
		}
	}
	tellOthers(w, a)
}

// startAlike reports whether two chains are the same one.
func startAlike(a, b []dataset.Cause) bool {
	return len(a) == 0 || len(b) > 0 && a[0].ID == b[0].ID
}

func stateInWords(a sqlite.Account) string {
	open := ""
	if a.Open {
		open = ", and open: events for it are still expected"
	}
	switch a.State {
	case sqlite.Stale:
		if a.Paused {
			return "stale: the stage is paused because its file is broken; `reedbed lint` says where" + open
		}
		if a.Due.Waits {
			return fmt.Sprintf("stale since %s: it waits until release %s has finished what it is at%s", clock(a.Due.Since), a.Release, open)
		}
		return fmt.Sprintf("stale since %s: it is due now%s", clock(a.Due.Since), open)
	case sqlite.Running:
		return "running: it is being computed" + open
	case sqlite.Deferred:
		return fmt.Sprintf("deferred until %s, so as not to compute it too often%s", clock(a.Due.NotBefore), open)
	case sqlite.Waived:
		return fmt.Sprintf("waived: stale by the consent of %s since %s (waiver %d): %s", a.Waiver.Actor, clock(a.Waiver.At), a.Waiver.ID, a.Waiver.Reason)
	case sqlite.Failed:
		return fmt.Sprintf("failed, %s so far; the next try is at %s%s\n  error: %s", plural(int64(a.Due.Attempts), "time"), clock(a.Due.NotBefore), open, a.Due.Error)
	case sqlite.Held:
		return fmt.Sprintf("held since %s%s", clock(a.Hold.Since), open)
	case sqlite.Absent:
		return absenceInWords(a)
	}
	switch a.Kind {
	case dataset.Builtin:
		return "fresh: it holds what was loaded" + open
	case dataset.Side:
		return "fresh: it is what the file held when it was deployed"
	}
	return "fresh: it is what its definition makes of its inputs" + open
}

func absenceInWords(a sqlite.Account) string {
	switch {
	case a.Kind == dataset.Builtin:
		return "absent: no event of that time was loaded"
	case a.Kind == dataset.Rejected && a.Looked != nil:
		return "absent: the stage refused no row"
	case !a.Anchored:
		return "absent: no input has anything in its time"
	case a.Looked != nil:
		return "absent: there was nothing to compute it from"
	}
	return "absent: nothing has called for it yet"
}

func outcomeInWords(o dataset.Outcome) string {
	switch o {
	case dataset.Built:
		return "computed"
	case dataset.Appended:
		return "computed what its input had gained, and added that"
	case dataset.Reused:
		return "nothing was computed: an earlier version has the same inputs and definition, and readers were sent back to it"
	case dataset.Unchanged:
		return "computed, and the rows are the same: nothing that reads it was computed (early cutoff)"
	case dataset.Standing:
		return "nothing was computed: its inputs and its definition are those it was computed from"
	case dataset.Vanished:
		return "there was nothing to compute it from"
	case dataset.Withheld:
		return "held: readers go on with what they see"
	}
	return string(o)
}

func tellVersion(w io.Writer, v sqlite.VersionAccount) {
	seen := "which readers do not see"
	if v.Promoted {
		seen = "which readers see since " + clock(v.PromotedAt)
	}
	fmt.Fprintf(w, "version %d, %s: %s\n", v.Number, seen, plural(v.Rows, "row"))
	if v.Gone != "" {
		fmt.Fprintf(w, "  its rows are %s\n", v.Gone)
	}
	fmt.Fprintf(w, "  made at %s%s\n", clock(v.MadeAt), makingInWords(v))
	if d := v.Definition; d != nil {
		standing := ", which is deployed"
		if !d.Deployed {
			standing = ", which is not deployed any more"
		}
		fmt.Fprintf(w, "  by revision %d of %s%s%s\n", d.Revision, d.File, atCommit(d.GitRevision), standing)
	}
	if len(v.Inputs) > 0 {
		fmt.Fprintln(w, "  from")
		tellInputs(w, v.Inputs)
	}
	tellCauses(w, v.Causes)
	for _, b := range v.Warnings {
		fmt.Fprint(w, "  warning:")
		tellBroken(w, b)
	}
}

func makingInWords(v sqlite.VersionAccount) string {
	took := ""
	if v.Wall > 0 {
		took = fmt.Sprintf(" in %s (%s of CPU)", short(v.Wall), short(v.CPU))
	}
	switch v.Origin {
	case "load":
		return " by loading events"
	case "side":
		return " from a file of the project"
	case "append":
		return took + " by computing only what its input had gained"
	case "compact":
		return took + "; its files were joined since, its rows are as they were"
	}
	return took
}

// tellInputs writes a line for each input: its version, or how many partitions
// of it were read.
func tellInputs(w io.Writer, inputs []sqlite.InputAccount) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush() //nolint:errcheck // w is a string builder
	for len(inputs) > 0 {
		n, there, rows := 0, 0, int64(0)
		for n < len(inputs) && inputs[n].Dataset == inputs[0].Dataset {
			rows += inputs[n].Rows
			if inputs[n].Version != 0 {
				there++
			}
			n++
		}
		first, last := inputs[0], inputs[n-1]
		inputs = inputs[n:]
		switch {
		case there == 0:
			fmt.Fprintf(table, "    %s\tabsent\t\n", first.Dataset)
		case n == 1:
			fmt.Fprintf(table, "    %s@%s\tversion %d\t%s\n", first.Dataset, first.Partition, first.Version, plural(rows, "row"))
		default:
			fmt.Fprintf(table, "    %s\t%s from %s to %s\t%s\n", first.Dataset, plural(int64(there), "partition"), first.Partition, last.Partition, plural(rows, "row"))
		}
	}
}

// tellCauses writes a chain, the nearest cause first.
func tellCauses(w io.Writer, chain []dataset.Cause) {
	for _, c := range chain {
		by := ""
		if c.By != nil && c.By.Actor != "" {
			by = fmt.Sprintf(" (%s %d, %s)", c.By.Action, c.By.Apply, c.By.Actor)
		}
		fmt.Fprintf(w, "  because %s, at %s%s\n", c.Detail, clock(c.At), by)
	}
}

func tellOthers(w io.Writer, a sqlite.Account) {
	if len(a.Others) == 0 || len(a.Others) == 1 && a.Version != nil {
		return
	}
	fmt.Fprintln(w, "\nversions on record")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range a.Others {
		note := v.Gone
		if v.Promoted {
			note = "promoted"
		}
		fmt.Fprintf(table, "  %d\t%s\t%s\t%s\n", v.Number, clock(v.MadeAt), plural(v.Rows, "row"), note)
	}
	_ = table.Flush() // w is a string builder
}

// clock writes a time as `why` does, in UTC.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func atCommit(revision string) string {
	if revision == "" {
		return ""
	}
	return ", git " + revision[:min(len(revision), 10)]
}

// TrimLines takes away what tables leave at the ends of lines.
func TrimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
