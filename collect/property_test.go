package collect

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// sample is one event of a random request and what should become of it.
type sample struct {
	text string
	ok   bool
}

func native(ok bool) *rapid.Generator[sample] {
	return rapid.Custom(func(t *rapid.T) sample {
		id, _ := json.Marshal(rapid.StringN(1, 20, 60).Draw(t, "id"))
		if ok {
			return sample{fmt.Sprintf(`{"id":%s,"name":"Played","properties":{"n":%d}}`, id, rapid.Int32().Draw(t, "n")), true}
		}
		return sample{rapid.SampledFrom([]string{
			fmt.Sprintf(`{"id":%s,"type":"track"}`, id), `{"id":1,"name":"a"}`, `{"name":7}`, `{"type":"nonsense","name":"a"}`,
			`{"name":"a","name":"b"}`, `{}`, `[]`, `"text"`, `17`, `{"name":""}`,
		}).Draw(t, "bad"), false}
	})
}

// TestAccounting: for any mix of events, framings, encodings and refusals,
// what was sent equals ok + quarantined + refused; every accepted event is in
// the journal once, byte for byte and in order.
func TestAccounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := new(memory)
		d, _ := newDoor(t, Options{Journal: m, Limits: Limits{Expanded: 3000}})
		sent, ok, quarantined, refused := 0, 0, 0, 0
		var want []string
		for range rapid.IntRange(1, 8).Draw(t, "requests") {
			var samples []sample
			for range rapid.IntRange(1, 30).Draw(t, "events") {
				samples = append(samples, native(rapid.IntRange(0, 4).Draw(t, "ok") > 0).Draw(t, "event"))
			}
			m.fail = nil
			if rapid.IntRange(0, 5).Draw(t, "fail") == 0 {
				m.fail = func() error { return journal.ErrTooLarge }
			}
			w := post(d, rapid.SampledFrom([]string{"demo", "demo", "demo", "nope"}).Draw(t, "key"), frame(t, samples))
			var a answer
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			sent += len(samples)
			if w.Code != http.StatusOK {
				refused += len(samples)
				continue
			}
			ok, quarantined = ok+a.Accepted, quarantined+a.Quarantined
			for i, s := range samples {
				if status := a.Results[i].Status; (status == "ok") != s.ok {
					t.Fatalf("%s is %s", s.text, status)
				}
				want = append(want, s.text)
			}
		}
		if sent != ok+quarantined+refused {
			t.Fatalf("sent %d, ok %d, quarantined %d, refused %d", sent, ok, quarantined, refused)
		}
		if got := texts(m); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("journalled\n%q, want\n%q", got, want)
		}
		if s := d.Stats(); s.Accepted != uint64(ok) || s.Quarantined != uint64(quarantined) {
			t.Fatalf("stats %+v, answered %d ok, %d quarantined", s, ok, quarantined)
		}
	})
}

func texts(m *memory) (list []string) {
	for _, b := range m.batches {
		for _, item := range b.Items {
			list = append(list, string(item.Raw))
		}
	}
	return list
}

func frame(t *rapid.T, samples []sample) string {
	var list []string
	for _, s := range samples {
		list = append(list, s.text)
	}
	body := "[" + strings.Join(list, ", ") + "]"
	if rapid.Bool().Draw(t, "envelope") {
		body = `{"batch":` + body + `,"sent_at":"2026-11-22T10:00:00Z"}`
	}
	switch rapid.IntRange(0, 2).Draw(t, "encoding") {
	case 1:
		return gz(body)
	case 2:
		return zs(body)
	}
	return body
}

func post(d *Door, key, body string) *httptest.ResponseRecorder {
	return call{path: "/v1/events?key=" + key, body: body}.do(d)
}

// FuzzHandler sends any bytes to any path: no panic, no 5xx while the journal
// works, and the answer's counts are what was journalled.
func FuzzHandler(f *testing.F) {
	for i, body := range []string{
		one, "[" + one + "," + bad + "]", `{"batch":[` + one + `]}`, one + "\n" + bad, gz(one), zs(one), gz(one)[:20],
		"", "[", `{"batch":`, "\x1f\x8b\x08\x00", "\x28\xb5\x2f\xfd", `{"writeKey":"demo","name":"a"}`, "\xef\xbb\xbf" + one,
	} {
		f.Add(uint8(i), i%2 == 0, []byte(body))
	}
	m := new(memory)
	d, _ := newDoor(f, Options{Journal: m, Limits: Limits{Expanded: 4 << 20}})
	paths := append(d.Paths(), "/v1/none")
	f.Fuzz(func(t *testing.T, path uint8, keyed bool, body []byte) {
		m.batches = nil
		target := paths[int(path)%len(paths)]
		if keyed {
			target += "?key=demo"
		}
		r := httptest.NewRequest(http.MethodPost, target, bytes.NewReader(body))
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("answer %q: %v", w.Body, err)
		}
		ok, quarantined := m.counts()
		if w.Code >= 500 || ok != a.Accepted || quarantined != a.Quarantined {
			t.Fatalf("status %d, answered %d and %d, journalled %d and %d", w.Code, a.Accepted, a.Quarantined, ok, quarantined)
		}
		if n, b := d.gate.inFlight(); n != 0 || b != 0 {
			t.Fatalf("the gate still holds %d requests, %d bytes", n, b)
		}
		checkKept(t, body, m.batches)
	})
}

// checkKept: every byte that is not framing is in an item or shared, which is
// hard to say in general; that items are parts of the body is not.
func checkKept(t *testing.T, body []byte, batches []event.Batch) {
	expanded := body
	if sniff(body) == gzipped {
		if zr, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			var b bytes.Buffer
			if _, err := b.ReadFrom(zr); err == nil {
				expanded = b.Bytes()
			}
		}
	}
	if sniff(body) == zstandard {
		return
	}
	for _, b := range batches {
		for _, item := range b.Items {
			if !bytes.Contains(expanded, item.Raw) && !bytes.Contains(body, item.Raw) {
				t.Fatalf("item %q is no part of the body", item.Raw)
			}
		}
	}
}
