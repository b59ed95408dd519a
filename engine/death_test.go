package engine_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/reedbed/reedbed/engine"
)

// killWorkers kills every child of this process and returns how many there were.
func killWorkers(t testing.TB) int {
	t.Helper()
	pids := workers(t)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	return len(pids)
}

// busyWorker waits until a child has used CPU time, so that it runs a job.
func busyWorker(t testing.TB, atLeast time.Duration) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		for _, pid := range workers(t) {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				continue
			}
			_, after, _ := strings.Cut(string(stat), ") ")
			if f := strings.Fields(after); len(f) > 12 {
				if ticks, _ := strconv.Atoi(f[11]); time.Duration(ticks)*10*time.Millisecond >= atLeast {
					return
				}
			}
		}
	}
	t.Error("no worker was ever busy")
}

func TestJobSurvivesItsWorker(t *testing.T) {
	p := newPool(t, engine.Options{QueryWorkers: -1})
	const sql = "SELECT max(md5(range::VARCHAR)) AS s FROM range(3000000)" // about a second
	done := make(chan error)
	go func() {
		got, err := p.Build(t.Context(), engine.BuildJob{SQL: sql})
		if err == nil && got.Output.Rows != 1 {
			err = fmt.Errorf("%+v", got)
		}
		done <- err
	}()
	busyWorker(t, 100*time.Millisecond)
	if killWorkers(t) == 0 {
		t.Error("there was no worker to kill")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A worker that dies each time is not started for ever.
func TestJobGivesUp(t *testing.T) {
	p := newPool(t, engine.Options{QueryWorkers: -1})
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				killWorkers(t)
			}
		}
	})
	_, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT sum(hash(range)) AS s FROM range(100000000000)"})
	close(stop)
	killer.Wait()
	if !errors.Is(err, engine.ErrWorkerDied) {
		t.Errorf("got %v", err)
	}
	build(t, p, engine.BuildJob{SQL: "SELECT 1 AS x"})
}

func TestBrokenBinaryIsExplained(t *testing.T) {
	p, err := engine.NewPool(engine.Options{Dir: t.TempDir(), Binary: "/bin/sh", Args: []string{"-c", "echo not a worker >&2; exit 3", "--"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Query(t.Context(), engine.QueryJob{SQL: "SELECT 1"}, io.Discard)
	if !errors.Is(err, engine.ErrWorkerDied) || !strings.Contains(err.Error(), "not a worker") {
		t.Errorf("got %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// Everything is killed once a second, and no request notices.
func TestKilledEverySecond(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	p := newPool(t, engine.Options{})
	var requests, killed atomic.Int64
	var load sync.WaitGroup
	end := time.Now().Add(4 * time.Second)
	request := func(do func() error) {
		load.Go(func() {
			for time.Now().Before(end) {
				if err := do(); err != nil {
					t.Error(err)
				}
				requests.Add(1)
			}
		})
	}
	request(func() error {
		got, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT range AS i FROM range(1000)", Rejects: "i % 2 = 0"})
		if err == nil && (got.Output.Rows != 500 || got.Rejected.Rows != 500) {
			err = fmt.Errorf("a part of the rows: %+v", got)
		}
		return errors.Join(err, os.Remove(got.Output.Path), os.Remove(got.Rejected.Path))
	})
	request(func() error {
		var out strings.Builder
		_, err := p.Query(t.Context(), engine.QueryJob{SQL: "SELECT count(*) AS n FROM range(1000)", Format: "csv"}, &out)
		if err == nil && out.String() != "n\n1000\n" {
			err = fmt.Errorf("a part of the rows: %q", out.String())
		}
		return err
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Now().Before(end) {
		<-tick.C
		killed.Add(int64(killWorkers(t)))
	}
	load.Wait()
	t.Logf("%d requests while %d workers were killed", requests.Load(), killed.Load())
}

// When the parent is killed its workers go with it, and the next pool removes
// what it left.
func TestWorkersDieWithTheParent(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperParent$")
	cmd.Env = append(os.Environ(), "REEDBED_TEST_PARENT="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	worker, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for deadline := time.Now().Add(5 * time.Second); running(worker); {
		if time.Now().After(deadline) {
			t.Fatalf("worker %d lives on", worker)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "pool-*")); len(left) != 1 {
		t.Fatalf("the killed parent left %v", left)
	}
	p, err := engine.NewPool(engine.Options{Dir: dir, QueryWorkers: -1})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "pool-*")); len(left) != 1 {
		t.Errorf("beside the new pool there is %v", left)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestHelperParent is the process that TestWorkersDieWithTheParent kills while
// its worker runs a job.
func TestHelperParent(t *testing.T) {
	dir := os.Getenv("REEDBED_TEST_PARENT")
	if dir == "" {
		t.Skip("only for TestWorkersDieWithTheParent")
	}
	p, err := engine.NewPool(engine.Options{Dir: dir, QueryWorkers: -1})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		busyWorker(t, 100*time.Millisecond)
		fmt.Println(workers(t)[0])
	}()
	_, err = p.Build(t.Context(), engine.BuildJob{SQL: "SELECT sum(hash(range)) AS s FROM range(100000000000)"})
	t.Fatal(err)
}

// Two pools share a folder without touching each other.
func TestPoolsShareAFolder(t *testing.T) {
	dir := t.TempDir()
	var pools []*engine.Pool
	for range 2 {
		p, err := engine.NewPool(engine.Options{Dir: dir, QueryWorkers: -1})
		if err != nil {
			t.Fatal(err)
		}
		pools = append(pools, p)
	}
	for _, p := range pools {
		build(t, p, engine.BuildJob{SQL: "SELECT 1 AS x"})
	}
	for _, p := range pools {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
