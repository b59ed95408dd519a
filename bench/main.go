// Command bench measures what Reedbed promises of its speed and memory, each
// against a limit measured in the same run, and prints one table.
//
// It knows the parts of the product only from outside or as the node wires
// them. Nothing imports it, and what it finds is never a test.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/reedbed/reedbed/engine/worker"
)

// bench is one run.
type bench struct {
	dir      string // for everything that is written; removed at the end
	rounds   int
	quick    bool
	profiles string // folder for CPU profiles of the servers, or ""
	reedbed  string // the program, or "" until it is built
	seed     uint64 // of the last generator
}

// sections are the measurements, in the order they are made.
var sections = []struct {
	name string
	run  func(*bench) ([]row, error)
}{
	{"acknowledge", (*bench).acknowledge},
	{"load", (*bench).load},
	{"start", (*bench).startUp},
	{"freshness", (*bench).freshness},
}

func main() {
	if len(os.Args) > 1 {
		if code, is := partOf(os.Args[1], os.Args[2:]); is {
			os.Exit(code)
		}
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// partOf is what this program does when it is one of its own parts.
func partOf(name string, args []string) (code int, is bool) {
	var err error
	switch name {
	case worker.Name:
		return worker.Main(args, os.Stdin, os.Stdout, os.Stderr), true
	case "client":
		err = answer(job.run)
	case "fill":
		err = answer(filling.run)
	case "load":
		err = answer(loading.run)
	case "copy":
		err = answer(copying.run)
	case "serve-bare", "serve-door":
		open := doorServer
		if name == "serve-bare" {
			open = bareServer
		}
		err = serve(open, args[0], args[1])
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
		return 1, true
	}
	return 0, true
}

func run() error {
	b := &bench{}
	only := flag.String("only", "", "measure only these, separated by commas: "+names())
	dir := flag.String("dir", "", "a folder on the disk to measure (default: the system's temporary folder)")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each contender has its turn")
	flag.BoolVar(&b.quick, "quick", false, "three rounds of less, in at most 90 seconds")
	flag.StringVar(&b.profiles, "profile", "", "write CPU profiles of the servers into this folder")
	flag.StringVar(&b.reedbed, "reedbed", "", "the program to measure (default: build it)")
	flag.Parse()
	if b.quick {
		b.rounds = min(b.rounds, 3)
	}
	var err error
	if b.dir, err = os.MkdirTemp(*dir, "reedbed-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	fmt.Println(describeMachine())
	var rows []row
	var failed []error
	for _, s := range sections {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", s.name)
		found, err := s.run(b)
		if err != nil {
			failed = append(failed, fmt.Errorf("could not measure %s: %w", s.name, err))
		}
		rows = append(rows, found...)
	}
	fmt.Println()
	return errors.Join(append(failed, print(os.Stdout, rows))...)
}

func names() string {
	var list []string
	for _, s := range sections {
		list = append(list, s.name)
	}
	return strings.Join(list, ",")
}

// folder makes a folder for one contender.
func (b *bench) folder(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}
