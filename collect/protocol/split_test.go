package protocol

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// lines writes a request as text: one line per item, with its refusal or id.
func lines(r *Request) string {
	var b strings.Builder
	for i, item := range r.Items {
		verdict := "ok " + r.IDs[i]
		if item.Refusal.Code != "" {
			verdict = item.Refusal.Code
		}
		fmt.Fprintf(&b, "%s: %s\n", strings.TrimSpace(verdict), item.Raw)
	}
	if r.Shared != nil {
		fmt.Fprintf(&b, "shared: %s\n", r.Shared)
	}
	if r.Key != "" {
		fmt.Fprintf(&b, "key: %s\n", r.Key)
	}
	return b.String()
}

func TestSplit(t *testing.T) {
	const a, b = `{"id":"a","name":"P"}`, `{"id":"b","name":"P"}`
	for _, c := range []struct{ name, body, want string }{
		{"nothing", ``, ``},
		{"space", " \n ", ``},
		{"one", a, `ok a: ` + a},
		{"one with a mark and space", "\xef\xbb\xbf " + a + "\r\n", `ok a: ` + a},
		{"one over several lines", "{\n \"name\":\n\"P\"\n}", "ok: {\n \"name\":\n\"P\"\n}"},
		{"array", `[` + a + ` , ` + b + ` ]`, "ok a: " + a + "\nok b: " + b},
		{"empty array", `[ ]`, ``},
		{"batch", `{"sent_at":"x","batch":[` + a + `,` + b + `],"context":{}}`, "ok a: " + a + "\nok b: " + b + "\nshared: {\"sent_at\":\"x\",\"context\":{}}"},
		{"empty batch", `{"batch":[]}`, ``},
		{"write key of a batch", `{"writeKey":"k\u0031","batch":[` + a + `]}`, "ok a: " + a + "\nkey: k1"},
		{"write key of an event", `{"writeKey":"k","name":"P"}`, "ok: {\"writeKey\":\"k\",\"name\":\"P\"}\nkey: k"},
		{"a batch that is no array", `{"name":"P","batch":{}}`, `ok: {"name":"P","batch":{}}`},
		{"lines", a + "\n\r\n" + b + "\n", "ok a: " + a + "\nok b: " + b},
		{"events on one line", a + b, `invalid_json: ` + a + b},
		{"a broken line", a + "\n{\"id\":\n" + b, "ok a: " + a + "\ntruncated: {\"id\":\nok b: " + b},
		{"rubbish and a line", "rubbish\n" + b, "not_an_object: rubbish\nok b: " + b},
		{"something behind a line", a + " x\n" + b, "invalid_json: " + a + " x\nok b: " + b},
		{"rubbish", `name=P&x=1`, `not_an_object: name=P&x=1`},
		{"cut off", `{"id":"a","na`, `truncated: {"id":"a","na`},
		{"cut off over several lines", "{\n\"id\":\"a\",\n\"na", "truncated: {\n\"id\":\"a\",\n\"na"},
		{"a bad envelope", `[{"type":"x","id":"i"},` + b + `]`, "bad_type: {\"type\":\"x\",\"id\":\"i\"}\nok b: " + b},
		{"duplicate key", `[{"name":"P","name":"Q"},` + b + `]`, "duplicate_key: {\"name\":\"P\",\"name\":\"Q\"}\nok b: " + b},
		{"invalid UTF-8", "[{\"name\":\"\xff\"}," + b + `]`, "invalid_utf8: {\"name\":\"\xff\"}\nok b: " + b},
		{
			"too deep", `[{"name":"P","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `},` + b + `]`,
			`too_deep: {"name":"P","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}\nok b: " + b,
		},
		{"a scalar", `[1,"x",null,` + b + `]`, "not_an_object: 1\nnot_an_object: \"x\"\nnot_an_object: null\nok b: " + b},
		{"bad grammar inside brackets", `[{"name":NaN,},` + b + `]`, "invalid_json: {\"name\":NaN,}\nok b: " + b},
		{"brackets do not match", `[` + a + `,{"x":[},` + b + `]`, "ok a: " + a + "\ninvalid_json: {\"x\":[}," + b + `]`},
		{"a quote is missing", `[` + a + `,{"x":"y},` + b + `]`, "ok a: " + a + "\ninvalid_json: {\"x\":\"y}," + b + `]`},
		{"a comma is missing", `[` + a + ` ` + b + `]`, "ok a: " + a + "\ninvalid_json: " + b + `]`},
		{"a comma too many", `[` + a + `,]`, "ok a: " + a + "\nnot_an_object: ]"},
		{"array cut off", `[` + a + `,` + b[:5], "ok a: " + a + "\ntruncated: " + b[:5]},
		{"array cut off between events", `[` + a + `,`, "ok a: " + a},
		{"behind the array", `[` + a + `]x`, "ok a: " + a + "\ninvalid_json: x"},
		{"batch cut off", `{"sent_at":"x","batch":[` + a + `,{"i`, "ok a: " + a + "\ntruncated: {\"i\nshared: {\"sent_at\":\"x\"}"},
		{"batch cut off behind the events", `{"batch":[` + a + `],"sent_at":"x`, "ok a: " + a + "\ntruncated: \"sent_at\":\"x"},
		{"behind the batch", `{"batch":[` + a + `]} {}`, "ok a: " + a + "\ninvalid_json: {}"},
		{"a shared field refused", `{"context":{"a":1,"a":2},"batch":[` + a + `],"x":1}`, "duplicate_key: \"context\":{\"a\":1,\"a\":2}\nok a: " + a + "\nshared: {\"x\":1}"},
		{"a shared field twice", `{"x":1,"batch":[` + a + `],"\u0078":2}`, "ok a: " + a + "\nduplicate_key: \"\\u0078\":2\nshared: {\"x\":1}"},
		{"two batches", `{"batch":[` + a + `],"batch":[` + b + `]}`, "ok a: " + a + "\nduplicate_key: \"batch\":[" + b + `]`},
		{"a shared field broken", `{"x":[},"batch":[` + a + `]}`, `invalid_json: {"x":[},"batch":[` + a + `]}`},
		{"a shared field broken behind the events", `{"batch":[` + a + `],"x":[}}`, "ok a: " + a + "\ninvalid_json: \"x\":[}}"},
		{"no colon behind the events", `{"batch":[` + a + `],"x" 1}`, "ok a: " + a + "\ninvalid_json: \"x\" 1}"},
		{"no name behind the events", `{"batch":[` + a + `],1}`, "ok a: " + a + "\ninvalid_json: 1}"},
		{"no comma behind the events", `{"batch":[` + a + `]1}`, "ok a: " + a + "\ninvalid_json: 1}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := lines(decoder(t, Native).Split([]byte(c.body), ""))
			if c.want != "" {
				c.want += "\n"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSplitByPath(t *testing.T) {
	got := lines(decoder(t, Segment).Split([]byte(`{"event":"P","messageId":"m","batch":[]}`), "track"))
	want := "ok m: {\"event\":\"P\",\"messageId\":\"m\",\"batch\":[]}\nshared: {\"implied_type\":\"track\"}\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSplitLimits(t *testing.T) {
	p, _ := ByName(Native)
	d := NewDecoder(p, Limits{Events: 2, EventBytes: 30})
	const e = `{"name":"P"}`
	for body, want := range map[string]string{
		"[" + e + "," + e + "]":                                          "ok: " + e + "\nok: " + e + "\n",
		"[" + e + "," + e + "," + e + "," + e + "]":                      "ok: " + e + "\nok: " + e + "\ntoo_many_events: " + e + "," + e + "]\n",
		e + "\n" + e + "\n" + e + "\n" + e:                               "ok: " + e + "\nok: " + e + "\ntoo_many_events: " + e + "\n" + e + "\n",
		`[{"name":"P","x":"` + strings.Repeat("x", 30) + `"},` + e + `]`: `too_large: {"name":"P","x":"` + strings.Repeat("x", 30) + "\"}\nok: " + e + "\n",
	} {
		if diff := cmp.Diff(want, lines(d.Split([]byte(body), ""))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", body, diff)
		}
	}
	d = NewDecoder(p, Limits{JSON: strictjson.Limits{Keys: 2}})
	got := lines(d.Split([]byte(`{"a":1,"batch":[`+e+`],"b":2,"c":3}`), ""))
	if want := "ok: " + e + "\ntoo_many_keys: \"b\":2,\"c\":3}\nshared: {\"a\":1}\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What the door splits off must decode with the same limits at the loader.
func TestSharedFieldsAtTheLimitDecode(t *testing.T) {
	deep := strings.Repeat(`[`, 32) + strings.Repeat(`]`, 32)
	door, loader := decoder(t, Native), decoder(t, Native)
	r := door.Split([]byte(`{"x":`+deep+`,"batch":[{"name":"P"}]}`), "")
	loader.Begin(r.Shared)
	if e, err := loader.Decode(r.Items[0].Raw); err != nil || string(e.Extra) != `{"batch":{"x":`+deep+`}}` {
		t.Errorf("%s, %v", e.Extra, err)
	}
}

func TestReasonsSayWhere(t *testing.T) {
	r := decoder(t, Native).Split([]byte(`[{"name":"P"},{"name":"P","name":"Q"}]`), "")
	if got, want := r.Items[1].Refusal.Reason, "an object has the same key twice, at byte 12"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

// Bodies made of good and bad events, in every framing, give back each event
// with its own verdict.
func TestOneBadEventNeverFailsItsBatch(t *testing.T) {
	pieces := []struct{ raw, code string }{
		{`{"name":"P","x":{"y":[1,2,{"z":"]}"}]}}`, ""},
		{`{"type":"page","id":"p"}`, ""},
		{`{"name":"P","name":"P"}`, "duplicate_key"},
		{"{\"name\":\"\xc3\x28\"}", "invalid_utf8"},
		{`{"name":"\ud800"}`, "invalid_utf8"},
		{`{"name":"P","n":1e999}`, "number_range"},
		{`{"name":"P","n":01}`, "invalid_json"},
		{`{"name":"P",}`, "invalid_json"},
		{`{"name":7}`, CodeBadName},
		{`{}`, CodeMissingName},
	}
	framings := map[string]func(parts [][]byte) []byte{
		"array": func(parts [][]byte) []byte { return []byte("[" + string(bytes.Join(parts, []byte(" , "))) + "]") },
		"batch": func(parts [][]byte) []byte {
			return []byte(`{"context":{"a":1}, "batch" : [` + string(bytes.Join(parts, []byte(","))) + `] , "sent_at":"x"}`)
		},
		"lines": func(parts [][]byte) []byte { return bytes.Join(parts, []byte("\r\n")) },
	}
	door, loader := decoder(t, Native), decoder(t, Native)
	rapid.Check(t, func(t *rapid.T) {
		framing := rapid.SampledFrom([]string{"array", "batch", "lines"}).Draw(t, "framing")
		picks := rapid.SliceOfN(rapid.IntRange(0, len(pieces)-1), 1, 8).Draw(t, "events")
		var parts [][]byte
		for _, i := range picks {
			parts = append(parts, []byte(pieces[i].raw))
		}
		r := door.Split(framings[framing](parts), "")
		if len(r.Items) != len(picks) {
			t.Fatalf("%d items of %d events:\n%s", len(r.Items), len(picks), lines(r))
		}
		loader.Begin(r.Shared)
		for i, pick := range picks {
			item := r.Items[i]
			if string(item.Raw) != pieces[pick].raw || item.Refusal.Code != pieces[pick].code {
				t.Fatalf("item %d is %s %q, want %s %q", i, item.Raw, item.Refusal.Code, pieces[pick].raw, pieces[pick].code)
			}
			if _, err := loader.Decode(item.Raw); (err == nil) != (item.Refusal.Code == "") {
				t.Fatalf("%s: the door says %v, the loader %v", item.Raw, item.Refusal, err)
			}
		}
	})
}
