package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is one line of the table: a figure against its goal.
type row struct {
	what   string
	figure string
	goal   string
	met    bool
	noisy  bool // others used so much of the machine that a wall-clock figure says little
	others float64
	flush  float64  // per second; negative when unknown
	notes  []string // for context, below the table
}

func (r row) verdict() string {
	switch {
	case r.goal == "":
		return ""
	case r.met && r.noisy:
		return "met, machine not idle"
	case r.met:
		return "met"
	case r.noisy:
		return "missed, machine not idle"
	}
	return "missed"
}

// tooBusy is the share of the machine from which on wall-clock figures are not
// worth much.
const tooBusy = 0.25

// print writes the table and what belongs to it.
func print(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "measured\tfigure\tgoal\tverdict\tother CPU\tflush/s")
	for _, r := range rows {
		flush := "?"
		if r.flush >= 0 {
			flush = fmt.Sprintf("%.0f", r.flush)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.0f %%\t%s\n", r.what, r.figure, r.goal, r.verdict(), 100*r.others, flush)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		for i, note := range r.notes {
			if i == 0 {
				fmt.Fprintf(w, "\n%s\n", r.what)
			}
			fmt.Fprintf(w, "  %s\n", note)
		}
	}
	return nil
}
