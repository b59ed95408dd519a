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

	"github.com/reedbed/reedbed/collect/protocol"
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
	Files  []string `arg:"" name:"file" help:"Files to import; gzip is expanded."`
}

// importTarget is a node to import into: the running one, or one opened for it.
type importTarget interface {
	Accept(ctx context.Context, source string, b *event.Batch) error
	ImportProgress(ctx context.Context, key string) (sqlite.ImportProgress, error)
	SetImportProgress(ctx context.Context, key string, p sqlite.ImportProgress) error
	Drain(ctx context.Context) error
	Settle(ctx context.Context) error
	Status(ctx context.Context) (web.Status, error)
}

// imported is what an import did, as --json prints it. Loaded, Quarantined and
// DuplicatesRemoved are what the node counted meanwhile, and so are of
// Delivered and Others together.
type imported struct {
	Records           int64 `json:"records"`   // of the files, also those an earlier import had sent
	Delivered         int64 `json:"delivered"` // events and broken records, acknowledged
	Loaded            int64 `json:"loaded"`
	Quarantined       int64 `json:"quarantined"`
	DuplicatesRemoved int64 `json:"duplicates_removed"`
	Others            int64 `json:"others"` // events that came from elsewhere meanwhile
}

// Run imports files through the acknowledge path of requests.
func (c importCmd) Run(ctx context.Context, g *globals, t terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	run := importRun{c: c, term: t, limits: protocol.Limits{EventBytes: int(project.Config.Limits.Event)}}
	if run.source, err = c.source(project.Config); err != nil {
		return err
	}
	if run.mapping, err = c.mapping(); err != nil {
		return err
	}
	if err := c.checkFiles(); err != nil {
		return err
	}
	run.bar = newProgress(g, t)
	client, err := node.Connect(ctx, project)
	switch {
	case err == nil:
		run.settle = settleShortly
		err = run.into(ctx, client)
	case errors.Is(err, node.ErrNotRunning):
		run.settle = func(ctx context.Context, target importTarget) error { return target.Settle(ctx) }
		err = node.While(ctx, node.Options{Project: project, Log: g.logger(t)}, func(ctx context.Context, n *node.Node) error {
			return run.into(ctx, n)
		})
	}
	run.bar.wait()
	if err != nil {
		return err
	}
	return run.print(g)
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
	if c.Format != "ndjson" && c.Format != "csv" {
		return nil, &failure{
			Code: "usage", What: "--map does not go with --format " + c.Format, Why: "this format says itself what its fields are",
			Fix: "leave --map out", exit: exitUsage,
		}
	}
	f, err := os.Open(c.Map)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := importer.ReadMapping(f)
	return m, importFailure("mapping", c.Map, err)
}

// checkFiles finds what cannot be opened before anything is sent.
func (c importCmd) checkFiles() error {
	for _, path := range c.Files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return &failure{
				Code: "not_a_file", What: path + " is not a file", Why: "an import that is cut off goes on where it was, which needs a file",
				Fix: "write it to a file first, or POST it to /v1/events", exit: exitFailed,
			}
		}
	}
	return nil
}

// importFailure says where in a file a problem is.
func importFailure(code, path string, err error) error {
	p, ok := errors.AsType[*importer.Problem](err)
	if !ok {
		return err
	}
	at := path
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", path, p.Line)
	}
	return &failure{Code: code, What: p.What, At: at, Fix: p.Fix, exit: exitFailed}
}

// importRun is one import at work.
type importRun struct {
	c       importCmd
	term    terminal
	source  config.Source
	limits  protocol.Limits
	mapping *importer.Mapping
	bar     *progress
	settle  func(context.Context, importTarget) error
	done    imported
}

// into imports all files and waits until their events are rows.
func (r *importRun) into(ctx context.Context, target importTarget) error {
	if err := target.Drain(ctx); err != nil {
		return err
	}
	before, err := target.Status(ctx)
	if err != nil {
		return err
	}
	for _, file := range r.c.Files {
		if err := r.file(ctx, target, file); err != nil {
			return importFailure("file", file, fmt.Errorf("import %s: %w", file, err))
		}
	}
	if err := target.Drain(ctx); err != nil {
		return err
	}
	after, err := target.Status(ctx)
	if err != nil {
		return err
	}
	r.done.Loaded = after.Totals.Loaded - before.Totals.Loaded
	r.done.Quarantined = after.Totals.Quarantined - before.Totals.Quarantined
	r.done.DuplicatesRemoved = after.Totals.DuplicatesRemoved - before.Totals.DuplicatesRemoved
	r.done.Others = r.done.Loaded + r.done.Quarantined + r.done.DuplicatesRemoved - r.done.Delivered
	return r.settle(ctx, target)
}

// settleShortly gives a running node time to compute what follows from the
// import. It may have work without end, so it is not waited for.
func settleShortly(ctx context.Context, target importTarget) error {
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := target.Settle(short); err != nil && short.Err() == nil {
		return err
	}
	return ctx.Err()
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
	content, err := expand(r.bar.track(path, size, f))
	if err != nil {
		return err
	}
	res, err := importer.File(ctx, content, importer.Options{
		Format: r.c.Format, Mapping: r.mapping, Limits: r.limits, Skip: had.Lines,
		KeepIP: func(ip string) string { return event.KeepIP(event.IPPolicy(r.source.IP), ip) },
		Send:   func(ctx context.Context, b *event.Batch) error { return r.send(ctx, target, b) },
		Sent: func(offset, records int64) error {
			return target.SetImportProgress(ctx, key, sqlite.ImportProgress{Offset: offset, Lines: records})
		},
	})
	r.done.Records += res.Records
	r.done.Delivered += res.Sent
	if err != nil {
		return err
	}
	return target.SetImportProgress(ctx, key, sqlite.ImportProgress{Offset: res.Bytes, Lines: res.Records, Done: true})
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

// key names the import of a file for going on with it: the file's content, the
// source, the format and the mapping.
func (r *importRun) key(f *os.File) (key string, size int64, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q\n", r.c.Source, r.c.Format, fmt.Sprint(r.mapping))
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

func (r *importRun) print(g *globals) error {
	if g.JSON {
		return json.NewEncoder(r.term.out).Encode(r.done)
	}
	if r.done.Others > 0 && !g.Quiet {
		fmt.Fprintf(r.term.err, "%d events came from elsewhere meanwhile; the figures include them\n", r.done.Others)
	}
	_, err := fmt.Fprintf(r.term.out, "%d records: %d rows added, %d in quarantine, %d duplicates removed\n",
		r.done.Records, r.done.Loaded, r.done.Quarantined, r.done.DuplicatesRemoved)
	return err
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
