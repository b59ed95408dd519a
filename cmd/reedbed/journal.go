package main

import (
	"errors"
	"io/fs"

	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
)

type journalCmd struct {
	Dump journalDumpCmd `cmd:"" help:"Show what is in the journal's files."`
}

type journalDumpCmd struct {
	Records bool `help:"Every record, not only segments and damage."`
}

// Run reads the journal's files, whether or not a node has them open.
func (c journalDumpCmd) Run(g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	folder, err := disk.Open(project.JournalDir())
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{
			Code: "no_journal", What: "the project has no journal yet", At: project.JournalDir(),
			Fix: "start it with: reedbed up -C " + g.Dir, exit: exitFailed,
		}
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	return journal.Dump(folder, term.out, c.Records)
}
