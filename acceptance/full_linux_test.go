package acceptance

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The disk fills up under load and is freed again. While it is full nothing is
// acknowledged that is not stored; afterwards everything goes on without a
// restart, and nothing is lost.
func TestFullDisk(t *testing.T) {
	r := random(t)
	disk := mountSmall(t, "160m")
	p := newProject(t, "empty", "REEDBED_DATA="+filepath.Join(disk, "data"), "REEDBED_QUERY_ROWS=10000000", "REEDBED_QUERY_BYTES=1GiB",
		"REEDBED_LIMITS_EXPANDED=1MiB", "REEDBED_LIMITS_EVENT=256KiB", "REEDBED_JOURNAL_SEGMENT=4MiB", "REEDBED_JOURNAL_RESERVE=16MiB")
	n := p.up(t).deployed(t)
	w := newWitness(t)
	clients := w.send(t, r, 8, 30*time.Millisecond)
	clients.node.Store(n)
	for range sized(2, 1) {
		ballast := fill(t, disk)
		eventually(t, time.Minute, "no room", func() error {
			return n.answers(t, http.StatusServiceUnavailable)
		})
		told := clients.refused.Load()
		eventually(t, time.Minute, "all clients are told to come back", func() error {
			if clients.refused.Load() < told+50 {
				return errors.New("few were")
			}
			return nil
		})
		if status, _, err := n.do(t.Context(), http.MethodGet, "/readyz", nil, nil); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("readiness on a full disk: %d %v", status, err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		freed := time.Now()
		eventually(t, 30*time.Second, "room again", func() error { return n.answers(t, http.StatusOK) })
		t.Logf("acknowledged again %v after there was room", time.Since(freed).Round(time.Millisecond))
	}
	clients.done()
	n.converged(t)
	w.testify(t).judge(t, n)
	n.stop(t)
}

// answers sends one event and compares the status of the answer.
func (n *node) answers(t *testing.T, want int) error {
	t.Helper()
	body := fmt.Appendf(nil, `{"id":"room-%d","name":"Room"}`, time.Now().UnixNano())
	status, answer, err := n.do(t.Context(), http.MethodPost, "/v1/events?key=demo", nil, body)
	if err == nil && status != want {
		err = fmt.Errorf("answered %d: %s", status, answer)
	}
	return err
}

// mountSmall mounts a file system of its own for the test.
func mountSmall(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small file system is not permitted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all that is left of a file system.
func fill(t *testing.T, disk string) (ballast string) {
	t.Helper()
	f, err := os.CreateTemp(disk, "ballast")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return f.Name()
}
