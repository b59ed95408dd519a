package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

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
	if _, err := os.Stat(project.JournalDir()); errors.Is(err, fs.ErrNotExist) {
		return &failure{
			Code: "no_journal", What: "the project has no journal yet", At: project.JournalDir(),
			Fix: "start it with: reedbed up -C " + g.Dir, exit: exitFailed,
		}
	}
	folder, err := disk.Open(project.JournalDir())
	if err != nil {
		return err
	}
	if g.JSON {
		err = c.lines(folder, term)
	} else {
		err = journal.Dump(folder, term.out, c.Records)
	}
	return errors.Join(err, folder.Close())
}

// found is a finding as a line of JSON. What a kind does not have is left out.
type found struct {
	Kind       string `json:"kind"`
	Segment    string `json:"segment"`
	Generation uint64 `json:"generation,omitempty"`
	Offset     int64  `json:"offset,omitempty"`
	Bytes      int64  `json:"bytes"`
	Record     uint64 `json:"record"`
	Event      uint64 `json:"event"`
	Events     uint32 `json:"events,omitempty"`
	Refused    uint32 `json:"refused,omitempty"`
}

func (c journalDumpCmd) lines(folder disk.FS, term terminal) error {
	out := json.NewEncoder(term.out)
	for f, err := range journal.Inspect(folder) {
		if err != nil {
			return err
		}
		if !c.Records && (f.Kind == journal.FoundRecord || f.Kind == journal.FoundMark) {
			continue
		}
		line := found{
			Kind: f.Kind, Segment: f.Segment, Generation: f.Generation, Offset: f.Offset, Bytes: f.Bytes,
			Record: f.At.Record, Event: f.At.Event, Events: f.Events, Refused: f.Refused,
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
