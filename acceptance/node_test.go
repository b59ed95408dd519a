package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reedbed/reedbed/web"
)

const (
	startLimit    = 2 * time.Minute  // for a node to listen
	convergeLimit = 10 * time.Minute // for everything to be loaded and computed
)

// node is one running `reedbed up`.
type node struct {
	command *exec.Cmd
	began   time.Time
	client  *http.Client
	talk    talk
	listens chan struct{} // closed when url is known
	ready   chan struct{} // closed when the stages are deployed
	ended   chan struct{} // closed when the process is gone; code is known then
	url     string
	code    int
}

// up starts the project and leaves it to the test's end to kill what still
// runs then. It does not wait for anything.
func (p project) up(t *testing.T) *node {
	t.Helper()
	n := &node{
		command: p.command(context.WithoutCancel(t.Context()), "up", "-C", p.dir, "--listen", "127.0.0.1:0"),
		began:   time.Now(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: startLimit},
		listens: make(chan struct{}), ready: make(chan struct{}), ended: make(chan struct{}),
	}
	n.command.Stderr = &n.talk
	stdout, err := n.command.StdoutPipe()
	if err == nil {
		err = n.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go n.watch(stdout)
	t.Cleanup(func() {
		n.kill()
		n.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the node said:\n%s", n.talk.end())
		}
	})
	return n
}

// watch reads what the node prints, until it is gone.
func (n *node) watch(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			n.url = url
			close(n.listens)
		}
		if lines.Text() == "ready" {
			close(n.ready)
		}
	}
	err := n.command.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		n.code = exit.ExitCode()
	} else if err != nil {
		n.code = -1
	}
	close(n.ended)
}

// listening waits for the node's URL.
func (n *node) listening(t *testing.T) *node {
	t.Helper()
	n.until(t, n.listens, "listens")
	return n
}

// deployed waits until the project's stages are at work.
func (n *node) deployed(t *testing.T) *node {
	t.Helper()
	n.until(t, n.ready, "is ready")
	return n
}

func (n *node) until(t *testing.T, reached <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-reached:
	case <-n.ended:
		t.Fatalf("the node ended with code %d before it %s:\n%s", n.code, what, n.talk.end())
	case <-time.After(startLimit):
		t.Fatalf("%v passed before the node %s:\n%s", startLimit, what, n.talk.end())
	}
}

// kill ends the process as a power cut would, and waits until it is gone.
func (n *node) kill() {
	_ = n.command.Process.Kill() // it may be gone already
	<-n.ended
}

// stop asks the process to end as Ctrl+C does, and waits until it has.
func (n *node) stop(t *testing.T) {
	t.Helper()
	if err := n.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	n.wait(t, 20*time.Second)
}

// wait waits until the process ended by itself, with exit code 0.
func (n *node) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case <-n.ended:
	case <-time.After(limit):
		t.Fatalf("the node still runs %v after it was asked to stop:\n%s", limit, n.talk.end())
	}
	if n.code != 0 {
		t.Fatalf("the node ended with code %d:\n%s", n.code, n.talk.end())
	}
}

// do sends a request and reads the whole answer. An error means that there was
// no complete answer.
func (n *node) do(ctx context.Context, method, path string, header http.Header, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, n.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	maps.Copy(r.Header, header)
	res, err := n.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// status asks for the node's status.
func (n *node) status(ctx context.Context) (s web.Status, err error) {
	code, body, err := n.do(ctx, http.MethodGet, "/api/v1/status", nil, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("status: %d: %s", code, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	return s, err
}

// converged waits until everything is loaded and computed.
func (n *node) converged(t *testing.T) (s web.Status) {
	t.Helper()
	eventually(t, convergeLimit, "convergence", func() (err error) {
		if s, err = n.status(t.Context()); err != nil || s.Converged {
			return err
		}
		return fmt.Errorf("%d of %d events loaded, datasets %+v, failures %v", s.Journal.Loaded, s.Journal.End, s.Datasets, s.Failures)
	})
	if a := s.Totals; a.Acknowledged != a.Loaded+a.Quarantined+a.DuplicatesRemoved || s.Journal.End != a.Acknowledged {
		t.Errorf("the figures do not add up: %+v, journal %+v", a, s.Journal)
	}
	return s
}

// ask answers a SELECT through the API, one Row for each row.
func ask[Row any](ctx context.Context, n *node, sql string) ([]Row, error) {
	question, err := json.Marshal(map[string]string{"sql": sql, "format": "ndjson"})
	if err != nil {
		return nil, err
	}
	code, body, err := n.do(ctx, http.MethodPost, "/api/v1/sql", nil, question)
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, &refused{code, string(body)}
	}
	var rows []Row
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		var row Row
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("%w in the answer to %s", err, sql)
		}
		rows = append(rows, row)
	}
}

// refused is an answer that is no success.
type refused struct {
	status int
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("%d: %s", r.status, r.body) }

// rows is ask for a question that must be answered.
func rows[Row any](t *testing.T, n *node, sql string) []Row {
	t.Helper()
	out, err := ask[Row](t.Context(), n, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// talk keeps what a process says.
type talk struct {
	mu   sync.Mutex
	text []byte
}

func (k *talk) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.text = append(k.text, p...)
	return len(p), nil
}

// end is the last of it.
func (k *talk) end() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.text[max(0, len(k.text)-8<<10):])
}
