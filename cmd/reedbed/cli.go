package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/reedbed/reedbed/config"
)

// cli is the command line. Each subcommand is one file.
type cli struct {
	globals

	Demo       demoCmd       `cmd:"" help:"Run the example project with simulated listeners."`
	Init       initCmd       `cmd:"" help:"Make a project from a template."`
	Up         upCmd         `cmd:"" help:"Run a project."`
	Plan       planCmd       `cmd:"" help:"Say what deploying the definitions would do."`
	Apply      applyCmd      `cmd:"" help:"Deploy the definitions."`
	Rollback   rollbackCmd   `cmd:"" help:"Put earlier definitions back."`
	Import     importCmd     `cmd:"" help:"Import files of events."`
	SQL        sqlCmd        `cmd:"" name:"sql" help:"Answer one SELECT over the datasets."`
	Status     statusCmd     `cmd:"" help:"Say what is loaded, fresh, stale and failed."`
	Why        whyCmd        `cmd:"" help:"Say why a partition is as it is."`
	Diff       diffCmd       `cmd:"" help:"Say how two versions differ."`
	Tail       tailCmd       `cmd:"" help:"Show events as they arrive."`
	Lint       lintCmd       `cmd:"" help:"Check the files of a project."`
	Contract   contractCmd   `cmd:"" help:"Check contracts, and say what a dataset is held to."`
	Test       testCmd       `cmd:"" help:"Try the stages on the cases of tests/*.yaml."`
	Verify     verifyCmd     `cmd:"" help:"Compute partitions again and compare, and read the files on record."`
	Waive      waiveCmd      `cmd:"" help:"Agree that partitions stay as they are although stale."`
	Approve    approveCmd    `cmd:"" help:"Let a version that is held go to readers."`
	Promote    promoteCmd    `cmd:"" help:"Send the readers of a partition to an older version of it."`
	Pin        pinCmd        `cmd:"" help:"Make a stage read an input as it was."`
	Quarantine quarantineCmd `cmd:"" help:"Look at what is refused, and try again what does not decode."`
	GC         gcCmd         `cmd:"" name:"gc" help:"Remove the files of old versions, and what nobody reads any more."`
	Journal    journalCmd    `cmd:"" help:"Look into the journal."`
	Simulate   simulateCmd   `cmd:"" help:"Send simulated listeners to a front door."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print the completion script of a shell."`
}

// globals are the flags every subcommand has.
type globals struct {
	Dir     string `name:"project" short:"C" default:"." env:"REEDBED_DIR" placeholder:"DIR" help:"Project folder."`
	JSON    bool   `help:"Answers and errors as JSON."`
	Quiet   bool   `short:"q" help:"Say nothing but answers and errors."`
	Verbose bool   `short:"v" help:"Say more about what happens."`
}

// terminal is where a subcommand reads and writes: data on out, talk on err. Unless
// --json asks for JSON, out shows what a terminal would obey; raw is the same without
// that, for what has a format of its own.
type terminal struct {
	in            io.Reader
	out, raw, err io.Writer
}

// run does what args ask for and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if code, is := runWorker(args, stdin, stdout, stderr); is {
		return code
	}
	term := terminal{in: stdin, out: forPeople{stdout}, raw: stdout, err: stderr}
	var c cli
	shown := false // kong printed what was asked for, such as help
	parser, err := kong.New(&c,
		kong.Name("reedbed"),
		kong.Description("A first-party behavioural data pipeline: every acknowledged event kept, counted once, "+
			"and every answer recomputed when its history changes."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { shown = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&c.globals),
	)
	if err != nil {
		return report(term, false, err)
	}
	command, err := parser.Parse(args)
	if shown {
		return exitFine
	}
	if err != nil { // then c.JSON may not be set yet
		return report(term, slices.Contains(args, "--json"), usageError(err))
	}
	if c.JSON {
		term.out = term.raw
	}
	return report(term, c.JSON, command.Run(parser.Model, term))
}

// project loads the project the global flags name. flags are settings the
// subcommand's own flags override, by path.
func (g *globals) project(flags map[string]string) (config.Project, error) {
	return config.Load(g.Dir, os.Environ(), flags)
}

// logger writes to stderr what -q and -v allow, as JSON with --json.
func (g *globals) logger(term terminal) *slog.Logger {
	level := slog.LevelInfo
	switch {
	case g.Quiet:
		level = slog.LevelError
	case g.Verbose:
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	if g.JSON {
		return slog.New(slog.NewJSONHandler(term.err, options))
	}
	return slog.New(slog.NewTextHandler(term.err, options))
}
