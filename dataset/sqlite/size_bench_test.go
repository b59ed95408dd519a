package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// chain is what the benchmarks of size have deployed: three stages, hour by hour,
// and 28 days of the last of them, day by day.
func chain() []dataset.Deployment {
	stage := func(name, input, window string, g dataset.Grain, depth int) dataset.Deployment {
		w, err := dataset.ParseWindow(window)
		if err != nil {
			panic(err)
		}
		return dataset.Deployment{
			Spec: dataset.Spec{Name: name, Kind: dataset.Computed, Grain: g}, CodeIdentity: []byte("code of " + name), Depth: depth,
			Edges: []dataset.Edge{{Input: input, Window: w}},
		}
	}
	return []dataset.Deployment{
		stage("a", dataset.Raw, "same", dataset.Hour, 1), stage("b", "a", "same", dataset.Hour, 2),
		stage("c", "b", "same", dataset.Hour, 3), stage("w28", "c", "-27d..0d", dataset.Day, 4),
	}
}

// past is where the hours of the benchmarks end: a million begin in 1975.
var past = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)

// filled makes a catalog in which n hours of the chain have converged, as rows
// that are what the catalog's own code would have written.
func filled(b *testing.B, path string, n int) {
	b.Helper()
	c, err := Open(b.Context(), Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	must(c.EnsureDataset(b.Context(), dataset.Spec{Name: dataset.Raw, Kind: dataset.Builtin, Grain: dataset.Hour}, 0))
	_, err = c.Deploy(b.Context(), chain(), nil)
	must(err)
	triggers := regexp.MustCompile(`(?s)CREATE TRIGGER (\w+) .*?\nEND;`).FindAllStringSubmatch(schema1, -1)
	for _, t := range triggers {
		_, err := c.write.Exec("DROP TRIGGER " + t[1])
		must(err)
	}
	f := filler{c: c, names: []string{dataset.Raw, "a", "b", "c"}, sums: map[unit]dataset.Sum{}, days: map[dataset.Partition]dataset.Sum{}}
	const chunk = 50_000
	for at := 0; at < n; at += chunk {
		must(c.update(b.Context(), func(t *tx) error { return f.hours(t, n, at, min(n, at+chunk)) }))
	}
	must(c.update(b.Context(), func(t *tx) error { return f.trailing(t) }))
	for _, t := range triggers {
		_, err := c.write.Exec(t[0])
		must(err)
	}
	must(c.update(b.Context(), f.finish))
	_, err = c.write.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	must(err)
}

type filler struct {
	c     *Catalog
	names []string
	sums  map[unit]dataset.Sum
	days  map[dataset.Partition]dataset.Sum // of c
	ids   map[string]int64
	last  int64
}

// hours fills in hours from..to of n, the newest last.
func (f *filler) hours(t *tx, n, from, to int) error {
	if f.ids == nil {
		f.ids = map[string]int64{}
		for _, name := range append(f.names, "w28") {
			d, err := t.dataset(name)
			if err != nil {
				return err
			}
			f.ids[name] = d.ID
		}
	}
	for i := from; i < to; i++ {
		p := dataset.PartitionAt(dataset.Hour, past.Add(time.Duration(i-n)*time.Hour))
		var read dataset.Promoted
		for k, name := range f.names {
			q := dataset.Promoted{Dataset: name, Partition: p, Version: 1, Rows: int64(i % 1000), Hash: dataset.ContentHash{uint64(i), uint64(k)}}
			var reads []dataset.Read
			if k > 0 {
				reads = dataset.Reads([]dataset.Promoted{read})
			}
			if err := f.put(t, q, levelsOf(dataset.Hour), reads, read); err != nil {
				return err
			}
			read = q
		}
		day := dataset.PartitionAt(dataset.Day, p.Start())
		f.days[day] = f.days[day].Add(dataset.Leaf(read))
	}
	return nil
}

// trailing fills in the 28 days that end with each day.
func (f *filler) trailing(t *tx) error {
	for day := range f.days {
		var sum dataset.Sum
		for back := range 28 {
			sum = sum.Add(f.days[dataset.PartitionAt(dataset.Day, day.Start().AddDate(0, 0, -back))])
		}
		q := dataset.Promoted{Dataset: "w28", Partition: day, Version: 1, Rows: 1, Hash: dataset.HashFromBytes(sum.Bytes())}
		if err := f.put(t, q, levelsOf(dataset.Day), []dataset.Read{{Input: "c", Sum: sum}}, dataset.Promoted{}); err != nil {
			return err
		}
	}
	return nil
}

// put writes one partition with a promoted version.
func (f *filler) put(t *tx, q dataset.Promoted, levels []level, reads []dataset.Read, read dataset.Promoted) error {
	f.last++
	id, datasetID := f.last, f.ids[q.Dataset]
	start, end := micros(q.Partition.Start()), micros(q.Partition.End())
	var key []byte
	if reads != nil {
		key = dataset.TraceKey(q.Dataset, q.Partition, []byte("code of "+q.Dataset), reads)
	}
	exec := func(query string, args ...any) error { return t.exec(query, args...) }
	if err := exec("INSERT INTO partitions (id, dataset_id, name, starts, ends, last_version, closed_at, last_run) VALUES (?,?,?,?,?,1,?,1)", id, datasetID, q.Partition, start, end, end); err != nil {
		return err
	}
	if err := exec("INSERT INTO versions (partition_id, number, rows, bytes, hash, origin, trace_key, definition, created_at) VALUES (?,1,?,1000,?,'build',?,(SELECT definition FROM datasets WHERE id = ?),1)",
		id, q.Rows, q.Hash.Bytes(), key, datasetID); err != nil {
		return err
	}
	if err := exec("INSERT INTO pointers (partition_id, version, generation, promoted_at) VALUES (?,1,1,1)", id); err != nil {
		return err
	}
	object := binary.BigEndian.AppendUint64(nil, uint64(id))
	if err := exec("INSERT INTO segments (partition_id, object, rows, bytes, hash, origin, added_in) VALUES (?,?,?,1000,?,'build',1)", id, fmt.Sprintf("%x", object), q.Rows, q.Hash.Bytes()); err != nil {
		return err
	}
	if key != nil {
		if err := exec("INSERT INTO traces (partition_id, trace_key, version, created_at) VALUES (?,?,1,1)", id, key); err != nil {
			return err
		}
	}
	if read.Version != 0 {
		if err := exec("INSERT INTO reads (partition_id, input_id, input_name, version, rows, hash) VALUES (?,?,?,1,?,?)", id, f.ids[read.Dataset], read.Partition, read.Rows, read.Hash.Bytes()); err != nil {
			return err
		}
	}
	for _, l := range levels {
		u := unit{datasetID, l, micros(l.floor(q.Partition.Start()))}
		f.sums[u] = f.sums[u].Add(dataset.Leaf(q))
	}
	return nil
}

// finish writes the sums and counts the triggers would have kept.
func (f *filler) finish(t *tx) error {
	for u, sum := range f.sums {
		if err := t.addToSum(u, sum, dataset.Sum{}); err != nil {
			return err
		}
	}
	if err := t.exec("DELETE FROM dirty"); err != nil {
		return err
	}
	return t.exec(`UPDATE counts SET due = 0, due_new = 0, due_promoted = 0, failed = 0,
		partitions = (SELECT COUNT(*) FROM partitions p WHERE p.dataset_id = counts.dataset_id),
		promoted = (SELECT COUNT(*) FROM partitions p WHERE p.dataset_id = counts.dataset_id)`)
}

// BenchmarkBySize tells what knowing costs over 1,000 hours, and over a million,
// which are 114 years: of a chain of three stages and 28 trailing days.
func BenchmarkBySize(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n > 100_000 && testing.Short() {
				b.Skip("a million takes minutes to fill in")
			}
			path := filepath.Join(b.TempDir(), "catalog.db")
			filled(b, path, n)
			bySize(b, path)
		})
	}
}

func bySize(b *testing.B, path string) {
	open := func(b *testing.B) *Catalog {
		c, err := Open(context.Background(), Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	b.Run("open and ask what is stale", func(b *testing.B) {
		for b.Loop() {
			c := open(b)
			if s, err := c.Status(b.Context()); err != nil || len(s.Datasets) == 0 {
				b.Fatal(s, err)
			}
			if err := c.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	c := open(b)
	defer c.Close() // the file goes
	b.Run("ask what is stale", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Status(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check every key again", func(b *testing.B) { checkAgain(b, c) })
	pin, err := c.Pin(b.Context(), dataset.Pin{Stage: "b", Input: "a", Reason: "a benchmark", Actor: "nobody"})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("check every key again, a stage pinned", func(b *testing.B) { checkAgain(b, c) })
	if _, err := c.Unpin(b.Context(), pin.ID, "nobody"); err != nil {
		b.Fatal(err)
	}
	b.Run("collect nothing", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Collect(b.Context(), time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, back := range map[string]int{"28 days": 28, "3 years": 3 * 365} {
		b.Run("key over "+name, func(b *testing.B) {
			i := dataset.Interval{Start: past.AddDate(0, 0, -back-1).Add(5 * time.Hour), End: past.Add(-19 * time.Hour)}
			for b.Loop() {
				err := c.view(b.Context(), func(t *tx) error {
					d, err := t.dataset("c")
					if err != nil {
						return err
					}
					_, err = t.promotedIn(d.ID, dataset.Hour, i)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("one hour changes", func(b *testing.B) {
		before := cpu(b)
		for i := 0; b.Loop(); i++ {
			changeOneHour(b, c, i)
		}
		b.ReportMetric((cpu(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
	})
}

func checkAgain(b *testing.B, c *Catalog) {
	resetPeak(b)
	before := cpu(b)
	for b.Loop() {
		found, err := c.Recheck(b.Context())
		if err != nil || len(found.Stale) > 0 {
			b.Fatal(found.Stale[:min(3, len(found.Stale))], err)
		}
		b.ReportMetric(float64(found.Checked), "partitions")
	}
	b.ReportMetric(float64(peak(b))/1024, "peak-MB")
	b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op")
}

// changeOneHour loads an event into the newest hour and answers what follows
// from it, one commit each, but for the runs themselves.
func changeOneHour(b *testing.B, c *Catalog, i int) {
	ctx := b.Context()
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	from, err := c.LoadCursor(ctx)
	must(err)
	p := dataset.PartitionAt(dataset.Hour, past.Add(-time.Hour))
	l := dataset.LoadCommit{From: from, To: from, Loaded: 1, Segments: []dataset.NewSegment{{
		Dataset: dataset.Raw, Partition: p, Object: fmt.Sprint("load", i, from.Event), Rows: 1, Bytes: 1, Hash: hashOf(fmt.Sprint(from.Event)),
	}}}
	l.To.Event, l.To.Record = from.Event+1, from.Record+1
	must(c.CommitLoad(ctx, l))
	for range 10 {
		due, err := listDue(ctx, c, Ask{Limit: 10, All: true})
		must(err)
		if len(due) == 0 {
			return
		}
		k := due[0]
		build := dataset.Build{Task: k, CodeIdentity: []byte("code of " + k.Dataset)}
		_, _, err = c.Stands(ctx, k.Dataset, k.Partition, build.CodeIdentity)
		must(err)
		build.Inputs, _, err = c.Inputs(ctx, k.Dataset, k.Partition)
		must(err)
		build.TraceKey = dataset.TraceKey(k.Dataset, k.Partition, build.CodeIdentity, dataset.Reads(build.Inputs))
		_, err = c.Prior(ctx, k.Dataset, k.Partition, build.TraceKey)
		must(err)
		build.Content = &dataset.NewContent{Segment: &dataset.NewSegment{
			Dataset: k.Dataset, Partition: k.Partition, Object: fmt.Sprintf("%x", build.TraceKey), Rows: 1, Bytes: 1, Hash: hashOf(string(build.TraceKey)),
		}}
		must(c.CommitBuild(ctx, build))
	}
	b.Fatal("does not converge")
}

// cpu is the processor time this process has had: a busy machine makes the time
// on the wall worth little.
func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// resetPeak makes the kernel count this process's largest memory anew.
func resetPeak(b *testing.B) {
	debug.FreeOSMemory() // what filling in the catalog took
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		b.Log(err)
	}
}

// peak is the largest resident memory of this process, in KiB.
func peak(b *testing.B) (kib int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Log(err)
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if kib, err = strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB")); err != nil {
				b.Log(err)
			}
		}
	}
	return kib
}
