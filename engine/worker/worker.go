// Package worker is the other side of the engine's pool: the hidden command
// that confines its own process and then runs jobs, one at a time, until its
// standard input ends.
//
// It knows the wire, the confinement and which call of engine/duck answers
// which request. Between jobs it keeps the warm database, with the views of the
// last job's tables: the next partition of a stage finds them as it needs them.
package worker

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/engine/duck"
	"github.com/reedbed/reedbed/internal/confine"
)

// Name is the command the pool starts its own binary with.
const Name = "worker"

// Exit codes of Main beside 0.
const (
	exitFailed = 1
	exitUsage  = 64
)

// options are the flags of the command. They are set by the pool, not by people.
type options struct {
	dir      string
	parent   int
	nice     int
	query    bool
	confined bool
	maxFile  int64
	cfg      duck.Config
}

// Main runs `reedbed worker` with the arguments after the command's name and
// returns the exit code. The first start confines the process and executes the
// same binary again; the second serves jobs from stdin to stdout.
//
// A test binary whose TestMain hands over to Main when its first argument is
// Name serves as the worker of the pools its tests open.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return exitUsage
	}
	if !o.confined {
		err = enter(o, args)
	} else {
		confine.SetName(filepath.Base(os.Args[0]))
		err = serve(o, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "reedbed worker:", err)
		return exitFailed
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "folder that holds in/ and out/")
	flags.IntVar(&o.parent, "parent", 0, "process to die with")
	flags.IntVar(&o.nice, "nice", 0, "scheduling priority to give up")
	flags.BoolVar(&o.query, "query", false, "serve one query: settings stay open until it comes")
	flags.BoolVar(&o.confined, "confined", false, "the walls stand already")
	flags.Int64Var(&o.maxFile, "max-file", 0, "bytes one file may have")
	flags.IntVar(&o.cfg.Threads, "threads", 1, "threads of the database")
	flags.Int64Var(&o.cfg.Memory, "memory", 512<<20, "bytes the database may use before it spills")
	flags.Int64Var(&o.cfg.Spill, "spill", 8<<30, "bytes it may spill")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.dir == "" {
		fmt.Fprintln(stderr, "reedbed worker: -dir is missing; this command is started by reedbed itself")
		return o, errors.New("-dir is missing")
	}
	o.cfg.In, o.cfg.Out = filepath.Join(o.dir, "in"), filepath.Join(o.dir, "out")
	return o, nil
}

// enter puts up the walls and becomes the confined worker.
func enter(o options, args []string) error {
	self, err := confine.Self()
	if err != nil {
		return fmt.Errorf("find own binary: %w", err)
	}
	rules := confine.Rules{
		// DuckDB reads the limits of its control group while it opens, and aborts if
		// they are there but closed to it.
		Read:    []string{o.cfg.In, "/dev/null", "/dev/zero", "/dev/urandom", "/proc/self/cgroup", "/sys/fs/cgroup"},
		Write:   []string{o.cfg.Out},
		MaxFile: o.maxFile, MaxOpen: 4096,
		Nice: o.nice, OOMScore: 500,
		Parent: o.parent,
	}
	argv := append([]string{os.Args[0], Name, "-confined"}, args...)
	return confine.Exec(rules, self, argv, os.Environ())
}

// serve answers requests until stdin ends. It does not watch stdin during a job:
// the kernel kills the process when its parent is gone.
func serve(o options, stdin io.Reader, stdout io.Writer) error {
	// Writing past RLIMIT_FSIZE shall be an error DuckDB reports, not a signal.
	signal.Ignore(syscall.SIGXFSZ)
	go exitOnCPULimit()
	ctx := context.Background()
	db, err := duck.Open(ctx, o.cfg)
	if err != nil {
		return err
	}
	if !o.query {
		if err := db.Shut(ctx); err != nil {
			return err
		}
	}
	if err := warm(ctx, db); err != nil {
		return err
	}
	if err := engine.WriteMessage(stdout, engine.Reply{Landlock: confine.ABI()}); err != nil {
		return err
	}
	in := bufio.NewReader(stdin)
	for {
		var r engine.Request
		if err := engine.ReadMessage(in, &r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		reply, err := answer(ctx, db, r)
		if err := errors.Join(engine.WriteMessage(stdout, reply), err); err != nil {
			return err
		}
	}
}

// exitOnCPULimit ends the process when its CPU time is used up: the Go runtime
// by itself ignores the signal that says so.
func exitOnCPULimit() {
	spent := make(chan os.Signal, 1)
	signal.Notify(spent, syscall.SIGXCPU)
	<-spent
	os.Exit(engine.ExitCPU) //nolint:forbidigo // the main goroutine is inside DuckDB and cannot return
}

// warm runs the parser once, so that the first job does not pay for it.
func warm(ctx context.Context, db *duck.DB) error {
	_, err := db.Parse(ctx, "SELECT 1")
	return err
}

// answer runs one job. Its error means that the database is not clean any more
// and the process has to end after the reply.
func answer(ctx context.Context, db *duck.DB, r engine.Request) (engine.Reply, error) {
	before := duck.CPUTime()
	reply, err := run(ctx, db, r)
	if err != nil {
		reply = engine.Reply{Failure: engine.NewFailure(err)}
	}
	var dirty error
	if r.Kind != engine.KindQuery { // after a query the pool ends the process
		dirty = db.Clean(ctx)
	}
	reply.CPU = duck.CPUTime() - before
	return reply, dirty
}

func run(ctx context.Context, db *duck.DB, r engine.Request) (engine.Reply, error) {
	switch r.Kind {
	case engine.KindParse:
		parsed, err := db.Parse(ctx, r.SQL)
		return engine.Reply{Parsed: &parsed}, err
	case engine.KindDescribe:
		columns, err := db.Describe(ctx, r.SQL, r.Tables)
		return engine.Reply{Columns: columns}, err
	case engine.KindBuild:
		return db.Build(ctx, r)
	case engine.KindCompact:
		out, err := db.Compact(ctx, r)
		return engine.Reply{Output: out}, err
	case engine.KindQuery:
		return db.Query(ctx, r)
	case engine.KindReport:
		return db.Report(ctx, r)
	case engine.KindSurvey:
		f, err := db.Survey(ctx, r)
		return engine.Reply{Fingerprint: f}, err
	}
	return engine.Reply{}, fmt.Errorf("unknown kind of job %q", r.Kind)
}
