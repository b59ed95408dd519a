package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"
)

// The parts that are measured run in processes of their own: this program
// again, told by its first argument which part to be. A part ends when its
// standard input does.

// part is a running child.
type part struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// start runs this program as one of its parts. What the part says on standard
// error is for people and goes through.
func start(name string, args ...string) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProgram(self, append([]string{name}, args...)...)
}

func startProgram(program string, args ...string) (*part, error) {
	p := &part{cmd: exec.Command(program, args...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *part) pid() int { return p.cmd.Process.Pid }

// line reads one line the part writes.
func (p *part) line() (string, error) {
	text, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s ended early: %w", filepath.Base(p.cmd.Path)+" "+p.cmd.Args[1], errors.Join(err, p.cmd.Wait()))
	}
	return strings.TrimSpace(text), nil
}

// stop closes the part's input and waits for its end.
func (p *part) stop() error {
	return errors.Join(p.stdin.Close(), p.cmd.Wait())
}

// kill ends a part that is not worth a farewell.
func (p *part) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// call runs a part that takes one JSON value and gives one back.
func call(name string, in, out any) error {
	p, err := start(name)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(p.stdin).Encode(in); err != nil {
		return errors.Join(err, p.stop())
	}
	text, err := p.line()
	if err != nil {
		return err
	}
	return errors.Join(json.Unmarshal([]byte(text), out), p.stop())
}

// answer is the part's side of call.
func answer[In, Out any](do func(In) (Out, error)) error {
	var in In
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	out, err := do(in)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// serve is the part that is a server: it prints its address and serves until
// its input ends. With a profile, that is where its processor time is written.
func serve(open func(dir string) (*http.Server, func() error, error), dir, profile string) (err error) {
	s, release, err := open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(), release()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop, err := profiled(profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	go func() { _ = s.Serve(listener) }()
	fmt.Println(listener.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// profiled writes where processor time goes into a file until stop is called;
// without a name it does nothing.
func profiled(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, pprof.StartCPUProfile(f)
}

// waitFor polls until check says yes; it gives up after a while.
func waitFor(limit, every time.Duration, check func() bool) bool {
	for begun := time.Now(); time.Since(begun) < limit; time.Sleep(every) {
		if check() {
			return true
		}
	}
	return false
}
