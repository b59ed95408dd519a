package engine_test

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/reedbed/reedbed/engine"
)

// The floor of a stage: a small partition in a warm worker.
func BenchmarkSmallBuild(b *testing.B) {
	for _, rows := range []string{"100", "1000", "10000"} {
		b.Run(rows, func(b *testing.B) {
			p := newPool(b, engine.Options{QueryWorkers: -1})
			in := build(b, p, engine.BuildJob{SQL: "SELECT range AS id, 'user' || range % 17 AS u, range % 5 AS n, '{\"a\":1}'::JSON AS props, " +
				"TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(range % 3600) AS seen FROM range(" + rows + ")"}).Output.Path
			job := engine.BuildJob{
				SQL:    "SELECT id, u, n, props, seen FROM t WHERE n > 0",
				Tables: []engine.Table{{Name: "t", Files: []string{in}}}, OrderBy: []string{"seen"},
			}
			var cpu time.Duration
			for b.Loop() {
				got := build(b, p, job)
				cpu += got.Usage.CPU
				if err := os.Remove(got.Output.Path); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N)/1000, "cpu-ms/op")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	p := newPool(b, engine.Options{QueryWorkers: -1})
	for b.Loop() {
		if _, err := p.Parse(b.Context(), "SELECT a, count(*) FROM t GROUP BY a"); err != nil {
			b.Fatal(err)
		}
	}
}

// A person's query when a worker stands ready, and when none does.
func BenchmarkQuery(b *testing.B) {
	for name, warm := range map[string]int{"ready": 1, "cold": -1} {
		b.Run(name, func(b *testing.B) {
			p := newPool(b, engine.Options{QueryWorkers: warm})
			for b.Loop() {
				if warm > 0 {
					b.StopTimer()
					time.Sleep(150 * time.Millisecond) //nolint:forbidigo // people pause between queries
					b.StartTimer()
				}
				if _, err := p.Query(b.Context(), engine.QueryJob{SQL: "SELECT 1", Format: "csv"}, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
