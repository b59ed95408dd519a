package engine_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/reedbed/reedbed/engine"
)

// typedEvents are rows of 25 columns, five of them categories, as a stage over
// events returns them.
func typedEvents(rows int) string {
	return fmt.Sprintf(`SELECT md5(range::VARCHAR)::UUID AS event_id,
	TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_microseconds((hash(range, 1) %% 86400000000)::BIGINT) AS occurred_at,
	TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_microseconds((hash(range, 1) %% 86400000000 + hash(range, 2) %% 5000000)::BIGINT) AS received_at,
	'u' || (hash(range, 3) %% 100000) AS user_id, 'sess-' || (hash(range, 4) %% 250000) AS session_id,
	['play', 'pause', 'seek', 'stop', 'page', 'click', 'buy', 'search'][1 + (hash(range, 5) %% 8)::INT] AS event,
	'C' || floor(60 * pow((hash(range, 6) %% 1000) / 1000.0, 3))::INT AS country,
	['ios', 'android', 'web', 'tv'][1 + (hash(range, 7) %% 4)::INT] AS platform,
	'4.' || (hash(range, 8) %% 20) AS app_version, ['de', 'en', 'fr', 'es', 'it', 'pt'][1 + (hash(range, 9) %% 6)::INT] AS language,
	'track-' || floor(50000 * pow((hash(range, 10) %% 100000) / 100000.0, 2))::INT AS track_id, '/path/to/page/' || (hash(range, 11) %% 3000) AS url,
	(hash(range, 12) %% 600000)::BIGINT AS duration_ms, (hash(range, 13) %% 1000)::INTEGER AS position,
	(hash(range, 14) %% 100000) / 100.0::DOUBLE AS price, -ln((hash(range, 15) %% 1000000 + 1) / 1000001.0) AS score,
	(hash(range, 16) %% 4000)::INTEGER AS width, (hash(range, 17) %% 3000)::INTEGER AS height,
	CASE WHEN hash(range, 18) %% 10 > 0 THEN (hash(range, 18) %% 100)::SMALLINT END AS quantity,
	hash(range, 19) %% 3 = 0 AS is_bot, hash(range, 20) %% 2 = 0 AS logged_in, DATE '2026-01-01' + (hash(range, 21) %% 30)::INTEGER AS day,
	((hash(range, 22) %% 1000000) / 100)::DECIMAL(12, 2) AS amount,
	CASE WHEN hash(range, 23) %% 5 > 0 THEN 'ref' || (hash(range, 23) %% 500) || '.example.com' END AS referrer,
	(hash(range, 24) %% 1000000000)::BIGINT AS bytes FROM range(%d)`, rows)
}

// What a fingerprint adds to the CPU time of a build, alone and with a stage's
// measures and rules.
func BenchmarkSurvey(b *testing.B) {
	surveys := map[string]*engine.Survey{
		"columns": {Name: "out", Categories: []string{"event", "country", "platform", "app_version", "language"}, Received: "received_at"},
	}
	with := *surveys["columns"]
	with.Measures = []engine.Expr{{Name: "bots", SQL: "avg(is_bot::INT)"}, {Name: "revenue", SQL: "sum(amount) FILTER (WHERE event = 'buy')"}}
	with.Violations = []engine.Expr{
		{Name: "user_id", SQL: "user_id IS NULL"}, {Name: "price", SQL: "price NOT BETWEEN 0 AND 1000"}, {Name: "event", SQL: "event NOT IN ('play', 'pause')"},
	}
	surveys["rules"] = &with
	unique := with
	unique.Counts = []engine.Expr{{Name: "unique", SQL: "count(event_id) - count(DISTINCT event_id)"}}
	surveys["unique"] = &unique
	for _, rows := range []int{1_000, 1_000_000} {
		for _, name := range []string{"columns", "rules", "unique"} {
			b.Run(fmt.Sprintf("%d/%s", rows, name), func(b *testing.B) { benchmarkSurvey(b, rows, surveys[name]) })
		}
	}
}

func benchmarkSurvey(b *testing.B, rows int, survey *engine.Survey) {
	p := newPool(b, engine.Options{QueryWorkers: -1})
	in := build(b, p, engine.BuildJob{SQL: typedEvents(rows), Limits: engine.Limits{Memory: 2 << 30}}).Output.Path
	job := engine.BuildJob{
		SQL:    "SELECT * FROM t WHERE position >= 0",
		Tables: []engine.Table{{Name: "t", Files: []string{in}}}, OrderBy: []string{"occurred_at"}, Limits: engine.Limits{Memory: 2 << 30},
	}
	run := func(s *engine.Survey) time.Duration {
		job.Survey = s
		got := build(b, p, job)
		if err := os.Remove(got.Output.Path); err != nil {
			b.Fatal(err)
		}
		return got.Usage.CPU
	}
	run(survey) // the worker is warm then
	// The least of all runs: CPU time itself grows where others use the processor's caches.
	bare, surveyed := time.Hour, time.Hour
	for b.Loop() {
		bare = min(bare, run(nil))
		surveyed = min(surveyed, run(survey))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(bare.Microseconds())/1000, "bare-cpu-ms")
	b.ReportMetric(float64((surveyed-bare).Microseconds())/1000, "more-cpu-ms")
	b.ReportMetric(100*float64(surveyed-bare)/float64(bare), "more-%")
}
