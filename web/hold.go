package web

import (
	"fmt"
	"io"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// ExplainHold says in lines of plain text what is held, why, and what would
// release it.
func ExplainHold(h dataset.Hold) string {
	var b strings.Builder
	whom := ""
	if h.For != "" {
		whom = " for " + h.For
	}
	fmt.Fprintf(&b, "%s@%s%s\n", h.Dataset, h.Partition, whom)
	tellHold(&b, h)
	return b.String()
}

func tellHold(w io.Writer, h dataset.Hold) {
	for _, x := range h.Broken {
		tellBroken(w, x)
	}
	tellCauses(w, h.Causes)
	fmt.Fprintf(w, "  %s\n", seenInstead(h))
	fmt.Fprintf(w, "  %s\n", releasedBy(h))
}

// WarningWords says in one line what readers are warned of, and in which partitions.
func WarningWords(x sqlite.Trouble) string {
	last := fmt.Sprintf("%s@%s", x.Dataset, x.Last)
	if x.Count > 1 {
		last += fmt.Sprintf(" and %d others from %s on", x.Count-1, x.First)
	}
	return fmt.Sprintf("%s: %s", last, x.What)
}

func tellBroken(w io.Writer, x dataset.Broken) {
	by := x.Contract
	if x.At != "" {
		by = x.At
	}
	if x.Owner != "" {
		by += ", of " + x.Owner
	}
	fmt.Fprintf(w, "  %s (%s)\n", x.What, by)
	for _, line := range spreads(x) {
		fmt.Fprintf(w, "    %s\n", line)
	}
}

func seenInstead(h dataset.Hold) string {
	who := "readers see"
	if h.For != "" {
		who = h.For + " sees"
	}
	if h.Reads == 0 {
		return who + " nothing of it: no earlier version was good"
	}
	return fmt.Sprintf("%s version %d", who, h.Reads)
}

func releasedBy(h dataset.Hold) string {
	if h.Version == 0 {
		return "it is computed as soon as that is released"
	}
	reader := ""
	if h.For != "" {
		reader = " --for " + h.For
	}
	return fmt.Sprintf("released by other input, another definition or another contract, or by `reedbed approve %s@%s%s --why TEXT`", h.Dataset, h.Partition, reader)
}
