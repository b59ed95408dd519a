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
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
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
	comment string
	broken  bool // the file is; the stage as it was deployed goes on
}

func (d definition) file() string {
	var b strings.Builder
	fmt.Fprintf(&b, "/* @stage\nowner: test\npartition: %s\n", d.grain)
	if d.rejects != "" {
		fmt.Fprintf(&b, "rejects: %q\n", d.rejects)
	}
	b.WriteString("inputs:\n")
	for _, name := range slices.Sorted(maps.Keys(d.windows)) {
		fmt.Fprintf(&b, "  %s: {window: %s}\n", name, d.windows[name])
	}
	if d.broken {
		return b.String() + "*/\nSELEKT"
	}
	return b.String() + "*/\n" + d.comment + d.program.text()
}

// world is a project at work, and what is needed to say what must come out.
type world struct {
	tb      rapid.TB
	dir     string
	engine  *fakeEngine
	store   *store.Store
	catalog *sqlite.Catalog
	path    string
	ahead   atomic.Int64 // how far the catalog's clock is ahead of the machine's
	mark    atomic.Int64 // watermark, microseconds
	base    time.Time    // hour 0

	converger *Converger
	stop      func()
	ended     chan error

	stages []definition // upstream first
	sides  map[string][]int64
	raw    map[int64][]row // by hour
	value  int64
	closed map[place]map[string][]int64 // the side inputs as they were then
}

const hours = 72

func newWorld(tb rapid.TB, dir string) *world {
	w := &world{
		tb: tb, dir: dir, path: filepath.Join(dir, "catalog.db"), base: time.Now().UTC().Truncate(24 * time.Hour).Add(-2 * 24 * time.Hour),
		sides: map[string][]int64{}, raw: map[int64][]row{}, closed: map[place]map[string][]int64{},
	}
	w.mark.Store(w.base.UnixMicro())
	for _, sub := range []string{"out", "store", "data"} {
		w.must(os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	root, err := disk.Open(filepath.Join(dir, "store"))
	w.must(err)
	w.store, err = store.Open(root)
	w.must(err)
	w.engine = &fakeEngine{dir: filepath.Join(dir, "out"), builds: map[string]int{}, timed: w.timed}
	w.catalog, err = sqlite.Open(context.Background(), sqlite.Options{
		Path: w.path,
		Now:  func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	})
	w.must(err)
	w.must(w.catalog.EnsureDataset(context.Background(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, 5*time.Minute))
	return w
}

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

func (w *world) start() {
	w.converger = New(Options{
		Catalog: w.catalog, Engine: w.engine, Store: w.store, Semantics: stage.Semantics{Engine: 1}, HashScheme: "test", Workers: 2,
		Watermark: func(context.Context) (time.Time, error) { return time.UnixMicro(w.mark.Load()), nil },
		Log:       slog.New(slog.DiscardHandler),
	})
	w.deploy()
	ctx, cancel := context.WithCancel(context.Background())
	w.ended = make(chan error, 1)
	go func() { w.ended <- w.converger.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		w.must(<-w.ended)
	})
	w.engine.setFail(nil)
}

func (w *world) close() {
	w.stop()
	w.must(w.catalog.Close())
}

func (w *world) deploy() {
	files := fstest.MapFS{}
	for _, d := range w.stages {
		files[d.name+".sql"] = &fstest.MapFile{Data: []byte(d.file())}
	}
	for name, values := range w.sides {
		var text strings.Builder
		text.WriteString("v\n")
		for _, v := range values {
			fmt.Fprintln(&text, v)
		}
		w.must(os.WriteFile(filepath.Join(w.dir, "data", name+".csv"), []byte(text.String()), 0o600))
	}
	problems, err := w.converger.Deploy(context.Background(), Project{Stages: files, Data: os.DirFS(filepath.Join(w.dir, "data")), DataDir: filepath.Join(w.dir, "data")})
	w.must(err)
	broken := slices.ContainsFunc(w.stages, func(d definition) bool { return d.broken })
	if len(problems) > 0 && !broken {
		w.tb.Fatalf("problems: %v", problems)
	}
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
	found, err := w.catalog.CompactionCandidates(ctx, 2, 10)
	w.must(err)
	for _, c := range found {
		k := dataset.Compaction{Dataset: c.Dataset, Partition: c.Partition}
		var rows []row
		for _, s := range c.Segments {
			more, err := readAll([]string{w.store.Path(s.Object)})
			w.must(err)
			rows, k.Replaced = append(rows, more...), append(k.Replaced, s.ID)
		}
		k.Segment = w.object(c.Dataset, c.Partition, rows)
		if err := w.catalog.CommitCompaction(ctx, k); err != nil && !errors.Is(err, dataset.ErrSegmentGone) {
			w.tb.Fatal(err)
		}
	}
}

// settle waits for convergence, with failures tried again, and notes what closed.
func (w *world) settle() {
	w.engine.setFail(nil)
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := w.converger.Settle(ctx)
		cancel()
		w.must(err)
		s, err := w.catalog.Status(context.Background())
		w.must(err)
		if len(s.Errors) == 0 {
			break
		}
		w.ahead.Add(int64(10 * time.Minute)) // beyond every retry
	}
	w.noteClosed()
}

func (w *world) noteClosed() {
	db, err := sql.Open("sqlite3", "file:"+w.path+"?mode=ro")
	w.must(err)
	defer db.Close()
	rows, err := db.Query("SELECT d.name, p.name FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE p.closed_at IS NOT NULL")
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var p place
		w.must(rows.Scan(&p.dataset, &p.partition))
		if w.closed[p] == nil {
			w.closed[p] = maps.Clone(w.sides)
		}
	}
	w.must(rows.Err())
}

// versions counts the versions on record of a partition.
func (w *world) versions(name string, p dataset.Partition) (n int) {
	db, err := sql.Open("sqlite3", "file:"+w.path+"?mode=ro")
	w.must(err)
	defer db.Close()
	w.must(db.QueryRow(`SELECT COUNT(*) FROM versions v JOIN partitions p ON p.id = v.partition_id JOIN datasets d ON d.id = p.dataset_id
		WHERE d.name = ? AND p.name = ?`, name, p).Scan(&n))
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

// content reads what is promoted of a dataset, partition by partition.
func (w *world) content(name string) map[dataset.Partition][]row {
	out := map[dataset.Partition][]row{}
	promoted, err := w.catalog.Promoted(context.Background(), name)
	if errors.Is(err, sqlite.ErrNoDataset) {
		return out
	}
	w.must(err)
	for _, v := range promoted {
		segments, err := w.catalog.Segments(context.Background(), []dataset.Promoted{v})
		w.must(err)
		var files []string
		for _, s := range segments {
			files = append(files, w.store.Path(s.Object))
		}
		rows, err := readAll(files)
		w.must(err)
		if len(rows) > 0 {
			out[v.Partition] = slices.SortedFunc(slices.Values(rows), compareRows)
		}
	}
	return out
}

// table is what the oracle knows of a dataset: the rows of each partition that
// exists, by the hour it starts at, and how many hours a partition has; 0 when
// the dataset is not cut.
type table struct {
	span int64
	rows map[int64][]row
}

// check compares everything promoted with a computation from scratch.
func (w *world) check() {
	tables := map[string]table{dataset.Raw: {1, w.raw}}
	for name, values := range w.sides {
		tables[name] = sideTableOf(values)
	}
	for _, d := range w.stages {
		out, refused := w.compute(d, tables)
		tables[d.name], tables[d.name+"_rejected"] = out, refused
		for name, want := range map[string]table{d.name: out, d.name + "_rejected": refused} {
			expected := map[dataset.Partition][]row{}
			for at, rows := range want.rows {
				if len(rows) > 0 {
					expected[w.partition(d.grain, at)] = slices.SortedFunc(slices.Values(rows), compareRows)
				}
			}
			if diff := cmp.Diff(expected, w.content(name)); diff != "" {
				w.tb.Fatalf("%s (%s, rejects %q, %v) is not what a computation from scratch gives: %s", name, d.program.text(), d.rejects, d.windows, diff)
			}
		}
	}
}

func sideTableOf(values []int64) table {
	t := table{0, map[int64][]row{0: nil}}
	for _, v := range values {
		t.rows[0] = append(t.rows[0], row{0, v})
	}
	return t
}

// compute gives a stage's output and refused rows by the plain definition.
func (w *world) compute(d definition, tables map[string]table) (out, refused table) {
	span := d.grain.Span().Milliseconds() / time.Hour.Milliseconds()
	out, refused = table{span, map[int64][]row{}}, table{span, map[int64][]row{}}
	starts := map[int64]bool{}
	if span == 0 {
		starts[0] = true
	} else {
		for name := range d.windows {
			in := tables[name]
			for at := range in.rows {
				for h := at; h < at+in.span; h++ {
					starts[h/span*span] = true
				}
			}
		}
	}
	for start := range starts {
		timed, side, cut, some := w.inputs(d, start, span, tables)
		if !some {
			continue
		}
		kept, no := refuse(d.rejects, d.program.run(timed, side, cut))
		out.rows[start] = kept
		if len(no) > 0 {
			refused.rows[start] = no
		}
	}
	return out, refused
}

func (w *world) inputs(d definition, start, span int64, tables map[string]table) (timed, side []row, cut, some bool) {
	for name, text := range d.windows {
		in := tables[name]
		if in.span == 0 {
			rows := in.rows[0]
			if then := w.closed[place{d.name, w.partition(d.grain, start)}]; text == "as-of" && then != nil {
				rows = sideTableOf(then[name]).rows[0]
			}
			side = append(side, rows...)
			continue
		}
		cut = true
		lo, hi := map[string][2]int64{"same": {0, 0}, "-1h..+1h": {-1, 1}, "-2d..0d": {-48, 0}, "-2h..-1h": {-2, -1}}[text][0],
			map[string][2]int64{"same": {0, 0}, "-1h..+1h": {-1, 1}, "-2d..0d": {-48, 0}, "-2h..-1h": {-2, -1}}[text][1]
		for at, rows := range in.rows {
			if text == "all" || (at < start+span+hi && at+in.span > start+lo) {
				timed, some = append(timed, rows...), true
			}
		}
	}
	return timed, side, cut, some || !cut
}

// fast is a folder in memory where there is one: the tests fail steps
// themselves and need no disk to wait for.
func fast(t testing.TB) string {
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = t.TempDir()
	}
	return parent
}
