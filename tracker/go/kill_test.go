package tracker

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

const childEnv = "REEDBED_TRACKER_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child tracks events as fast as its queue takes them and prints the id of each that
// it was promised, until it is killed; with "last" it drains the queue and ends.
func child() {
	c, err := Open(Options{
		Endpoint: os.Args[1], Key: "k", Dir: os.Args[2], MaxBytes: 50_000, BatchEvents: 40,
		Delay: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	last := os.Getenv(childEnv) == "last"
	for i := 0; !last || i < 100; i++ {
		e := Event{ID: uuid7(time.Now()), Name: "n"}
		if c.Track(e) != nil { // full: what comes too soon only costs time
			<-time.After(time.Millisecond)
			continue
		}
		fmt.Fprintln(out, e.ID)
		out.Flush()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		panic(err)
	}
}

// TestKilled kills processes at random moments, under a collector that fails in every
// way. Each event that was promised arrives; each stream's events have arrived or are
// reported as dropped.
func TestKilled(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	to := &collector{}
	server := httptest.NewServer(faulty(to, rng))
	defer server.Close()
	dir := t.TempDir()
	promised := map[string]bool{}
	const kills = 15
	for range kills {
		runChild(t, server.URL, dir, promised, 1+rng.IntN(1000))
	}
	runChild(t, server.URL, dir, promised, 0)

	for id := range promised {
		if _, ok := to.taken[id]; !ok {
			t.Errorf("event %s was promised and did not arrive", id)
		}
	}
	streams, dropped := account(t, to.order)
	t.Logf("%d processes: %d events promised, %d arrived, %d reported as dropped, in %d streams", kills+1, len(promised), len(to.taken), dropped, streams)
	if streams < 2 {
		t.Error("no stream told of another: the test tries nothing")
	}
}

// account checks of each stream that another tells the end of that its events arrived
// or are among those it reports as dropped.
func account(t *testing.T, events []event) (streams int, dropped int64) {
	t.Helper()
	seen, ends := map[string]map[int64]bool{}, map[string]end{}
	for _, e := range events {
		if seen[e.StreamID] == nil {
			seen[e.StreamID] = map[int64]bool{}
		}
		seen[e.StreamID][e.Seq] = true
		if e.Previous != nil {
			ends[e.Previous.StreamID] = *e.Previous
		}
	}
	for id, e := range ends {
		if got, want := int64(len(seen[id])), e.Seq+1-e.Dropped; got != want {
			t.Errorf("stream %s: %d events arrived, %d were generated less %d dropped", id, got, e.Seq+1, e.Dropped)
		}
		dropped += e.Dropped
	}
	return len(ends), dropped
}

// runChild runs a process until it has promised so many events, and then some; with 0
// until it has sent all there is.
func runChild(t *testing.T, url, dir string, promised map[string]bool, most int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], url, dir)
	cmd.Env = append(os.Environ(), childEnv+"=yes")
	if most == 0 {
		cmd.Env = append(os.Environ(), childEnv+"=last")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if len(lines.Text()) == 36 { // whole, though the process was killed
			promised[lines.Text()] = true
		}
		if n++; n == most {
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); most == 0 && err != nil {
		t.Fatal(err)
	}
}

// faulty answers as to says, or not, or too late, or not at all; and rests at times,
// so that queues fill up.
func faulty(to *collector, rng *rand.Rand) http.Handler {
	var mu sync.Mutex
	resting := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		events, err := decode(r)
		if err != nil { // its process was killed
			return
		}
		if resting--; resting > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		switch rng.IntN(8) {
		case 0:
			resting = rng.IntN(15)
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			to.take(events)
			panic(http.ErrAbortHandler) // the answer is lost
		case 2:
			panic(http.ErrAbortHandler)
		default:
			to.take(events)
		}
	})
}
