package acceptance

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A node that is asked to stop answers what it has taken in, takes no more, and
// ends in time. That every accepted request is answered shows afterwards: what
// is on record is exactly what the witness saw acknowledged.
func TestStopUnderLoad(t *testing.T) {
	r := random(t)
	p := newProject(t, "empty", "REEDBED_QUERY_ROWS=10000000", "REEDBED_QUERY_BYTES=1GiB")
	w := newWitness(t)
	for range sized(5, 2) {
		n := p.up(t).deployed(t)
		clients := w.send(t, r, 50, 20*time.Millisecond)
		clients.once = true
		clients.node.Store(n)
		pause(t.Context(), 500*time.Millisecond+time.Duration(r.IntN(1000))*time.Millisecond)
		if err := n.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		n.wait(t, 10*time.Second)
		took := time.Since(asked)
		clients.done()
		n.client.CloseIdleConnections()
		t.Logf("ended after %v with %d clients; %d requests were told to come back", took.Round(time.Millisecond), 50, clients.refused.Load())
	}
	n := p.up(t).deployed(t)
	n.converged(t)
	all := w.testify(t)
	all.judge(t, n)
	all.judgeAnswered(t, n)
	n.stop(t)
}

// judgeAnswered wants everything on record to have been acknowledged.
func (all testimony) judgeAnswered(t *testing.T, n *node) {
	t.Helper()
	for _, r := range rows[struct{ ID string }](t, n, "SELECT event_id AS id FROM raw") {
		if all.acked[r.ID] == 0 {
			t.Errorf("%s was accepted, and its request never answered", r.ID)
		}
	}
}

// One process at a time may change a project; a second one says so and ends.
func TestSecondProcessIsRefused(t *testing.T) {
	p := newProject(t, "empty")
	n := p.up(t).deployed(t)
	stdout, stderr, code := p.run(t, "up", "-C", p.dir, "--listen", "127.0.0.1:0")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "in use") || !strings.Contains(stderr, p.dir) || !strings.Contains(stderr, "fix: ") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if _, err := n.status(t.Context()); err != nil {
		t.Errorf("the first process was disturbed: %v", err)
	}
	n.kill()
	p.up(t).deployed(t).stop(t) // a lock does not outlive its holder
}

// Before a node has read its stages it cannot know what is stale, and does not
// say that nothing is.
func TestConvergedOnlyOnceDeployed(t *testing.T) {
	p := newProject(t, "plays")
	n := p.up(t).listening(t)
	s := n.converged(t)
	for _, d := range s.Datasets {
		if d.Name == "top_28d" {
			n.stop(t)
			return
		}
	}
	t.Errorf("converged without its stages: %+v", s.Datasets)
}

// An answer that was cut says so, whether a node runs or not.
func TestCutAnswerSaysSo(t *testing.T) {
	p := newProject(t, "empty", "REEDBED_QUERY_ROWS=10")
	n := p.up(t).deployed(t)
	for _, where := range []string{"beside a node", "at rest"} {
		stdout, stderr, code := p.run(t, "sql", "-C", p.dir, "--format", "csv", "SELECT unnest(range(100)) AS n")
		if lines := strings.Count(stdout, "\n"); code != 0 || lines != 11 || !strings.Contains(stderr, "the answer was cut") {
			t.Errorf("%s: exit code %d, %d lines, stderr %q", where, code, lines, stderr)
		}
		if where == "beside a node" {
			n.stop(t)
		}
	}
}
