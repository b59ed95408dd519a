package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/internal/disk"
)

// Exit codes. They are part of the interface.
const (
	exitFine    = 0
	exitFailed  = 1
	exitPending = 2 // changes are pending, for who asks with --exit-code
	exitCheck   = 3 // a contract or check failed
	exitUsage   = 64
)

// errPending ends a command with its exit code and nothing more to say.
var errPending = errors.New("changes are pending")

// failure is an error for people: what failed, where, why, and what to do. The
// code is a stable word; scripts may match it.
type failure struct {
	Code string `json:"code"`
	What string `json:"what"`
	At   string `json:"at,omitempty"`
	Why  string `json:"why,omitempty"`
	Fix  string `json:"fix,omitempty"`

	exit int
}

func (f *failure) Error() string { return f.Code + ": " + f.What }

// failures are several at once, such as all problems of a configuration. The
// first decides the exit code.
type failures []*failure

func (fs failures) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// report tells people about err and returns the exit code.
func report(term terminal, asJSON bool, err error) int {
	if err == nil {
		return exitFine
	}
	if errors.Is(err, errPending) {
		return exitPending
	}
	all := explain(err)
	if asJSON {
		line := struct {
			Errors failures `json:"errors"`
		}{all}
		out := json.NewEncoder(term.err)
		out.SetEscapeHTML(false)
		_ = out.Encode(line) // if nobody reads stderr there is nobody to tell
		return all[0].exit
	}
	out := forPeople{term.err}
	for _, f := range all {
		fmt.Fprintf(out, "error %s: %s\n", f.Code, f.What)
		detail(out, "at", f.At)
		detail(out, "why", f.Why)
		detail(out, "fix", f.Fix)
	}
	return all[0].exit
}

func detail(out io.Writer, label, text string) {
	if text != "" {
		fmt.Fprintf(out, "  %s: %s\n", label, text)
	}
}

// explain turns any error into failures. This is the one place where kinds of
// errors become codes.
func explain(err error) failures {
	if all, ok := errors.AsType[failures](err); ok {
		return all
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return failures{f}
	}
	if e, ok := errors.AsType[*config.Error](err); ok {
		return explainConfig(e)
	}
	if r, ok := errors.AsType[*dataset.Refusal](err); ok {
		return failures{{Code: r.Code, What: r.What, Fix: r.Fix, exit: exitFailed}}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return failures{{Code: "interrupted", What: err.Error(), exit: exitFailed}}
	case errors.Is(err, config.ErrNoProject):
		return failures{{
			Code: "no_project", What: err.Error(),
			Fix:  "name a project folder with -C DIR, or make one: reedbed init DIR",
			exit: exitFailed,
		}}
	case errors.Is(err, disk.ErrLocked):
		return failures{{
			Code: "in_use", What: err.Error(),
			Fix:  "stop the other `reedbed up` or import of this project first",
			exit: exitFailed,
		}}
	case errors.Is(err, syscall.EADDRINUSE):
		return failures{{
			Code: "address_in_use", What: err.Error(),
			Fix:  "stop what listens there, or name another address with --listen",
			exit: exitFailed,
		}}
	case errors.Is(err, fs.ErrNotExist):
		return failures{{Code: "no_such_file", What: err.Error(), Fix: "check the name", exit: exitFailed}}
	case errors.Is(err, fs.ErrPermission):
		return failures{{
			Code: "permission", What: err.Error(),
			Fix:  "run as the user who owns the project folder",
			exit: exitFailed,
		}}
	}
	return failures{{Code: "failed", What: err.Error(), exit: exitFailed}}
}

func explainConfig(e *config.Error) failures {
	var all failures
	for _, p := range e.Problems {
		all = append(all, &failure{Code: "config", What: p.What(), At: p.Place, Fix: p.Fix, exit: exitFailed})
	}
	return all
}

// usageError explains a command line that does not parse.
func usageError(err error) error {
	help := "reedbed --help"
	if e, ok := errors.AsType[*kong.ParseError](err); ok {
		if node := e.Context.Selected(); node != nil {
			help = node.FullPath() + " --help"
		}
	}
	return &failure{Code: "usage", What: err.Error(), Fix: help, exit: exitUsage}
}
