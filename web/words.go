package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset/sqlite"
)

// Classes of things on the page, for their colour. Words always say the same.
const (
	good    = "good"
	pending = "pending"
	bad     = "bad"
)

// headline says in words where the whole project stands.
type headline struct{ Class, Word, Detail string }

func headlineOf(s Status) headline {
	all := sum(s.Datasets)
	var parts []string
	add := func(n int64, one, many string) {
		if n > 0 {
			parts = append(parts, counted(n, one, many))
		}
	}
	add(s.Journal.End-s.Journal.Loaded, "event waits to be loaded", "events wait to be loaded")
	add(all.Failed, "partition failed", "partitions failed")
	add(all.Stale, "partition is stale", "partitions are stale")
	add(all.Running, "is running", "are running")
	add(all.Deferred, "is put off until more arrived", "are put off until more arrived")
	add(all.Held, "is held back by a check", "are held back by a check")
	h := headline{Class: pending, Word: "Catching up", Detail: strings.Join(parts, ", ")}
	switch {
	case all.Failed > 0 || len(s.Problems) > 0:
		h.Class, h.Word = bad, "Needs attention"
	case s.Converged:
		h.Class, h.Word = good, "Converged"
	}
	if h.Detail == "" {
		h.Detail = "nothing is stale, nothing is running"
	}
	if n := int64(len(s.Problems)); n > 0 {
		h.Detail += "; " + counted(n, "file needs correcting", "problems in files of the project")
	}
	return h
}

func sum(datasets []sqlite.DatasetStatus) (all sqlite.DatasetStatus) {
	for _, d := range datasets {
		all.Partitions += d.Partitions
		all.Open += d.Open
		all.Stale += d.Stale
		all.Running += d.Running
		all.Deferred += d.Deferred
		all.Held += d.Held
		all.Failed += d.Failed
	}
	return all
}

// worst is the worst state any partition of a dataset is in, with how many.
func worst(d sqlite.DatasetStatus) (class, words string) {
	for _, state := range []struct {
		n           int64
		class, word string
	}{
		{d.Failed, bad, "failed"},
		{d.Held, bad, "held"},
		{d.Stale, pending, "stale"},
		{d.Running, pending, "running"},
		{d.Deferred, pending, "deferred"},
		{d.Waived, good, "waived"},
	} {
		if state.n > 0 {
			return state.class, fmt.Sprintf("%s of %s %s", grouped(state.n), grouped(d.Partitions), state.word)
		}
	}
	if d.Partitions == 0 || d.Absent+d.Erased == d.Partitions {
		return pending, "empty"
	}
	return good, "fresh"
}

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped writes a whole number with a comma between thousands.
func grouped(n int64) string { return group(fmt.Sprint(n)) }

func group(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// moment writes a time as people read it beside now: the day only when it is
// another one.
func moment(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2 January 2006, 15:04:05 UTC")
}

// shellWord quotes a word for a POSIX shell, if it has to be.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
