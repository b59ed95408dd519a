package protocol

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/event"
)

func decoder(t testing.TB, name string) *Decoder {
	t.Helper()
	p, ok := ByName(name)
	if !ok {
		t.Fatalf("no protocol %q", name)
	}
	return NewDecoder(p, Limits{})
}

func at(s string) time.Time {
	t, ok := event.ParseTime(s)
	if !ok {
		panic("bad time in a test: " + s)
	}
	return t
}

type decodeCase struct {
	name, shared, raw string
	want              event.Envelope
	refused           string // the code, when it is refused
}

func runDecode(t *testing.T, protocol string, cases []decodeCase) {
	d := decoder(t, protocol)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d.Begin([]byte(c.shared))
			got, err := d.Decode([]byte(c.raw))
			refusal, _ := errors.AsType[event.Refusal](err)
			if refusal.Code != c.refused {
				t.Fatalf("refusal %+v, want code %q", refusal, c.refused)
			}
			if c.refused != "" {
				return
			}
			if c.want.Seq == 0 {
				c.want.Seq = -1
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeNative(t *testing.T) {
	runDecode(t, Native, []decodeCase{
		{
			name: "everything",
			raw: `{"id":"e1","type":"page","name":"Home","time":"2026-11-22T03:14:15.5+01:00","sent_at":"2026-11-22T03:14:16Z","user_id":"u","anonymous_id":"a",` +
				`"session_id":"s","stream_id":"w","seq":7,"properties":{"a":1},"context":{"b":[2]}}`,
			want: event.Envelope{
				ID: "e1", Type: "page", Name: "Home", Time: at("2026-11-22T02:14:15.5Z"), SentAt: at("2026-11-22T03:14:16Z"), UserID: "u", AnonymousID: "a",
				SessionID: "s", StreamID: "w", Seq: 7, Properties: []byte(`{"a":1}`), Context: []byte(`{"b":[2]}`),
			},
		},
		{name: "least", raw: ` {"name":"Play"} `, want: event.Envelope{Type: "track", Name: "Play"}},
		{name: "nulls are absent", raw: `{"id":null,"type":null,"name":"P","time":null,"user_id":null,"properties":null,"seq":null}`, want: event.Envelope{Type: "track", Name: "P"}},
		{name: "empty id is no id", raw: `{"id":"","name":"P"}`, want: event.Envelope{Type: "track", Name: "P"}},
		{name: "escapes", raw: `{"name":"\u00c9\n","user_id":"\ud83c\udfb5"}`, want: event.Envelope{Type: "track", Name: "É\n", UserID: "🎵"}},
		{
			name: "unknown fields", raw: `{"name":"P","x":[1, 2],"y\u0021":null}`,
			want: event.Envelope{Type: "track", Name: "P", Extra: []byte(`{"x":[1, 2],"y\u0021":null}`)},
		},
		{
			name: "misfits stay in extra",
			raw:  `{"name":"P","time":"yesterday","sent_at":true,"user_id":{"x":1},"session_id":[],"seq":-1,"properties":[],"context":"c"}`,
			want: event.Envelope{Type: "track", Name: "P", Extra: []byte(`{"time":"yesterday","sent_at":true,"user_id":{"x":1},"session_id":[],"seq":-1,"properties":[],"context":"c"}`)},
		},
		{name: "numbers as ids of people", raw: `{"name":"P","user_id":4711,"session_id":1e3}`, want: event.Envelope{Type: "track", Name: "P", UserID: "4711", SessionID: "1e3"}},
		{name: "a whole sequence number only", raw: `{"name":"P","seq":1.5}`, want: event.Envelope{Type: "track", Name: "P", Extra: []byte(`{"seq":1.5}`)}},
		{name: "Unix time", raw: `{"name":"P","time":1795290026668}`, want: event.Envelope{Type: "track", Name: "P", Time: at("2026-11-21T19:40:26.668Z")}},
		{name: "nameless page", raw: `{"type":"page"}`, want: event.Envelope{Type: "page"}},
		{name: "identify", raw: `{"type":"identify","user_id":"u","traits":{}}`, want: event.Envelope{Type: "identify", UserID: "u", Extra: []byte(`{"traits":{}}`)}},
		{name: "write key", raw: `{"writeKey":"k","name":"P"}`, want: event.Envelope{Type: "track", Name: "P"}},
		{
			name: "shared fields", shared: `{"sent_at":"2026-11-22T03:14:16Z","context":{"a":1,"b":2},"lib":"x"}`, raw: `{"name":"P","context":{"b":3,"c":4},"z":0}`,
			want: event.Envelope{
				Type: "track", Name: "P", SentAt: at("2026-11-22T03:14:16Z"),
				Context: []byte(`{"b":3,"c":4,"a":1}`), Extra: []byte(`{"z":0,"batch":{"lib":"x"}}`),
			},
		},
		{
			name: "own fields win", shared: `{"sent_at":"2026-11-22T03:14:16Z","context":7,"x":1}`, raw: `{"name":"P","sent_at":"2026-11-22T04:00:00Z","batch":0}`,
			want: event.Envelope{Type: "track", Name: "P", SentAt: at("2026-11-22T04:00:00Z"), Extra: []byte(`{"batch":0}`)},
		},
		{name: "type wrong", raw: `{"type":"play","name":"P"}`, refused: CodeBadType},
		{name: "type no string", raw: `{"type":1,"name":"P"}`, refused: CodeBadType},
		{name: "type in capitals", raw: `{"type":"Track","name":"P"}`, refused: CodeBadType},
		{name: "no name", raw: `{"id":"e1"}`, refused: CodeMissingName},
		{name: "empty name", raw: `{"name":""}`, refused: CodeMissingName},
		{name: "name no string", raw: `{"name":7}`, refused: CodeBadName},
		{name: "name of a page no string", raw: `{"type":"page","name":{}}`, refused: CodeBadName},
		{name: "id no string", raw: `{"id":7,"name":"P"}`, refused: CodeBadID},
		{name: "longest id", raw: `{"id":"` + strings.Repeat("i", 256) + `","type":"alias"}`, want: event.Envelope{ID: strings.Repeat("i", 256), Type: "alias"}},
		{name: "id too long", raw: `{"id":"` + strings.Repeat("i", 257) + `","name":"P"}`, refused: CodeIDTooLong},
		{name: "name too long", raw: `{"name":"` + strings.Repeat("n", 513) + `"}`, refused: CodeNameTooLong},
		{name: "duplicate key", raw: `{"name":"P","name":"Q"}`, refused: "duplicate_key"},
		{name: "not JSON", raw: `{"name":"P"`, refused: "truncated"},
		{name: "no object", raw: `[]`, refused: "not_an_object"},
		{name: "two events", raw: `{"name":"P"} {"name":"Q"}`, refused: "invalid_json"},
		{name: "too large", raw: `{"name":"P","x":[` + strings.Repeat(`"`+strings.Repeat("x", 60000)+`",`, 20) + `1]}`, refused: CodeTooLarge},
		{name: "broken shared fields", shared: `{"a":1,"a":2}`, raw: `{"name":"P"}`, refused: CodeBadShared},
	})
}

func TestDecodeSegment(t *testing.T) {
	runDecode(t, Segment, []decodeCase{
		{
			name: "track",
			raw: `{"type":"track","event":"Play","properties":{"a":1},"messageId":"m1","timestamp":"2026-11-22T03:14:15Z","sentAt":"2026-11-22T03:14:16Z","userId":"u",` +
				`"anonymousId":"a","context":{"ip":"::"},"integrations":{"All":true},"name":"n","category":"c","_metadata":{"x":1},"writeKey":"k"}`,
			want: event.Envelope{
				ID: "m1", Type: "track", Name: "Play", Time: at("2026-11-22T03:14:15Z"), SentAt: at("2026-11-22T03:14:16Z"), UserID: "u", AnonymousID: "a",
				Properties: []byte(`{"a":1}`), Context: []byte(`{"ip":"::"}`), Extra: []byte(`{"name":"n","category":"c","_metadata":{"x":1},"integrations":{"All":true}}`),
			},
		},
		{name: "page", raw: `{"type":"page","name":"Home","event":"x"}`, want: event.Envelope{Type: "page", Name: "Home", Extra: []byte(`{"event":"x"}`)}},
		{
			name: "identify", raw: `{"traits":{"email":"e"},"properties":{"p":1},"type":"identify","userId":12,"name":"n"}`,
			want: event.Envelope{Type: "identify", UserID: "12", Properties: []byte(`{"email":"e"}`), Extra: []byte(`{"properties":{"p":1},"name":"n"}`)},
		},
		{name: "group", raw: `{"type":"group","groupId":"g","traits":{}}`, want: event.Envelope{Type: "group", Properties: []byte(`{}`), Extra: []byte(`{"groupId":"g"}`)}},
		{name: "alias", raw: `{"type":"alias","previousId":"p","userId":"u"}`, want: event.Envelope{Type: "alias", UserID: "u", Extra: []byte(`{"previousId":"p"}`)}},
		{name: "null user", raw: `{"type":"track","event":"P","userId":null}`, want: event.Envelope{Type: "track", Name: "P"}},
		{
			name: "the client's own clock", raw: `{"type":"track","event":"P","timestamp":"2026-11-22T03:00:00Z","originalTimestamp":"2026-11-22T02:00:00Z"}`,
			want: event.Envelope{Type: "track", Name: "P", Time: at("2026-11-22T02:00:00Z")},
		},
		{
			name: "shared fields", shared: `{"context":{"library":{"name":"go"},"ip":"0"},"integrations":{"All":true,"X":1},"sentAt":"2026-11-22T03:14:16Z","messageId":"b1"}`,
			raw: `{"type":"track","event":"P","context":{"ip":"1"},"integrations":{"X":2}}`,
			want: event.Envelope{
				Type: "track", Name: "P", SentAt: at("2026-11-22T03:14:16Z"), Context: []byte(`{"ip":"1","library":{"name":"go"}}`),
				Extra: []byte(`{"integrations":{"X":2,"All":true},"batch":{"messageId":"b1"}}`),
			},
		},
		{name: "a session", raw: `{"type":"screen","context":{"sessionId":1795290026}}`, want: event.Envelope{Type: "screen", SessionID: "1795290026", Context: []byte(`{"sessionId":1795290026}`)}},
		{name: "no session", raw: `{"type":"screen","context":{"sessionId":{}}}`, want: event.Envelope{Type: "screen", Context: []byte(`{"sessionId":{}}`)}},
		{name: "type of the path", shared: `{"implied_type":"identify"}`, raw: `{"traits":{"a":1}}`, want: event.Envelope{Type: "identify", Properties: []byte(`{"a":1}`)}},
		{name: "own type wins", shared: `{"implied_type":"identify"}`, raw: `{"type":"page"}`, want: event.Envelope{Type: "page"}},
		{name: "no type", raw: `{"event":"P"}`, refused: CodeMissingType},
		{name: "no event", raw: `{"type":"track","name":"P"}`, refused: CodeMissingName},
		{name: "event no string", raw: `{"type":"track","event":["P"]}`, refused: CodeBadName},
		{name: "id no string", raw: `{"type":"page","messageId":1}`, refused: CodeBadID},
		{name: "unknown type", raw: `{"type":"video"}`, refused: CodeBadType},
	})
}

func TestPayloadHashIsThatOfEvent(t *testing.T) {
	for _, p := range All() {
		d := decoder(t, p.Name)
		for _, raw := range []string{
			`{"type":"track","name":"P","event":"P","e":"pv","id":"i","source":"s","specversion":"1.0","sent_at":"a","sentAt":"b","stm":"1","writeKey":"k","_metadata":{"retryCount":1},"x":{"sentAt":1.0}}`,
			`{"x":{"sentAt":1},"event":"P","name":"\u0050","e":"pv","id":"i","source":"s","specversion":"1.0","type":"track"}`,
		} {
			if _, err := d.Decode([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			want, err := event.PayloadHash([]byte(raw), p.TransportFields)
			if err != nil || d.PayloadHash() != want {
				t.Errorf("%s: %s: %#x, want %#x (%v)", p.Name, raw, d.PayloadHash(), want, err)
			}
		}
	}
}

func TestCopiesSentAgainHaveOneHash(t *testing.T) {
	d := decoder(t, Segment)
	hash := func(raw string) uint64 {
		if _, err := d.Decode([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		return d.PayloadHash()
	}
	first := hash(`{"type":"track","event":"P","messageId":"m","sentAt":"2026-11-22T03:14:16Z","_metadata":{"bundled":[]}}`)
	again := hash(`{"messageId":"m","type":"track","event":"P","sentAt":"2026-11-22T03:15:00Z","_metadata":{"bundled":[],"retryCount":1}}`)
	other := hash(`{"messageId":"m","type":"track","event":"Q","sentAt":"2026-11-22T03:15:00Z"}`)
	if first != again || first == other {
		t.Errorf("first %#x, again %#x, other %#x", first, again, other)
	}
}

func TestDerivedIDs(t *testing.T) {
	d := decoder(t, Native)
	received := at("2026-11-22T03:14:16Z")
	ids := func(raws ...string) (ids []string) {
		d.Begin(nil)
		for _, raw := range raws {
			if _, err := d.Decode([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, d.ID(received))
			want, err := event.PayloadHash([]byte(raw), []string{"sent_at", "writeKey"})
			if err != nil || d.PayloadHash() != want {
				t.Errorf("%s: ID changed the payload hash", raw)
			}
		}
		return ids
	}
	got := ids(`{"name":"P"}`, `{"name":"P","sent_at":"2026-11-22T03:14:15Z"}`, `{"name":"Q"}`, `{"id":"e1","name":"P"}`, `{"time":"2026-11-22T03:14:15Z","name":"P"}`,
		`{"name":"P","time":"2026-11-22T03:14:15Z","id":""}`, `{"name":"P","time":"2026-11-22T03:14:15Z"}`)
	if got[0] == got[1] || got[0] == got[2] || got[3] != "e1" || got[4] != got[6] {
		t.Errorf("%q", got)
	}
	if diff := cmp.Diff(got[:1], ids(`{"name":"P"}`)); diff != "" {
		t.Errorf("the same request again has other ids\n%s", diff)
	}
	for _, id := range append(got[:3:3], got[4:]...) {
		if len(id) != 34 || !strings.HasPrefix(id, "d_") {
			t.Errorf("derived id %q", id)
		}
	}
}

// Envelopes live as long as their raw bytes, across later decodes.
func TestEnvelopesKeepTheirMemory(t *testing.T) {
	d := decoder(t, Segment)
	d.Begin([]byte(`{"context":{"a":1}}`))
	var all []event.Envelope
	for i := range 2000 {
		digit := string(rune('0' + i%10))
		e, err := d.Decode([]byte(`{"type":"track","event":"\u003` + digit + `","context":{"i":` + digit + `},"x":` + digit + `}`))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	for i, e := range all {
		digit := string(rune('0' + i%10))
		if e.Name != digit || string(e.Context) != `{"i":`+digit+`,"a":1}` || string(e.Extra) != `{"x":`+digit+`}` {
			t.Fatalf("event %d is %s, %s, %s", i, e.Name, e.Context, e.Extra)
		}
	}
}
