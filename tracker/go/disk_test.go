package tracker

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// What a process left is sent by the next, which says where the stream ended, also
// when nothing was left to send.
func TestTheNextProcessGoesOn(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		down := &collector{}
		for range 1000 {
			down.answers = append(down.answers, reset)
		}
		first := open(t, down, Options{Dir: dir})
		track(t, first, 3)
		abandon(t, first)

		to := &collector{}
		second := open(t, to, Options{Dir: dir})
		track(t, second, 2)
		if err := second.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		track(t, second, 1)
		closeIt(t, second)
		if s := second.Stats(); s != (Stats{Found: 3, Generated: 3, Sent: 6}) {
			t.Errorf("%+v", s)
		}
		numbered(t, to.order[:3], 3)
		for i, told := range []bool{true, true, false} {
			e := to.order[3+i]
			p := e.Previous
			if told != (p != nil) || told && (p.StreamID != to.order[0].StreamID || p.Seq != 2 || !p.Time.Equal(to.order[2].Time)) {
				t.Errorf("event %d of the second: %s", i, e.raw)
			}
		}

		third := open(t, to, Options{Dir: dir})
		track(t, third, 1)
		closeIt(t, third)
		last := to.order[len(to.order)-1]
		if p := last.Previous; p == nil || p.StreamID != to.order[3].StreamID || p.Seq != 2 {
			t.Errorf("after a queue that was empty: %s", last.raw)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.events")); len(left) > 0 {
			t.Errorf("all is answered, and there are %v", left)
		}
	})
}

// abandon ends a client as a kill would, as far as its files go.
func abandon(t *testing.T, c *Client) {
	t.Helper()
	c.abandon()
	<-c.stopped
	if err := c.queue.close(); err != nil {
		t.Fatal(err)
	}
}

// Damage costs the events it hits: they are counted, and the rest is sent.
func TestDamagedFile(t *testing.T) {
	for name, damage := range map[string]struct {
		do      func([]byte) []byte
		dropped int64
	}{
		"a torn end":       {func(b []byte) []byte { return b[:len(b)-20] }, 0},
		"a byte":           {func(b []byte) []byte { b[15] ^= 1; return b }, 1},
		"a line in midst":  {func(b []byte) []byte { b[bytes.IndexByte(b, '\n')+3] ^= 4; return b }, 1},
		"zeros at the end": {func(b []byte) []byte { return append(b, make([]byte, 300)...) }, 0},
		"nothing left":     {func([]byte) []byte { return nil }, 0},
		"garbage":          {func(b []byte) []byte { return append([]byte("\n\n???\n"), b...) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				down := &collector{}
				for range 1000 {
					down.answers = append(down.answers, reset)
				}
				c := open(t, down, Options{Dir: dir})
				track(t, c, 10)
				abandon(t, c)
				path := filepath.Join(dir, "00000001.events")
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				whole := bytes.Count(damage.do(bytes.Clone(b)), []byte("\n"))
				if err := os.WriteFile(path, damage.do(b), 0o600); err != nil {
					t.Fatal(err)
				}
				to, told := &collector{}, 0
				c = open(t, to, Options{Dir: dir, OnError: func(error) { told++ }})
				closeIt(t, c)
				if told > 0 != (damage.dropped > 0) {
					t.Errorf("told %d times", told)
				}
				if s := c.Stats(); s.Dropped != damage.dropped || s.Sent != int64(whole)-damage.dropped || s.Queued != 0 {
					t.Errorf("%+v of %d lines", s, whole)
				}
			})
		})
	}
}

// A file that somebody removed costs what it held, and nothing behind it waits.
func TestRemovedFile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		down := &collector{}
		for range 1000 {
			down.answers = append(down.answers, reset)
		}
		for range 2 {
			c := open(t, down, Options{Dir: dir})
			track(t, c, 4)
			abandon(t, c)
		}
		to := &collector{}
		c := open(t, to, Options{Dir: dir})
		if err := os.Remove(filepath.Join(dir, "00000001.events")); err != nil {
			t.Fatal(err)
		}
		closeIt(t, c)
		if s := c.Stats(); s.Dropped != 4 || s.Sent != 4 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// An event without a number says nothing of the stream, whatever its properties hold.
func TestEndIsOfNumberedEvents(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		down := &collector{answers: []func(*collector, []event) (int, http.Header, error){reset, reset}}
		c := open(t, down, Options{Dir: dir})
		track(t, c, 2)
		own := Event{Name: "own", Time: time.Now().Add(-time.Hour), Properties: map[string]string{"stream_id": "x"}}
		if err := c.Track(own); err != nil {
			t.Fatal(err)
		}
		abandon(t, c)
		if err := os.Remove(filepath.Join(dir, "end")); err != nil {
			t.Fatal(err)
		}
		d, err := openDisk(dir, diskBytes, false)
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		if d.end.StreamID == "" || d.end.Seq != 1 {
			t.Errorf("the stream ends at %+v", d.end)
		}
	})
}

// A damaged end says nothing; the events on file do.
func TestDamagedEnd(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "end"), bytes.Repeat([]byte("x"), 700), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := openDisk(dir, diskBytes, false)
	if err != nil {
		t.Fatal(err)
	}
	if d.end != (end{}) {
		t.Errorf("%+v", d.end)
	}
	want := end{StreamID: "s", Seq: 7, Dropped: 2, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if err := d.remember(want); err != nil {
		t.Fatal(err)
	}
	got, err := readBack(dir)
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

func readBack(dir string) (end, error) {
	f, err := os.Open(filepath.Join(dir, "end"))
	if err != nil {
		return end{}, err
	}
	defer f.Close()
	return readEnd(f)
}

// Many files: in order, and gone once they are answered.
func TestManyFiles(t *testing.T) {
	d, err := openDisk(t.TempDir(), diskBytes, false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	big := bytes.Repeat([]byte("x"), 400<<10)
	for i := range 20 {
		if err := d.add(append(big, fmt.Sprint(i)...)); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.files) < 5 {
		t.Errorf("%d files", len(d.files))
	}
	for i := 0; i < 20; {
		batch, damaged, err := d.next(2, 1<<20)
		if err != nil || damaged > 0 || len(batch) == 0 || len(batch) > 2 {
			t.Fatal(len(batch), damaged, err)
		}
		for n, e := range batch {
			if !bytes.HasSuffix(e, fmt.Append(nil, "x", i+n)) {
				t.Fatalf("event %d is out of order", i+n)
			}
		}
		i += len(batch)
		if err := d.done(len(batch)); err != nil {
			t.Fatal(err)
		}
	}
	if d.bytes != 0 || len(d.files) != 0 {
		t.Errorf("%d bytes in %d files are left", d.bytes, len(d.files))
	}
}

// Any name will do for the folder, also one that a pattern reads otherwise.
func TestFolderNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*")
	for found := range int64(3) {
		d, err := openDisk(dir, diskBytes, false)
		if err != nil {
			t.Fatal(err)
		}
		if d.found != found {
			t.Errorf("found %d events of %d", d.found, found)
		}
		if err := errors.Join(d.add([]byte("{}")), d.close()); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever is told may ask what became of events.
func TestOnErrorMayAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Client
		told := 0
		c = open(t, &collector{}, Options{OnError: func(error) {
			told++
			c.Stats()
		}})
		c.queue = forgetful{c.queue}
		track(t, c, 1)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		c.abandon()
		<-c.stopped
	})
}

// forgetful is a queue on a disk that takes no end.
type forgetful struct{ queue }

func (forgetful) remember(end) error { return errors.New("no space") }

// The bound that is asked for holds, also where it is that of the other queue.
func TestMaxBytes(t *testing.T) {
	for dir, want := range map[string][2]int64{"": {memoryBytes, memoryBytes}, "queue": {diskBytes, memoryBytes}} {
		got := [2]int64{Options{Dir: dir}.withDefaults().MaxBytes, Options{Dir: dir, MaxBytes: memoryBytes}.withDefaults().MaxBytes}
		if got != want {
			t.Errorf("in %q: %d, want %d", dir, got, want)
		}
	}
}
