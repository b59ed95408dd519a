package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/importer"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/web"
)

type importCmd struct {
	Source string   `required:"" help:"Name of the source the events belong to."`
	Format string   `required:"" enum:"ndjson,csv,combined,segment" help:"ndjson, csv, combined or segment."`
	Map    string   `placeholder:"FILE" help:"YAML that says where in a record the envelope's fields are."`
	Files  []string `arg:"" name:"file" help:"Files to import; .gz is expanded."`
}

// importTarget is a node to import into: the running one, or one opened for it.
type importTarget interface {
	Accept(ctx context.Context, source string, b *event.Batch) error
	ImportProgress(ctx context.Context, key string) (sqlite.ImportProgress, error)
	SetImportProgress(ctx context.Context, key string, p sqlite.ImportProgress) error
	Settle(ctx context.Context) error
	Status(ctx context.Context) (web.Status, error)
}

// imported is what an import did, as --json prints it.
type imported struct {
	Records           int64 `json:"records"`
	Delivered         int64 `json:"delivered"`
	Loaded            int64 `json:"loaded"`
	Quarantined       int64 `json:"quarantined"`
	DuplicatesRemoved int64 `json:"duplicates_removed"`
}

// Run imports files through the acknowledge path of requests.
func (c importCmd) Run(ctx context.Context, g *globals, t terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	source, err := c.source(project.Config)
	if err != nil {
		return err
	}
	mapping, err := c.mapping()
	if err != nil {
		return err
	}
	run := importRun{c: c, source: source, mapping: mapping, bar: newProgress(g, t)}
	client, err := node.Connect(ctx, project)
	switch {
	case err == nil:
		err = run.into(ctx, client)
	case errors.Is(err, node.ErrNotRunning):
		err = node.While(ctx, node.Options{Project: project, Log: g.logger(t)}, func(ctx context.Context, n *node.Node) error {
			return run.into(ctx, n)
		})
	}
	run.bar.wait()
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(t.out).Encode(run.done)
	}
	_, err = fmt.Fprintf(t.out, "%d records: %d rows added, %d in quarantine, %d duplicates removed\n",
		run.done.Records, run.done.Loaded, run.done.Quarantined, run.done.DuplicatesRemoved)
	return err
}

func (c importCmd) source(cfg config.Config) (config.Source, error) {
	var names []string
	for _, s := range cfg.Sources {
		if s.Name == c.Source {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return config.Source{}, &failure{
		Code: "unknown_source", What: fmt.Sprintf("there is no source %q", c.Source), At: config.FileName,
		Fix: "name one of these: " + strings.Join(names, ", "), exit: exitFailed,
	}
}

func (c importCmd) mapping() (*importer.Mapping, error) {
	if c.Map == "" {
		return nil, nil //nolint:nilnil // no mapping is a choice
	}
	f, err := os.Open(c.Map)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return importer.ReadMapping(f, c.Map)
}

// importRun is one import at work.
type importRun struct {
	c       importCmd
	source  config.Source
	mapping *importer.Mapping
	bar     *progress
	done    imported
}

// into imports all files and waits until their events are rows.
func (r *importRun) into(ctx context.Context, target importTarget) error {
	before, err := target.Status(ctx)
	if err != nil {
		return err
	}
	for _, file := range r.c.Files {
		if err := r.file(ctx, target, file); err != nil {
			return fmt.Errorf("import %s: %w", file, err)
		}
	}
	if err := target.Settle(ctx); err != nil {
		return err
	}
	after, err := target.Status(ctx)
	if err != nil {
		return err
	}
	r.done.Loaded = after.Totals.Loaded - before.Totals.Loaded
	r.done.Quarantined = after.Totals.Quarantined - before.Totals.Quarantined
	r.done.DuplicatesRemoved = after.Totals.DuplicatesRemoved - before.Totals.DuplicatesRemoved
	return nil
}

// file imports one file. An import that was cut off goes on where the last
// acknowledged batch ended; a finished one is sent again whole, and every
// event of it is removed as a duplicate.
func (r *importRun) file(ctx context.Context, target importTarget, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	key, size, err := r.key(f)
	if err != nil {
		return err
	}
	had, err := target.ImportProgress(ctx, key)
	if err != nil {
		return err
	}
	if had.Done {
		had = sqlite.ImportProgress{}
	}
	tracked := r.bar.track(path, size, f)
	content, err := expand(tracked)
	if err != nil {
		return err
	}
	res, err := importer.File(ctx, content, importer.Options{
		Format: r.c.Format, Mapping: r.mapping, Skip: had.Lines,
		KeepIP: func(ip string) string { return event.KeepIP(event.IPPolicy(r.source.IP), ip) },
		Send:   func(ctx context.Context, b *event.Batch) error { return r.send(ctx, target, b) },
		Sent: func(offset, lines int64) error {
			return target.SetImportProgress(ctx, key, sqlite.ImportProgress{Offset: offset, Lines: lines})
		},
	})
	r.done.Records += res.Lines
	r.done.Delivered += res.Sent
	if err != nil {
		return err
	}
	return target.SetImportProgress(ctx, key, sqlite.ImportProgress{Offset: res.Bytes, Lines: res.Lines, Done: true})
}

// send delivers a batch; a full or busy journal is asked again, later each time.
func (r *importRun) send(ctx context.Context, target importTarget, b *event.Batch) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := target.Accept(ctx, r.c.Source, b)
		if !errors.Is(err, journal.ErrOverloaded) && !errors.Is(err, journal.ErrFull) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// key names the import of a file for going on with it: the file's beginning and
// size, the source, the format and the mapping.
func (r *importRun) key(f *os.File) (key string, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d %q\n", r.c.Source, r.c.Format, info.Size(), fmt.Sprint(r.mapping))
	if _, err := io.CopyN(h, f, 64<<10); err != nil && !errors.Is(err, io.EOF) {
		return "", 0, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)), info.Size(), err
}

// expand takes gzip for what it is, whatever the file is called.
func expand(r io.Reader) (io.Reader, error) {
	head := make([]byte, 2)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	whole := io.MultiReader(strings.NewReader(string(head[:n])), r)
	if n == 2 && head[0] == 0x1f && head[1] == 0x8b {
		return gzip.NewReader(whole)
	}
	return whole, nil
}
