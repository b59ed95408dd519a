package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
)

// benchmarkEvents is a journal of n events of about 1 KB in requests of 50,
// spread over two hours, one in a hundred sent twice.
func benchmarkEvents(n int) *memJournal {
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	j := &memJournal{}
	rows := sampleRows(20_000)
	for at := 0; at < n; {
		received := start.Add(2 * time.Hour * time.Duration(at) / time.Duration(n)).Truncate(time.Microsecond)
		b := event.Batch{Source: "web", Protocol: protocol.Native, ReceivedAt: received, ClientIP: "10.1.2.3", UserAgent: rows[rng.IntN(len(rows))].agent}
		for range 50 {
			r := rows[rng.IntN(len(rows))]
			ms := received.UnixMilli()
			id := fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", ms>>16, ms&0xffff, rng.IntN(4096), rng.IntN(4096), rng.Uint64()>>16)
			b.Items = append(b.Items, event.Item{Raw: fmt.Appendf(nil,
				`{"id":%q,"type":"track","name":%q,"time":%q,"sent_at":%q,"user_id":%q,"anonymous_id":%q,"session_id":%q,"seq":%d,"properties":%s,"context":%s}`,
				id, r.name, received.Add(-time.Second).Format(time.RFC3339Nano), received.Format(time.RFC3339Nano), r.user, r.anonymous, r.session, r.seq, r.properties, r.context)})
			at++
		}
		j.append(&b)
		if rng.IntN(100) == 0 {
			j.append(&b)
		}
	}
	return j
}

// cpu is the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLoad loads a backlog from empty, the merging of sidecars included.
func BenchmarkLoad(b *testing.B) {
	for _, mb := range []int64{4, 8, 16, 32, 64} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) { benchmarkLoad(b, mb<<20) })
	}
}

func benchmarkLoad(b *testing.B, maxBytes int64) {
	const events = 300_000
	j := benchmarkEvents(events)
	j.keep = true
	bytes := 0
	for _, e := range j.entries {
		bytes += len(e.Payload)
	}
	quiet := noFaults()
	c := &memCatalog{faults: quiet}
	files := memStore{faults: quiet, dir: b.TempDir(), next: new(int), sync: true}
	l := New(Options{Journal: j, Catalog: c, Store: files, MaxBytes: maxBytes})
	run := func() {
		c.cursor, c.segments, c.sidecars, l.known = dataset.Cursor{}, nil, nil, false
		if err := l.Drain(context.Background()); err != nil {
			b.Fatal(err)
		}
		if err := l.mergeSidecars(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	run() // the buffers are there from now on
	var used time.Duration
	for b.Loop() {
		begun := cpu()
		run()
		used += cpu() - begun
	}
	b.ReportMetric(used.Seconds()/float64(b.N)/float64(j.Durable().Event)*1e6, "cpu-s/Mrow")
	b.ReportMetric(float64(bytes)/float64(events), "B/event")
	b.ReportMetric(float64(peakRSS())/(1<<20), "peak-MB")
}

func peakRSS() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Maxrss * 1024
}
