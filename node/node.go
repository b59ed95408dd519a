// Package node is the program as a value: it opens a project's journal, store,
// catalog and workers, wires the parts together and runs them. Wiring lives
// here and nowhere else.
//
// It never prints, never exits the process, and holds no rules of its own about
// events, datasets or SQL.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/reedbed/reedbed/collect"
	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/load"
	"github.com/reedbed/reedbed/query"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// Node is one project at work. Open holds the project's lock until Close.
type Node struct {
	project  config.Project
	log      *slog.Logger
	registry *prometheus.Registry

	lock      *disk.Root // of the data folder; its lock makes us the only writer
	unlock    func() error
	journal   *journal.Journal
	store     *store.Store
	catalog   *sqlite.Catalog
	pool      *engine.Pool
	loader    *load.Loader
	converger *converge.Converger
	door      *collect.Door
	query     *query.Service
	leases    *leases

	listener net.Listener // nil until Listen

	// stopping ends when Run begins to drain; it ends streams without an end.
	stopping   context.Context //nolint:containedctx // it is the node's life, not a call's
	stop       context.CancelFunc
	problems   problems
	arrivals   arrivals
	reload     func() (config.Project, error)  // nil: sources stay
	reloaded   atomic.Pointer[[]config.Source] // by it; nil: those of the project
	applyFiles bool                            // deploy the project's files at the start
	deployed   atomic.Bool                     // the project's definitions are at work
	running    atomic.Bool                     // Run was called
}

// Options of a node.
type Options struct {
	Project config.Project
	Log     *slog.Logger
	// Engine starts workers; zero takes the running binary.
	WorkerBinary string
	WorkerArgs   []string
	WorkerEnv    []string
	// Apply deploys the project's files at the start of Run.
	Apply bool
	// Reload reads the project again, as it was read at the start; with it, sources
	// follow reedbed.yaml while the node runs.
	Reload func() (config.Project, error)
}

// recordSlack is what one request's record may have beside its body: lengths,
// verdicts and reasons of its events.
const recordSlack = 2 << 20

// builtinAllowance is how long after its end an hour of raw stays open.
const builtinAllowance = stage.DefaultAllowance

// Open opens everything a project needs to work and recovers the journal. A
// project that another process runs is refused. Nothing runs until Run.
func Open(ctx context.Context, o Options) (n *Node, err error) {
	n = &Node{project: o.Project, log: o.Log, applyFiles: o.Apply, reload: o.Reload, registry: prometheus.NewRegistry()}
	n.stopping, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.takeLock(); err != nil {
		return n, err
	}
	if err := n.openStorage(ctx); err != nil {
		return n, err
	}
	if err := n.openWorkers(o); err != nil {
		return n, err
	}
	return n, n.wire()
}

// takeLock makes this process the only one that changes the project, and
// removes what workers of a dead one left behind.
func (n *Node) takeLock() error {
	if err := os.MkdirAll(n.project.DataDir(), 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	root, err := disk.Open(n.project.DataDir())
	if err != nil {
		return err
	}
	n.lock = root
	held, err := root.Lock(filepath.Base(n.project.LockFile()))
	if err != nil {
		return fmt.Errorf("project %s is in use: %w", n.project.Dir, err)
	}
	n.unlock = held.Close
	return os.RemoveAll(n.project.WorkDir())
}

func (n *Node) openStorage(ctx context.Context) error {
	c := n.project.Config
	folder, err := openFolder(n.project.JournalDir())
	if err != nil {
		return err
	}
	n.journal, err = journal.Open(folder, journal.Options{
		SegmentBytes: int64(c.Journal.Segment), QueueBytes: int64(c.Journal.Queue), MaxRecord: int(c.Limits.Expanded) + recordSlack,
		Reserve: int64(c.Journal.Reserve), Grace: c.Journal.Grace, Log: n.log.With("part", "journal"),
	})
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if n.store, err = openStore(n.project.StoreDir()); err != nil {
		return err
	}
	n.catalog, err = sqlite.Open(ctx, sqlite.Options{Path: n.project.CatalogFile()})
	if err != nil {
		return err
	}
	for _, s := range Builtins() {
		if err := n.catalog.EnsureDataset(ctx, s, builtinAllowance); err != nil {
			return err
		}
	}
	return nil
}

func openFolder(dir string) (*disk.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return disk.Open(dir)
}

func openStore(dir string) (*store.Store, error) {
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return store.Open(root)
}

// Builtins are the datasets the loader writes.
func Builtins() []dataset.Spec {
	return []dataset.Spec{
		{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Owner: "reedbed", Columns: load.RawColumns(), HashScheme: "raw/1"},
		{Name: dataset.Quarantine, Kind: dataset.Builtin, Grain: dataset.Hour, Owner: "reedbed", Columns: load.QuarantineColumns(), HashScheme: "raw/1"},
	}
}

func (n *Node) openWorkers(o Options) error {
	c := n.project.Config
	if err := os.MkdirAll(n.project.WorkDir(), 0o700); err != nil {
		return err
	}
	var err error
	n.pool, err = engine.NewPool(engine.Options{
		Binary: o.WorkerBinary, Args: o.WorkerArgs, Env: o.WorkerEnv, Dir: n.project.WorkDir(),
		StageWorkers: c.Stages.Workers, MaxQueries: c.Query.Workers,
		Defaults: engine.Limits{Wall: c.Stages.Deadline, Memory: int64(c.Stages.Memory)},
		Log:      n.log.With("part", "engine"), Registry: n.registry,
	})
	if err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	return nil
}

// wire makes the parts that hold no files of their own and ties them together.
func (n *Node) wire() error {
	c := n.project.Config
	var err error
	n.converger = converge.New(converge.Options{
		Catalog: n.catalog, Engine: n.pool, Store: n.store, Semantics: Semantics(), HashScheme: engine.HashScheme,
		Workers: max(1, c.Stages.Workers), Watermark: n.watermark,
		Log: n.log.With("part", "converge"), Registry: n.registry,
	})
	n.loader = load.New(load.Options{
		Journal: n.journal, Catalog: n.catalog, Store: n.store, Cycle: c.Load.Cycle, MaxBytes: int64(c.Load.Batch),
		Policy: func(string) event.Policy {
			p := event.DefaultPolicy()
			p.MaxLateness = c.Limits.MaxLateness
			return p
		},
		Limits: protocolLimits(c), Compactor: compactor{n.pool}, OrderBy: n.orderOf,
		OnCommit: func(dataset.LoadCommit) { n.converger.Wake() },
		Log:      n.log.With("part", "load"), Registry: n.registry,
	})
	n.door, err = collect.New(collect.Options{
		Journal: n.journal, Sources: sources(c), Limits: doorLimits(c), TrustedProxies: c.TrustedProxies,
		Log: n.log.With("part", "collect"), Registry: n.registry,
	})
	if err != nil {
		return err
	}
	n.query = &query.Service{Catalog: n.catalog, Engine: n.pool, Store: n.store, Limits: queryLimits(c)}
	n.leases = &leases{catalog: n.catalog, id: fmt.Sprintf("node-%d", os.Getpid())}
	return nil
}

// Semantics are the hand-bumped numbers code identities are made with.
func Semantics() stage.Semantics {
	return stage.Semantics{Engine: engine.Semantics, Functions: engine.Functions()}
}

func sources(c config.Config) []collect.Source {
	var out []collect.Source
	for _, s := range c.Sources {
		x := collect.Source{
			Name: s.Name, Origins: s.Origins, ClientIP: event.IPPolicy(s.IP), Rate: float64(s.Rate), Burst: float64(s.Burst),
			AddressRate: float64(s.AddressRate),
		}
		for _, k := range s.Keys {
			x.Keys = append(x.Keys, string(k))
		}
		for _, secret := range s.Signing {
			key, _ := secret.SigningKey() // it was validated
			x.SigningKeys = append(x.SigningKeys, key)
		}
		out = append(out, x)
	}
	return out
}

func doorLimits(c config.Config) collect.Limits {
	return collect.Limits{
		Compressed: int64(c.Limits.Compressed), Expanded: int64(c.Limits.Expanded), InFlightBytes: int64(c.Limits.Inflight),
		Events: protocolLimits(c), SignatureWindow: c.Limits.SignatureWindow,
	}
}

func protocolLimits(c config.Config) protocol.Limits {
	return protocol.Limits{EventBytes: int(c.Limits.Event), Events: c.Limits.BatchEvents}
}

// compactor rewrites files in an engine worker.
type compactor struct{ pool *engine.Pool }

func (c compactor) Compact(ctx context.Context, files, orderBy []string) (path string, rows, bytes int64, err error) {
	out, _, err := c.pool.Compact(ctx, engine.CompactJob{Files: files, OrderBy: orderBy})
	return out.Path, out.Rows, out.Bytes, err
}

// orderOf is how files of a dataset are sorted: built-in ones by the loader's
// rule, stages by their key.
func (n *Node) orderOf(name string) []string {
	if name == dataset.Raw || name == dataset.Quarantine {
		return load.BuiltinOrder(name)
	}
	return n.converger.Key(strings.TrimSuffix(name, "_rejected"))
}

// watermark is the received time up to which everything is loaded: now when
// nothing waits in the journal, else the receipt of the last loaded event.
func (n *Node) watermark(ctx context.Context) (time.Time, error) {
	now := time.Now()
	cur, err := n.catalog.LoadCursor(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if n.journal.Durable().Event <= cur.Event {
		return now, nil
	}
	return cur.ReceivedTo, nil
}

// Close stops what still runs and gives everything back. The journal's last
// records stay durable whether or not Close is reached.
func (n *Node) Close() error {
	n.stop()
	var errs []error
	if n.loader != nil {
		errs = append(errs, n.loader.Close())
	}
	if n.pool != nil {
		errs = append(errs, n.pool.Close())
	}
	if n.journal != nil {
		errs = append(errs, n.journal.Close())
	}
	if n.catalog != nil {
		errs = append(errs, n.catalog.Close())
	}
	if n.unlock != nil {
		errs = append(errs, n.unlock())
	}
	return errors.Join(errs...)
}
