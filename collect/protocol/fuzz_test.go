package protocol

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

func fuzzSeeds(f *testing.F) {
	for _, body := range []string{
		`{"id":"a","name":"P"}`, `[{"name":"P"},{"name":"P","name":"Q"}]`, "{\"name\":\"P\"}\n{\"x\":\n{\"type\":\"page\"}",
		`{"context":{"a":1},"batch":[{"type":"track","event":"P","context":{"b":2}},{"x":[}],"sentAt":1}`, `{"batch":[{"type":"page"}],"batch":[],"writeKey":"\u006b"}`,
		`{"schema":"iglu:a/b/c/1","data":[{"e":"ue","eid":"a","ue_px":"eyJkYXRhIjp7InNjaGVtYSI6ImlnbHU6YS9iL2MvMS0wLTAiLCJkYXRhIjp7fX19","co":"{\"data\":[]}","dtm":"1795290652394","nuid":"n"}]}`,
		`{"data":[{"e":"se","se_ac":"a","se_zz":1,"pp_mix":"0","schema":1,"data":2,"duid":"\u0061"}],"observed":{"network":"\"","query":{"e":"pv","url":"u"}}}`,
		`{"api_key":"k","batch":[{"event":"$pageview","uuid":"","offset":12,"properties":{"$device_id":"a","distinct_id":"a","$time":1795291570.8,"token":"t"}}],"sent_at":"2026-11-22T00:00:00Z"}`,
		`{"specversion":"1.0","id":"a","source":"s","type":"t","data":[1],"time":"2026-11-22T00:00:00Z"}`, `{"n":"pageview","u":"https://a","url":"b","d":"a.com,b.com","p":"{\"a\":1}"}`,
		`{"name":"P","seq":"12","time":"1795290652394","a":"b","key":"k"}`,
		"\xef\xbb\xbf[1,{\"type\":\"identify\",\"traits\":{},\"integrations\":{\"\\u0061\":1}}]", `{"type":"page","integrations":5,"batch":0}`, `{"batch":[{}],"integrations":{"a":{}},"implied_type":"page","context":{"sessionId":"\n"}}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
}

// FuzzSplit checks that no byte of a body is lost or invented and that the
// loader decodes whatever the door accepted.
func FuzzSplit(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte, byPath bool) {
		for _, p := range All() {
			typ := ""
			if byPath {
				typ = "page"
			}
			door, loader := NewDecoder(p, Limits{Events: 5, EventBytes: 200}), NewDecoder(p, Limits{Events: 5, EventBytes: 200})
			r := door.Split(body, typ)
			checkKept(t, body, r)
			loader.Begin(r.Shared)
			for i, item := range r.Items {
				if item.Refusal.Code != "" {
					continue
				}
				e, err := loader.Decode(item.Raw)
				if err != nil || e.ID != r.IDs[i] {
					t.Fatalf("%s: %q: the door accepts %q, the loader %q: %v", p.Name, item.Raw, r.IDs[i], e.ID, err)
				}
				checkEnvelope(t, p, loader, item.Raw, e)
				checkOutline(t, p, r.Shared, &item)
			}
		}
	})
}

// checkKept checks that items are pieces of the body, in order, and that only
// framing, or what went to Shared and Key, lies between them.
func checkKept(t *testing.T, body []byte, r *Request) {
	rest := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	var between []byte
	for _, item := range r.Items {
		i := bytes.Index(rest, item.Raw)
		if i < 0 || len(item.Raw) == 0 {
			t.Fatalf("%q: item %q is not in the rest %q", body, item.Raw, rest)
		}
		between = append(between, rest[:i]...)
		rest = rest[i+len(item.Raw):]
	}
	between = append(between, rest...)
	if r.Shared != nil || r.Key != "" || bytes.Contains(body, []byte("batch")) || bytes.Contains(body, []byte("data")) || bytes.Contains(body, []byte(`\u`)) {
		return // the framing holds names and values
	}
	if left := bytes.Trim(between, " \t\r\n,[]{}:"); len(left) > 0 {
		t.Fatalf("%q: %q is in no item", body, left)
	}
}

func checkEnvelope(t *testing.T, p Protocol, d *Decoder, raw []byte, e event.Envelope) {
	wider := strictjson.NewScanner(strictjson.Limits{Depth: 40, Keys: 2000}) // a merged object may exceed the limits
	for _, object := range [][]byte{e.Properties, e.Context, e.Extra} {
		if object == nil {
			continue
		}
		if err := wider.Document(object); err != nil || object[0] != '{' {
			t.Fatalf("%q: not a JSON object: %q: %v", raw, object, err)
		}
	}
	if _, err := d.Decode(raw); err != nil {
		t.Fatalf("%q: decodes once only: %v", raw, err)
	}
	want, err := event.PayloadHash(raw, p.TransportFields)
	if err != nil || d.PayloadHash() != want {
		t.Fatalf("%q: payload hash %#x, want %#x (%v)", raw, d.PayloadHash(), want, err)
	}
}

// checkOutline checks that an item reads by its outline as it decodes in full.
func checkOutline(t *testing.T, p Protocol, shared []byte, item *event.Item) {
	full, short := NewDecoder(p, Limits{}), NewDecoder(p, Limits{})
	full.Begin(shared)
	short.Begin(shared)
	want, err := full.Decode(item.Raw)
	got, errShort := short.Read(item)
	if err != nil || errShort != nil {
		t.Fatalf("%s: %q: in full %v, by its outline %v", p.Name, item.Raw, err, errShort)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s: %q (-in full +by its outline)\n%s", p.Name, item.Raw, diff)
	}
	if full.PayloadHash() != short.PayloadHash() || full.ID(want.Time) != short.ID(got.Time) {
		t.Fatalf("%s: %q: hash %#x, id %q; by the outline hash %#x, id %q", p.Name, item.Raw,
			full.PayloadHash(), full.ID(want.Time), short.PayloadHash(), short.ID(got.Time))
	}
	if len(item.Outline) == 0 {
		t.Fatalf("%s: %q has no outline", p.Name, item.Raw)
	}
}

// FuzzRead reads by outlines nobody made: whatever they say, bytes outside the
// event are not touched, and one that does not fit changes nothing.
func FuzzRead(f *testing.F) {
	head := "\x01\x00\x00\x00\x00\x00\x00\x00\x00"
	f.Add([]byte(`{"name":"P","properties":{"a":[1]},"context":{}}`), []byte(head+"\x09\x02"))
	f.Add([]byte(`{"name":"P","properties":{"a":[1]}}`), []byte(head+"\x08"))
	f.Add([]byte(`{"name":"P" , "seq" : 12 ,"x":["\\""]}`), []byte(head+"\x06"))
	f.Add([]byte(`{"a":"\`), []byte(head))
	f.Add([]byte(`{"e":"ue","ue_pr":"{\"data\":{\"schema\":\"iglu:a/b/c/1\",\"data\":{\u","co":"{\"data\":["}`), []byte(head))
	f.Add([]byte(`{"n":"x","p":"{\"a\":","specversion":"1.0","id":"\ud8","source":"\u12","type":"t"}`), []byte(head))
	f.Fuzz(func(t *testing.T, raw, outline []byte) {
		raw = slices.Clip(raw)
		for _, p := range All() {
			d := decoder(t, p.Name)
			e, err := d.Read(&event.Item{Raw: raw, Outline: outline})
			if d.follow(&event.Item{Raw: raw, Outline: outline}) {
				continue
			}
			want, wantErr := decoder(t, p.Name).Decode(raw)
			if diff := cmp.Diff(want, e); diff != "" || !errors.Is(err, wantErr) {
				t.Fatalf("%s: %q by %q: %v, want %v (-want +got)\n%s", p.Name, raw, outline, err, wantErr, diff)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte, shared bool) {
		for _, p := range All() {
			d := NewDecoder(p, Limits{})
			if shared {
				d.Begin([]byte(`{"context":{"a":1,"\u0062":2},"integrations":{"a":{}},"x":1}`))
			}
			e, err := d.Decode(raw)
			if err != nil {
				if _, ok := errors.AsType[event.Refusal](err); !ok {
					t.Fatalf("%q: %T is no refusal", raw, err)
				}
				continue
			}
			checkEnvelope(t, p, d, raw, e)
			if id := d.ID(e.SentAt); id == "" || len(id) > event.MaxID {
				t.Fatalf("%q: id %q", raw, id)
			}
		}
	})
}
