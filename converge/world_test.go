package converge

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/internal/disk"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/store"
)

// definition is one stage of a random project.
type definition struct {
	name    string
	grain   dataset.Grain
	program program
	windows map[string]string
	rejects string
	late    string // of the header
	comment string
	holds   string // its contract
	release string
	broken  bool // the file is; the stage as it was deployed goes on
	gone    bool // there is no file
}

func (w *world) file(d definition) string {
	var b strings.Builder
	fmt.Fprintf(&b, "/* @stage\nowner: test\npartition: %s\n", d.grain)
	if d.rejects != "" {
		fmt.Fprintf(&b, "rejects: %q\n", w.engine.rule(d.rejects))
	}
	if d.late != "" {
		fmt.Fprintf(&b, "late: %s\n", d.late)
	}
	if d.release != "" {
		fmt.Fprintf(&b, "release: %s\n", d.release)
	}
	if d.holds != "" {
		fmt.Fprintf(&b, "contract: %s\n", d.holds)
	}
	b.WriteString("inputs:\n")
	for _, name := range slices.Sorted(maps.Keys(d.windows)) {
		fmt.Fprintf(&b, "  %s: {window: %s}\n", name, d.windows[name])
	}
	if d.broken {
		return b.String() + "*/\nSELEKT"
	}
	return b.String() + "*/\n" + d.comment + w.engine.text(d.program)
}

// world is a project at work, and what is needed to say what must come out.
type world struct {
	tb      rapid.TB
	dir     string
	engine  *witness
	store   *store.Store
	catalog *sqlite.Catalog
	ledger  *ledger
	ahead   atomic.Int64 // how far the catalog's clock is ahead of the machine's
	mark    atomic.Int64 // watermark, microseconds
	base    time.Time    // hour 0

	converger *Converger
	kill      context.CancelFunc // of everything under way
	ended     chan error

	stages []definition // upstream first
	sides  map[string][]int64
	relies map[string]string // contracts of consumers, by file
	raw    map[int64][]row   // by hour
	value  int64
	closed map[place]map[string][]int64 // the side inputs as they were then
	lost   int64                        // at most so many builds went with a process
	held   bool                         // something is waived or pinned
}

const (
	present = 16 * 24 // the hour it is when a world begins
	workers = 2
)

// newWorld makes a project without stages in a new folder, which close removes.
// The catalog's file is a copy of one of newCatalog. Without a backend it has
// one of its own, in memory.
func newWorld(tb rapid.TB, b backend, catalog []byte) *world {
	return newWorldIn(inMemory(), tb, b, catalog)
}

func newWorldIn(dir string, tb rapid.TB, b backend, catalog []byte) *world {
	w := &world{
		tb: tb, base: time.Now().UTC().Truncate(time.Hour).Add(-present * time.Hour).Truncate(24 * time.Hour),
		sides: map[string][]int64{}, raw: map[int64][]row{}, closed: map[place]map[string][]int64{},
	}
	var err error
	w.dir, err = os.MkdirTemp(dir, "reedbed-converge-") // in memory, where there is such a folder
	w.must(err)
	w.mark.Store(w.base.UnixMicro())
	for _, sub := range []string{"out", "store", "data"} {
		w.must(os.Mkdir(filepath.Join(w.dir, sub), 0o700))
	}
	root, err := disk.Open(filepath.Join(w.dir, "store"))
	w.must(err)
	w.store, err = store.Open(root)
	w.must(err)
	if b == nil {
		b = &fakeEngine{dir: filepath.Join(w.dir, "out"), timed: w.timed}
	}
	w.engine = &witness{backend: b}
	w.must(os.WriteFile(w.catalogPath(), catalog, 0o600))
	w.ledger, err = openLedger(w.catalogPath())
	w.must(err)
	w.open()
	return w
}

// inMemory is a folder in memory, where there is one: what is tested here fails
// by itself and needs no disk to wait for.
func inMemory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// newCatalog is the file of a catalog that has raw and nothing else, and keeps
// a ledger.
func newCatalog(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	raw := dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour, Columns: columns()}
	err = errors.Join(c.EnsureDataset(t.Context(), raw, 5*time.Minute), c.Close(), prepareLedger(t.Context(), path))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func columns() []dataset.Column {
	return []dataset.Column{{Name: "hour", Type: "BIGINT"}, {Name: "value", Type: "BIGINT"}}
}

func (w *world) catalogPath() string { return filepath.Join(w.dir, "catalog.db") }

func (w *world) open() {
	var err error
	w.catalog, err = sqlite.Open(context.Background(), sqlite.Options{
		Path: w.catalogPath(),
		Now:  func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	})
	w.must(err)
}

// pass lets time pass for what is recorded.
func (w *world) pass(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) must(err error) {
	if err != nil {
		w.tb.Helper()
		w.tb.Fatal(err)
	}
}

// timed says whether a dataset is cut by time; stages' grains never change.
func (w *world) timed(name string) bool {
	for _, d := range w.stages {
		if d.name == strings.TrimSuffix(name, "_rejected") {
			return d.grain != dataset.None
		}
	}
	return name == dataset.Raw
}

func (w *world) options() Options {
	return Options{
		Catalog: w.catalog, Engine: w.engine, Store: w.store, Semantics: stage.Semantics{Engine: 1}, HashScheme: "test", Workers: workers,
		Watermark: func(context.Context) (time.Time, error) { return time.UnixMicro(w.mark.Load()), nil },
		Log:       slog.New(w.ledger),
	}
}

func (w *world) start() {
	w.engine.setBarrier(nil)
	w.converger = New(w.options())
	w.deploy()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	c := w.converger
	go func() { ended <- c.Run(ctx) }()
	w.kill, w.ended = cancel, ended
}

func (w *world) stop() {
	w.kill()
	if w.ended != nil {
		w.must(<-w.ended)
		w.ended = nil
		w.lost += workers
	}
}

// reopen stops everything, if it still runs, and starts again from the files.
func (w *world) reopen() {
	w.stop()
	w.must(w.catalog.Close())
	w.open()
	w.start()
}

func (w *world) close() {
	w.stop()
	w.must(errors.Join(w.catalog.Close(), w.ledger.Close(), os.RemoveAll(w.dir)))
}

func (w *world) deploy() {
	problems, err := w.deployWithin(context.Background())
	w.must(err)
	broken := slices.ContainsFunc(w.stages, func(d definition) bool { return d.broken || d.gone })
	if len(problems) > 0 && !broken {
		w.tb.Fatalf("problems: %v", problems)
	}
}

func (w *world) deployWithin(ctx context.Context) ([]stage.Problem, error) {
	return w.converger.Deploy(ctx, w.project())
}

// project writes the world's files.
func (w *world) project() Project {
	files := fstest.MapFS{}
	for _, d := range w.stages {
		if !d.gone {
			files[d.name+".sql"] = &fstest.MapFile{Data: []byte(w.file(d))}
		}
	}
	data := filepath.Join(w.dir, "data")
	for name, values := range w.sides {
		var text strings.Builder
		text.WriteString("v\n")
		for _, v := range values {
			fmt.Fprintln(&text, v)
		}
		w.must(os.WriteFile(filepath.Join(data, name+".csv"), []byte(text.String()), 0o600))
	}
	contracts := fstest.MapFS{}
	for name, text := range w.relies {
		contracts[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Project{Stages: files, Data: os.DirFS(data), Contracts: contracts, DataDir: data}
}

// load adds rows to some hours, as the loader does.
func (w *world) load(at ...int64) {
	byHour := map[int64][]row{}
	for _, h := range at {
		w.value++
		byHour[h] = append(byHour[h], row{h, w.value})
	}
	from, err := w.catalog.LoadCursor(context.Background())
	w.must(err)
	commit := dataset.LoadCommit{From: from, To: from, Loaded: int64(len(at))}
	commit.To.Record, commit.To.Event = from.Record+1, from.Event+uint64(len(at))
	for h, rows := range byHour {
		commit.Segments = append(commit.Segments, w.object(dataset.Raw, w.partition(dataset.Hour, h), rows))
		w.raw[h] = append(w.raw[h], rows...)
	}
	w.must(w.catalog.CommitLoad(context.Background(), commit))
	w.converger.Wake()
}

func (w *world) object(name string, p dataset.Partition, rows []row) dataset.NewSegment {
	out, err := w.engine.write(rows)
	w.must(err)
	return w.stored(name, p, out)
}

func (w *world) stored(name string, p dataset.Partition, out engine.Output) dataset.NewSegment {
	o, err := w.store.Adopt(out.Path, "parquet")
	w.must(err)
	return dataset.NewSegment{Dataset: name, Partition: p, Object: o.ID, Rows: out.Rows, Bytes: o.Bytes, Hash: out.Hash}
}

func (w *world) partition(g dataset.Grain, hour int64) dataset.Partition {
	return dataset.PartitionAt(g, w.base.Add(time.Duration(hour)*time.Hour))
}

// compact merges segments of whatever has two or more of one size.
func (w *world) compact() {
	ctx := context.Background()
	found, _, err := w.catalog.CompactionCandidates(ctx, 0, 2, 10)
	w.must(err)
	for _, c := range found {
		k := dataset.Compaction{Dataset: c.Dataset, Partition: c.Partition}
		var files []string
		for _, s := range c.Segments {
			files, k.Replaced = append(files, w.store.Path(s.Object)), append(k.Replaced, s.ID)
		}
		out, err := w.engine.join(files)
		w.must(err)
		k.Segment = w.stored(c.Dataset, c.Partition, out)
		if err := w.catalog.CommitCompaction(ctx, k); err != nil && !errors.Is(err, dataset.ErrSegmentGone) {
			w.tb.Fatal(err)
		}
	}
}

// settle waits for convergence, with failures tried again, and notes what closed.
func (w *world) settle() {
	w.engine.setBarrier(nil)
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		err := w.converger.Settle(ctx)
		cancel()
		w.must(err)
		s, err := w.catalog.Status(context.Background())
		w.must(err)
		if len(s.Errors) == 0 {
			break
		}
		w.pass(10 * time.Minute) // beyond every retry
	}
	w.noteClosed()
}

func (w *world) noteClosed() {
	err := w.ledger.each("SELECT d.name, p.name FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE p.closed_at IS NOT NULL",
		func(rows *sql.Rows) error {
			var p place
			err := rows.Scan(&p.dataset, &p.partition)
			if w.closed[p] == nil {
				w.closed[p] = maps.Clone(w.sides)
			}
			return err
		})
	w.must(err)
}

// versions counts the versions on record of a partition.
func (w *world) versions(name string, p dataset.Partition) (n int) {
	w.must(w.ledger.each(`SELECT COUNT(*) FROM versions v JOIN partitions p ON p.id = v.partition_id JOIN datasets d ON d.id = p.dataset_id
		WHERE d.name = ? AND p.name = ?`, func(rows *sql.Rows) error { return rows.Scan(&n) }, name, p))
	return n
}

// collect removes what nobody can need any more.
func (w *world) collect() {
	objects, err := w.catalog.Collect(context.Background(), 0)
	w.must(err)
	for _, id := range objects {
		w.must(w.store.Remove(id))
	}
}

// contents reads what is promoted of every dataset but side inputs, by partition,
// straight from the catalog's tables. Partitions without rows are left out.
func (w *world) contents() map[string]map[dataset.Partition][]row {
	files := map[place][]string{}
	err := w.ledger.each(`SELECT d.name, p.name, s.object FROM pointers x JOIN partitions p ON p.id = x.partition_id JOIN datasets d ON d.id = p.dataset_id
		JOIN segments s ON s.partition_id = p.id AND s.added_in <= x.version AND (s.removed_in IS NULL OR s.removed_in > x.version)
		WHERE x.view = 'main' AND d.kind <> 'side'`, func(rows *sql.Rows) error {
		var p place
		var object string
		err := rows.Scan(&p.dataset, &p.partition, &object)
		files[p] = append(files[p], w.store.Path(object))
		return err
	})
	w.must(err)
	places := slices.Collect(maps.Keys(files))
	sets := make([][]string, len(places))
	for i, p := range places {
		sets[i] = files[p]
	}
	contents, err := w.engine.read(sets)
	w.must(err)
	out := map[string]map[dataset.Partition][]row{}
	for i, p := range places {
		if len(contents[i]) == 0 {
			continue
		}
		if out[p.dataset] == nil {
			out[p.dataset] = map[dataset.Partition][]row{}
		}
		out[p.dataset][p.partition] = slices.SortedFunc(slices.Values(contents[i]), compareRows)
	}
	return out
}
