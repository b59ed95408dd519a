package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/internal/confine"
)

func needLandlock(t *testing.T) {
	t.Helper()
	if confine.ABI() == 0 {
		t.Skip("this kernel has no Landlock")
	}
}

// Everything people tried to get out of a query, or to use a machine up with.
// Each has to end as an error within the deadline and a second, without a file
// changed and without the parent growing.
func TestHostileQueries(t *testing.T) {
	needLandlock(t)
	objects := t.TempDir()
	p := newPool(t, engine.Options{})
	mine := build(t, p, engine.BuildJob{SQL: "SELECT range AS a FROM range(10)"}).Output.Path
	secret := filepath.Join(objects, "secret.csv")
	if err := os.WriteFile(secret, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := read(t, mine)
	tables := []engine.Table{{Name: "ev", Files: []string{mine}}}
	const wall = 2 * time.Second

	hostile := map[string]string{
		"copy to a new file":       "COPY (SELECT 1) TO '" + objects + "/new.parquet'",
		"copy over an input":       "COPY (SELECT 1) TO '" + mine + "' (USE_TMP_FILE false)",
		"copy to out":              "COPY (SELECT 1) TO 'out/x'",
		"copy hidden before":       "COPY (SELECT 1) TO '" + objects + "/new.parquet'; SELECT 1",
		"copy in query()":          "SELECT * FROM query('COPY ev TO ''" + objects + "/new.parquet''')",
		"attach":                   "ATTACH '" + objects + "/new.db'",
		"export":                   "EXPORT DATABASE '" + objects + "/dump'",
		"pragma":                   "PRAGMA database_list",
		"call logging":             "CALL enable_logging(storage = 'file', storage_path = '" + objects + "')",
		"select logging":           "SELECT * FROM enable_logging(storage = 'file', storage_path = '" + objects + "/log.csv')",
		"set":                      "SET enable_external_access = true",
		"reset":                    "RESET lock_configuration",
		"load":                     "LOAD httpfs",
		"install":                  "INSTALL httpfs",
		"create":                   "CREATE TABLE x AS SELECT 1",
		"drop after":               "SELECT 1; DROP VIEW ev",
		"two selects":              "SELECT 1; SELECT 2",
		"insert in a CTE":          "WITH x AS (INSERT INTO ev VALUES (1) RETURNING *) SELECT * FROM x",
		"explain analyze":          "EXPLAIN ANALYZE SELECT 1",
		"nothing":                  " -- nothing",
		"a parameter":              "SELECT $1",
		"NUL":                      "SELECT 1\x00",
		"read_csv outside":         "SELECT * FROM read_csv('" + secret + "')",
		"read_text outside":        "SELECT * FROM read_text('/etc/passwd')",
		"read_blob of proc":        "SELECT * FROM read_blob('/proc/self/environ')",
		"sniff_csv outside":        "SELECT * FROM sniff_csv('" + secret + "')",
		"parquet_metadata outside": "SELECT * FROM parquet_metadata('" + mine + "')",
		"a path as a table":        "SELECT * FROM '" + secret + "'",
		"traversal":                "SELECT * FROM read_csv('in/../../../" + filepath.Base(objects) + "/secret.csv')",
		"http":                     "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
		"getenv":                   "SELECT getenv('HOME')",
		"huge repeat":              "SELECT length(repeat('x', 4000000000))",
		"huge list":                "SELECT list_sum(range(500000000))",
		"huge lpad":                "SELECT length(lpad('x', 2000000000, 'y'))",
		"huge group":               "SELECT list(range) FROM range(1000000000)",
		"endless recursion":        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT max(i) FROM r",
		"cross join":               "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1",
		"long range":               "SELECT sum(hash(range)) FROM range(100000000000)",
		"deep nesting":             "SELECT " + strings.Repeat("(", 200_000) + "1" + strings.Repeat(")", 200_000),
	}
	start := residentMemory(t)
	for name, sql := range hostile {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var out bytes.Buffer
			_, err := p.Query(t.Context(), engine.QueryJob{
				SQL: sql, Tables: tables, Format: "csv",
				Limits: engine.Limits{Wall: wall, CPU: time.Minute, Memory: 256 << 20},
			}, &out)
			took := time.Since(began)
			if err == nil {
				t.Errorf("it ran: %.200s", out.String())
			}
			if took > wall+time.Second {
				t.Errorf("it took %s", took)
			}
			t.Logf("%s: %.160v", took.Round(time.Millisecond), err)
		})
	}
	if grown := residentMemory(t) - start; grown > 64<<20 {
		t.Errorf("the parent grew by %d MiB", grown>>20)
	}
	if read(t, mine) != before {
		t.Error("an input was changed")
	}
	left, err := os.ReadDir(objects)
	if err != nil || len(left) != 1 {
		t.Errorf("files beside the secret: %v %v", left, err)
	}
}

// Listing files is not an error, it finds none.
func TestGlobFindsNothing(t *testing.T) {
	needLandlock(t)
	p := newPool(t, engine.Options{})
	for _, pattern := range []string{"/etc/*", "../*", "/**/*.parquet"} {
		var out bytes.Buffer
		_, err := p.Query(t.Context(), engine.QueryJob{SQL: "SELECT file FROM glob('" + pattern + "')", Format: "ndjson"}, &out)
		if err == nil && out.Len() > 0 {
			t.Errorf("glob %s found %.200s", pattern, out.String())
		}
	}
}

// What is fine stays fine: these look hard and are not.
func TestHarmlessQueries(t *testing.T) {
	p := newPool(t, engine.Options{})
	for _, sql := range []string{
		"SELECT regexp_matches(repeat('a', 5000), '(a+)+$')",
		"SELECT " + strings.Repeat("(", 900) + "1" + strings.Repeat(")", 900),
		"SHOW TABLES", "DESCRIBE SELECT 1 AS x", "SELECT 1;", "SELECT 1 -- end", "FROM range(3)", "VALUES (1), (2)",
	} {
		if _, err := p.Query(t.Context(), engine.QueryJob{SQL: sql, Format: "table"}, io.Discard); err != nil {
			t.Errorf("%.60s: %v", sql, err)
		}
	}
}

func TestLimits(t *testing.T) {
	p := newPool(t, engine.Options{})
	endless := "SELECT sum(hash(range)) AS s FROM range(100000000000)"
	tests := map[string]struct {
		sql    string
		limits engine.Limits
		want   error
		says   string
	}{
		"wall":   {endless, engine.Limits{Wall: 300 * time.Millisecond}, engine.ErrDeadline, "300ms"},
		"cpu":    {endless, engine.Limits{Wall: 20 * time.Second, CPU: time.Second}, engine.ErrLimit, "CPU"},
		"memory": {"SELECT list(range) AS l FROM range(200000000)", engine.Limits{Memory: 64 << 20}, engine.ErrLimit, "memory"},
		"output": {"SELECT hash(range) AS h FROM range(10000)", engine.Limits{Output: 1000}, engine.ErrLimit, "output"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := p.Build(t.Context(), engine.BuildJob{SQL: tt.sql, Limits: tt.limits})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			build(t, p, engine.BuildJob{SQL: "SELECT 1 AS fine"})
		})
	}
}

// Sorting more than the memory limit holds spills and succeeds.
func TestBuildSpills(t *testing.T) {
	p := newPool(t, engine.Options{})
	job := engine.BuildJob{
		SQL:    "SELECT hash(range) AS h, 'https://example.com/page/' || hash(range * 7) AS url, range AS i FROM range(1000000)",
		Limits: engine.Limits{Memory: 96 << 20},
	}
	sorted := build(t, p, job)
	job.Rejects = "i % 4 = 0"
	split := build(t, p, job)
	if sorted.Output.Rows != 1_000_000 || split.Output.Hash.Add(withoutReason(t, p, *split.Rejected)) != sorted.Output.Hash {
		t.Errorf("%+v %+v", sorted, split)
	}
	t.Logf("1M rows in 96 MiB: %v, split %v", sorted.Usage, split.Usage)
}

func TestCancelKillsTheWorker(t *testing.T) {
	p := newPool(t, engine.Options{QueryWorkers: -1})
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	go func() {
		<-started
		someWorker(t)
		cancel()
	}()
	close(started)
	_, err := p.Query(ctx, engine.QueryJob{SQL: "SELECT sum(hash(range)) FROM range(100000000000)"}, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := workers(t); len(left) > 0 {
		t.Errorf("workers left: %v", left)
	}
}

func TestCloseEndsJobs(t *testing.T) {
	p, err := engine.NewPool(engine.Options{Dir: t.TempDir(), QueryWorkers: -1})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := p.Build(context.Background(), engine.BuildJob{SQL: "SELECT sum(hash(range)) AS s FROM range(100000000000)"})
		done <- err
	}()
	someWorker(t)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Parse(t.Context(), "SELECT 1"); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestWorkersHaveNoEnvironment(t *testing.T) {
	t.Setenv("REEDBED_TEST_SECRET", "hunter2")
	p := newPool(t, engine.Options{QueryWorkers: -1})
	if _, err := p.Parse(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	for _, pid := range workers(t) {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil || strings.Contains(string(env), "hunter2") {
			t.Errorf("environment of worker %d: %q %v", pid, env, err)
		}
	}
}

// someWorker waits until there is a child.
func someWorker(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if len(workers(t)) > 0 {
			return
		}
	}
	t.Error("no worker was started")
}

// workers lists the children of this process.
func workers(t testing.TB) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err != nil {
			continue // it ended meanwhile
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) && fields[0] != "Z" {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func residentMemory(t testing.TB) int64 {
	t.Helper()
	_, resident, err := confine.Memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return resident
}
