package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/internal/recorded"
)

// TestMain lets scripts run this program as `reedbed`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"reedbed": main})
}

// TestScript runs the end-to-end tests: each file of testdata/script shows one
// thing the program does, as a person would do it.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("REEDBED_UPDATE_SCRIPTS") != "", // write what cmp finds into the scripts
		Setup:               setUp,
		Condition: func(name string) (bool, error) {
			if name != "shared" {
				return false, errors.New("unknown condition " + name)
			}
			return recorded.Folder() != "", nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "start": start, "halt": halt, "ended": ended, "up": up, "waitfor": waitFor, "until": until, "post": post, "filled": filled, "naughty": naughty, "unstable": unstable,
		},
	})
}

// unstable records, as verify does, that a stage of a project at rest is not
// deterministic: unstable FOLDER STAGE WHAT
func unstable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: unstable FOLDER STAGE WHAT")
	}
	ctx := context.Background()
	catalog, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(ts.MkAbs(args[0]), ".reedbed", "catalog.db")})
	ts.Check(err)
	defer func() { ts.Check(catalog.Close()) }()
	deployed, err := catalog.Deployed(ctx)
	ts.Check(err)
	for _, d := range deployed.Stages {
		if d.Name == args[1] {
			ts.Check(catalog.MarkUnstable(ctx, d.ID, args[2]))
			return
		}
	}
	ts.Fatalf("%s is not deployed", args[1])
}

// exits runs a command and wants its exit code: exits 64 reedbed --wrong
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got := strconv.Itoa(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
