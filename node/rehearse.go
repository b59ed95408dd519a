package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/rehearse"
	"github.com/reedbed/reedbed/stage"
)

// Rehearsal is what came of a project's cases.
type Rehearsal struct {
	rehearse.Report
	// Problems are what is wrong with the project's files. Where stages are named,
	// those of stages that neither are nor hinder them are left out.
	Problems []stage.Problem
	Stages   []string // that can run, upstream first
}

// Rehearse tries a project's cases, or those of the stages named, in one worker
// and without the project's data.
func Rehearse(ctx context.Context, o Options, only []string) (r Rehearsal, err error) {
	dir, err := os.MkdirTemp("", "reedbed-test-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := o.Project.Config
	limits := engine.Limits{Wall: c.Stages.Deadline, Memory: int64(c.Stages.Memory)}
	pool, err := engine.NewPool(engine.Options{
		Binary: o.WorkerBinary, Args: o.WorkerArgs, Env: o.WorkerEnv, Dir: dir,
		StageWorkers: 1, QueryWorkers: -1, Defaults: limits, Log: o.Log,
	})
	if err != nil {
		return r, err
	}
	err = withDefinitions(o.Project.Dir, func(p converge.Project) error {
		bound, problems, err := converge.Bind(ctx, pool, Semantics(), Builtins(), p)
		if err != nil {
			return err
		}
		project := rehearse.Project{Stages: bound.Stages, Columns: bound.Columns, Sides: bound.Sides, Broken: broken(problems)}
		for _, s := range bound.Stages {
			r.Stages = append(r.Stages, s.Name)
		}
		if len(only) == 0 || slices.ContainsFunc(only, func(name string) bool { return !slices.Contains(r.Stages, name) }) {
			r.Problems = problems
		}
		files, problems, err := cases(o)
		if err != nil {
			return err
		}
		r.Problems = append(r.Problems, problems...)
		r.Report, problems, err = rehearse.Run(ctx, rehearse.Options{Project: project, Engine: pool, Limits: limits, Only: only}, files)
		r.Problems = append(r.Problems, problems...)
		return err
	})
	return r, errors.Join(err, pool.Close())
}

// broken names the stages that problems are about.
func broken(problems []stage.Problem) []string {
	var out []string
	for _, p := range problems {
		if folder, file := path.Split(p.File); folder == "stages/" {
			out = append(out, strings.TrimSuffix(file, ".sql"))
		}
	}
	return out
}

// cases reads the tests folder.
func cases(o Options) ([]rehearse.File, []stage.Problem, error) {
	root, err := o.Project.Root()
	if err != nil {
		return nil, nil, err
	}
	defer root.Close() // opened for reading
	folder, err := fs.Sub(root.FS(), "tests")
	if err != nil {
		return nil, nil, err
	}
	files, problems := rehearse.ReadFolder(folder, "tests")
	return files, problems, nil
}
