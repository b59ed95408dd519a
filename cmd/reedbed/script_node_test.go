package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/reedbed/reedbed/internal/recorded"
	"github.com/reedbed/reedbed/web"
)

// Commands of scripts for what runs beside them.

// patience is how long a script waits for what takes moments on an idle
// machine.
const patience = 2 * time.Minute

// background are the programs a script started, by name.
type background map[string]*exec.Cmd

type backgroundKey struct{}

func setUp(env *testscript.Env) error {
	env.Values[backgroundKey{}] = background{}
	env.Setenv("SHARED", recorded.Folder())
	return nil
}

// program makes a command that runs as `exec` would run it.
func program(ts *testscript.TestScript, name string, args []string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = os.Environ()
	for _, key := range []string{"PATH", "HOME", "TMPDIR"} {
		cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
	}
	return cmd
}

// start runs reedbed beside the script; its output goes to NAME.out and
// NAME.err: start NAME ARGS...
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARGS...")
	}
	cmd := program(ts, "reedbed", args[1:])
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer errs.Close()
	cmd.Stdout, cmd.Stderr = out, errs
	ts.Check(cmd.Start())
	all, _ := ts.Value(backgroundKey{}).(background)
	all[args[0]] = cmd
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// halt sends SIGTERM and wants exit code 0; with ! it kills: halt NAME. The word
// stop is taken: it ends a script.
func halt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: halt NAME")
	}
	all, _ := ts.Value(backgroundKey{}).(background)
	cmd := all[args[0]]
	if cmd == nil {
		ts.Fatalf("%s was not started", args[0])
	}
	if neg {
		ts.Check(cmd.Process.Kill())
		_ = cmd.Wait()
		return
	}
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	ended(ts, false, args)
}

// ended waits for a program that ends by itself and wants exit code 0:
// ended NAME
func ended(ts *testscript.TestScript, neg bool, args []string) {
	all, _ := ts.Value(backgroundKey{}).(background)
	if neg || len(args) != 1 || all[args[0]] == nil {
		ts.Fatalf("usage: ended NAME")
	}
	if err := all[args[0]].Wait(); err != nil {
		ts.Fatalf("%s ended with %v:\n%s", args[0], err, ts.ReadFile(args[0]+".err"))
	}
}

// up starts `reedbed up` on a project, waits until it is ready and sets $URL and $ADDRESS:
// up NAME DIR ARGS...
func up(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: up NAME DIR ARGS...")
	}
	start(ts, false, append([]string{args[0], "up", "-C", args[1], "--listen", "127.0.0.1:0"}, args[2:]...))
	waitFor(ts, false, []string{args[0] + ".out", "(?m)^ready$"})
	m := regexp.MustCompile(`listening on (http://\S+)`).FindStringSubmatch(ts.ReadFile(args[0] + ".out"))
	if m == nil {
		ts.Fatalf("%s did not say where it listens", args[0])
	}
	ts.Setenv("URL", m[1])
	ts.Setenv("ADDRESS", strings.TrimPrefix(m[1], "http://"))
}

// waitFor waits until a file matches: waitfor FILE REGEXP
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE REGEXP")
	}
	pattern := regexp.MustCompile(args[1])
	last := ""
	poll(ts, "file "+args[0], &last, func() bool {
		text, _ := os.ReadFile(ts.MkAbs(args[0])) // it may not exist yet
		last = string(text)
		return pattern.MatchString(last)
	})
}

// until runs a command again and again until its output matches, and prints
// that: // until REGEXP COMMAND...
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND...")
	}
	pattern := regexp.MustCompile(args[0])
	last := ""
	poll(ts, strings.Join(args[1:], " "), &last, func() bool {
		out, _ := program(ts, args[1], args[2:]).CombinedOutput() // what it says tells more than how it ends
		last = string(out)
		return pattern.MatchString(last)
	})
	_, err := io.WriteString(ts.Stdout(), last)
	ts.Check(err)
}

// filled wants rows in the output of every stage of a project: filled DIR
func filled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: filled DIR")
	}
	out, err := program(ts, "reedbed", []string{"status", "-C", args[0], "--json"}).Output()
	ts.Check(err)
	var status web.Status
	ts.Check(json.Unmarshal(out, &status))
	rows := map[string]int64{}
	for _, d := range status.Datasets {
		rows[d.Name] = d.Rows
	}
	stages, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "stages", "*.sql"))
	ts.Check(err)
	for _, file := range stages {
		if name := strings.TrimSuffix(filepath.Base(file), ".sql"); rows[name] == 0 {
			ts.Fatalf("%s has no rows:\n%s", name, out)
		}
	}
	if len(stages) == 0 || !status.Converged {
		ts.Fatalf("%d stages, converged: %t", len(stages), status.Converged)
	}
}

// poll asks until done says yes. last is what to show when it never does.
func poll(ts *testscript.TestScript, what string, last *string, done func() bool) {
	deadline := time.After(patience)
	for tick := time.NewTicker(50 * time.Millisecond); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			tick.Stop()
			ts.Fatalf("waited too long for %s; last:\n%s", what, *last)
		}
	}
}

// post sends a file and prints the status and the answer:
// post [-key KEY] [-gzip] URL FILE
func post(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("post", flag.ContinueOnError)
	key := flags.String("key", "demo", "write key")
	zipped := flags.Bool("gzip", false, "send it compressed")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() != 2 {
		ts.Fatalf("usage: post [-key KEY] [-gzip] URL FILE")
	}
	var body bytes.Buffer
	var to io.WriteCloser = nopCloser{&body}
	if *zipped {
		to = gzip.NewWriter(&body)
	}
	_, err := io.WriteString(to, ts.ReadFile(flags.Arg(1)))
	ts.Check(err)
	ts.Check(to.Close())
	request, err := http.NewRequest(http.MethodPost, flags.Arg(0), &body)
	ts.Check(err)
	request.SetBasicAuth(*key, "")
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer response.Body.Close()
	_, err = io.WriteString(ts.Stdout(), response.Status+"\n")
	ts.Check(err)
	_, err = io.Copy(ts.Stdout(), response.Body)
	ts.Check(err)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
