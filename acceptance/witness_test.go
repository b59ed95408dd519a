package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A witness writes down what clients did, in a file of its own with syncs of
// its own: every event before it is sent, and every answer after it came. What
// it says does not depend on anything the pipeline does.
type witness struct {
	mu   sync.Mutex // guards the file
	file *os.File
}

// note is one line of the witness. Events without a Status are about to be
// sent; with one they were answered.
type note struct {
	Status int               `json:"status,omitempty"`
	Events map[string]string `json:"events,omitempty"` // hash of the content by id; of the bytes for one that does not decode
	Bad    map[string]string `json:"bad,omitempty"`
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "witness.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &witness{file: f}
}

func (w *witness) write(n note) error {
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return w.file.Sync()
}

// testimony is what a witness's file says at the end.
type testimony struct {
	sent, bad map[string]string // content hash by id
	acked     map[string]int    // how often each id was acknowledged
}

func (w *witness) testify(t *testing.T) testimony {
	t.Helper()
	text, err := os.ReadFile(w.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	all := testimony{map[string]string{}, map[string]string{}, map[string]int{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		var n note
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			t.Fatal(err)
		}
		all.add(n)
	}
	return all
}

func (all *testimony) add(n note) {
	for into, from := range map[*map[string]string]map[string]string{&all.sent: n.Events, &all.bad: n.Bad} {
		for id, hash := range from {
			(*into)[id] = hash
			if n.Status/100 == 2 {
				all.acked[id]++
			}
		}
	}
}

// repeats counts acknowledged copies beyond the first of each event.
func (all *testimony) repeats() (n int) {
	for _, times := range all.acked {
		n += times - 1
	}
	return n
}

// content is what of an event a row must still say.
type content struct {
	Name       string          `json:"name"`
	User       string          `json:"user_id"`
	Time       time.Time       `json:"claimed_at"`
	Properties json.RawMessage `json:"properties"`
}

// hash does not depend on spaces or on the order of members.
func (c content) hash() string {
	var properties any
	d := json.NewDecoder(bytes.NewReader(c.Properties))
	d.UseNumber()
	if err := d.Decode(&properties); err != nil {
		return "no JSON: " + err.Error()
	}
	text, err := json.Marshal([]any{c.Name, c.User, c.Time.UTC().Format(time.RFC3339Nano), properties})
	if err != nil {
		return err.Error()
	}
	return digest(text)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// delivery is one request of a client.
type delivery struct {
	note note
	body []byte
}

// batch makes a request of up to 20 events, one in a hundred of which does not
// decode.
func batch(r *rand.Rand) delivery {
	d := delivery{note: note{Events: map[string]string{}, Bad: map[string]string{}}, body: []byte(`{"batch":[`)}
	for i := range 1 + r.IntN(20) {
		if i > 0 {
			d.body = append(d.body, ',')
		}
		id := fmt.Sprintf("w-%016x", r.Uint64())
		if r.IntN(100) == 0 {
			bad := fmt.Appendf(nil, `{"id":%q,"type":"nonsense"}`, id)
			d.note.Bad[id] = digest(bad)
			d.body = append(d.body, bad...)
			continue
		}
		c := play(r)
		d.note.Events[id] = c.hash()
		d.body = fmt.Appendf(d.body, `{"id":%q,"name":%q,"user_id":%q,"time":%q,"properties":%s}`,
			id, c.Name, c.User, c.Time.Format(time.RFC3339Nano), c.Properties)
	}
	d.body = append(d.body, "]}"...)
	return d
}

// play is one play of a track in the last hours, with text that is hard to keep.
func play(r *rand.Rand) content {
	return content{
		Name: "Track Played", User: fmt.Sprintf("u%d", r.IntN(200)),
		Time: time.Now().UTC().Add(-time.Duration(r.Int64N(int64(3 * time.Hour)))).Truncate(time.Millisecond),
		Properties: fmt.Appendf(nil, `{"track_id":"t%d","played_ms":%d,"title":"\u00e9 \"%c\" \\ \u2028","big":%d.5,"none":null,"list":[1,[],{}]}`,
			r.IntN(50), r.IntN(300_000), rune(0x1f300+r.IntN(0x200)), r.Int64()),
	}
}

// clients send load until told to stop, each request until it is answered.
type clients struct {
	t       *testing.T
	witness *witness
	node    atomic.Pointer[node] // where to send now
	once    bool                 // send each request once, and give up when the node is gone
	refused atomic.Int64         // answers that told them to come back
	running sync.WaitGroup
	stop    context.CancelFunc
}

// send starts n clients that wait up to pace between requests.
func (w *witness) send(t *testing.T, r *rand.Rand, n int, pace time.Duration) *clients {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &clients{t: t, witness: w, stop: stop}
	for range n {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		c.running.Go(func() {
			var sent []delivery
			for ctx.Err() == nil {
				d := batch(own)
				if len(sent) > 0 && own.IntN(15) == 0 { // as a client that was offline: long loaded, perhaps lives of the node ago
					d = sent[own.IntN(len(sent))]
				}
				c.deliver(own, d)
				sent = append(sent, d)
				pause(ctx, time.Duration(own.Int64N(int64(pace))))
			}
		})
	}
	t.Cleanup(c.done)
	return c
}

// done tells the clients to stop and waits until their last requests are
// answered, or the test has failed.
func (c *clients) done() {
	c.stop()
	c.running.Wait()
}

// deliver sends one request as a good client does. Some answers it takes for
// lost: the same bytes then come again at once, although they were acknowledged.
func (c *clients) deliver(r *rand.Rand, d delivery) {
	if err := c.witness.write(d.note); err != nil {
		c.t.Errorf("witness: %v", err)
		return
	}
	deadline := time.Now().Add(convergeLimit)
	for answered := false; !answered || r.IntN(20) == 0; {
		status, err := c.attempt(d)
		switch {
		case c.once && err != nil:
			return
		case err != nil || status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
			pause(context.Background(), time.Duration(10+r.IntN(20))*time.Millisecond)
		case status/100 == 2:
			answered = true
		default:
			c.t.Errorf("a request was answered %d", status)
			return
		}
		if time.Now().After(deadline) || c.t.Failed() {
			return
		}
	}
}

// attempt sends a request once and has the witness note a complete answer.
func (c *clients) attempt(d delivery) (status int, err error) {
	n := c.node.Load()
	if n == nil {
		return 0, http.ErrServerClosed
	}
	status, _, err = n.do(context.Background(), http.MethodPost, "/v1/events", http.Header{"Authorization": {"Bearer demo"}}, d.body)
	if err != nil {
		return 0, err
	}
	if status/100 != 2 {
		c.refused.Add(1)
		return status, nil
	}
	d.note.Status = status
	return status, c.witness.write(d.note)
}

// judge holds what is on record against what the witness saw.
func (all testimony) judge(t *testing.T, n *node) {
	t.Helper()
	seen := all.seen(t, n)
	lost, duplicates := 0, 0
	for id := range all.acked {
		if seen[id] == 0 {
			lost++
		}
	}
	for _, times := range seen {
		duplicates += times - 1
	}
	if lost > 0 || duplicates > 0 {
		t.Errorf("acknowledged lost %d, duplicates %d", lost, duplicates)
	}
	t.Logf("sent %d events, %d bad ones; acknowledged %d, and %d copies of them; on record %d; lost %d, duplicates %d",
		len(all.sent), len(all.bad), len(all.acked), all.repeats(), len(seen), lost, duplicates)
}

// seen counts the rows of each id, each of which must hold what was sent.
func (all testimony) seen(t *testing.T, n *node) map[string]int {
	t.Helper()
	type row struct {
		ID string `json:"event_id"`
		content
	}
	type bad struct{ Body string }
	seen := map[string]int{}
	for _, r := range rows[row](t, n, "SELECT event_id, name, user_id, claimed_at, properties FROM raw WHERE event_id NOT LIKE 'room-%'") {
		seen[r.ID]++
		if want, sent := all.sent[r.ID]; !sent {
			t.Errorf("ghost: nobody sent %s", r.ID)
		} else if r.hash() != want {
			t.Errorf("%s has other content than was sent: %+v", r.ID, r.content)
		}
	}
	for _, b := range rows[bad](t, n, "SELECT decode(body) AS body FROM quarantine") {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(b.Body), &e); err != nil {
			t.Errorf("quarantine holds %q: %v", b.Body, err)
		}
		seen[e.ID]++
		if all.bad[e.ID] != digest([]byte(b.Body)) {
			t.Errorf("ghost in quarantine: %s", b.Body)
		}
	}
	return seen
}
