package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A write key is exchanged while the node runs: old and new side by side, then the
// old one is refused, within seconds of the file being written. A file with a mistake
// changes nothing and is said to be wrong.
func TestKeysAreExchanged(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := newProject(t, "empty")
	keys := func(keys string) {
		p.write(t, "reedbed.yaml", "name: events\nsources:\n  - name: app\n    keys: ["+keys+"]\n")
	}
	keys("demo")
	n := p.up(t).listening(t)
	const limit = 10 * time.Second // 5 and what a busy machine needs
	if err := n.answersKey(t, "fresh", http.StatusUnauthorized); err != nil {
		t.Fatal(err)
	}
	if err := n.answersKey(t, "demo", http.StatusOK); err != nil {
		t.Fatal(err)
	}

	keys("demo, fresh")
	eventually(t, limit, "the new key", func() error { return n.answersKey(t, "fresh", http.StatusOK) })
	if err := n.answersKey(t, "demo", http.StatusOK); err != nil {
		t.Error(err)
	}

	keys("fresh, ''")
	eventually(t, limit, "the mistake", func() error {
		s, err := n.status(t.Context())
		if err == nil && !strings.Contains(fmt.Sprint(s.Problems), "sources[0].keys[1]") {
			err = fmt.Errorf("problems %v", s.Problems)
		}
		return err
	})
	if err := n.answersKey(t, "demo", http.StatusOK); err != nil {
		t.Error(err)
	}

	keys("fresh")
	eventually(t, limit, "the end of the old key", func() error { return n.answersKey(t, "demo", http.StatusUnauthorized) })
	if err := n.answersKey(t, "fresh", http.StatusOK); err != nil {
		t.Error(err)
	}
	n.stop(t)
}

// answersKey sends one event with a key and compares the status of the answer.
func (n *node) answersKey(t *testing.T, key string, want int) error {
	t.Helper()
	body := fmt.Appendf(nil, `{"id":"key-%d","name":"Key"}`, time.Now().UnixNano())
	status, answer, err := n.do(t.Context(), http.MethodPost, "/v1/events", http.Header{"X-Write-Key": {key}}, body)
	if err == nil && status != want {
		err = fmt.Errorf("key %s answered %d: %s", key, status, answer)
	}
	return err
}
