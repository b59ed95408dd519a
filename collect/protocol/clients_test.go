package protocol

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/reedbed/reedbed/event"
)

const (
	playEvent   = `{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.acme/play/jsonschema/1-0-0","data":{"track_id":"t0","big":12345678901234567890}}}`
	playContext = `{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":[{"schema":"iglu:com.acme/user/jsonschema/1-0-0","data":{"type":"tester"}}]}`
)

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

func TestDecodeSnowplow(t *testing.T) {
	properties, contexts := []byte(`{"track_id":"t0","big":12345678901234567890}`), []byte(`{"contexts":[{"schema":"iglu:com.acme/user/jsonschema/1-0-0","data":{"type":"tester"}}]}`)
	schema := []byte(`{"schema":"iglu:com.acme/play/jsonschema/1-0-0"}`)
	play := event.Envelope{Type: "track", Name: "play", Properties: properties, Context: contexts, Extra: schema}
	encoded := func(e *base64.Encoding) string {
		return `{"e":"ue","ue_px":"` + e.EncodeToString([]byte(playEvent)) + `","cx":"` + e.EncodeToString([]byte(playContext)) + `"}`
	}
	runDecode(t, Snowplow, []decodeCase{
		{
			name: "page view",
			raw: `{"e":"pv","eid":"e1","url":"https://a/b?c","page":"Ünï","refr":"https://r","lang":"de","tz":"UTC","ua":"UA","dtm":"1795290649795","stm":"1795290649924",` +
				`"uid":"u","duid":"d","sid":"s","vid":"1","aid":"web"}`,
			want: event.Envelope{
				ID: "e1", Type: "page", Time: time.UnixMilli(1795290649795).UTC(), SentAt: time.UnixMilli(1795290649924).UTC(),
				UserID: "u", AnonymousID: "d", SessionID: "s", Properties: []byte(`{"url":"https://a/b?c","title":"Ünï","referrer":"https://r"}`),
				Context: []byte(`{"page":{"url":"https://a/b?c","title":"Ünï","referrer":"https://r"},"locale":"de","timezone":"UTC","userAgent":"UA"}`),
				Extra:   []byte(`{"vid":"1","aid":"web"}`),
			},
		},
		{name: "page without address", raw: `{"e":"pv","page":"T","url":null}`, want: event.Envelope{Type: "page", Properties: []byte(`{"title":"T"}`), Context: []byte(`{"page":{"title":"T"}}`)}},
		{name: "nothing but nulls", raw: `{"e":"pv","url":null}`, want: event.Envelope{Type: "page"}},
		{name: "only a language", raw: `{"e":"pv","lang":"de"}`, want: event.Envelope{Type: "page", Context: []byte(`{"locale":"de"}`)}},
		{name: "ping", raw: `{"e":"pp","pp_mix":"0","pp_max":"7"}`, want: event.Envelope{Type: "track", Name: "page_ping", Properties: []byte(`{"pp_mix":"0","pp_max":"7"}`)}},
		{
			name: "structured", raw: `{"e":"se","se_ca":"c","se_ac":"a","se_la":"l","se_pr":"p","se_va":"1.5","se_new":"n"}`,
			want: event.Envelope{Type: "track", Name: "a", Properties: []byte(`{"category":"c","action":"a","label":"l","property":"p","value":"1.5","se_new":"n"}`)},
		},
		{name: "structured without action", raw: `{"e":"se","se_ca":"c"}`, refused: CodeMissingName},
		{name: "transaction", raw: `{"e":"tr","tr_id":"1"}`, want: event.Envelope{Type: "track", Name: "transaction", Properties: []byte(`{"tr_id":"1"}`)}},
		{name: "item", raw: `{"e":"ti","ti_id":"1"}`, want: event.Envelope{Type: "track", Name: "transaction_item", Properties: []byte(`{"ti_id":"1"}`)}},
		{name: "self-describing", raw: `{"e":"ue","ue_pr":` + quoted(playEvent) + `,"co":` + quoted(playContext) + `}`, want: play},
		{name: "base64 for URLs", raw: encoded(base64.RawURLEncoding), want: play},
		{name: "base64, padded", raw: encoded(base64.URLEncoding), want: play},
		{name: "base64 of the other alphabet", raw: encoded(base64.StdEncoding), want: play},
		{name: "not base64", raw: `{"e":"ue","ue_px":"%%%"}`, refused: CodeBadEmbedded},
		{name: "not JSON", raw: `{"e":"ue","ue_pr":"{"}`, refused: CodeBadEmbedded},
		{name: "JSON and more", raw: `{"e":"ue","ue_pr":` + quoted(playEvent+".5") + `}`, refused: CodeBadEmbedded},
		{name: "twice the same name", raw: `{"e":"ue","ue_pr":` + quoted(strings.Replace(playEvent, `"data":`, `"schema":"x","data":`, 1)) + `}`, refused: CodeBadEmbedded},
		{name: "no data", raw: `{"e":"ue","ue_pr":"{}"}`, refused: CodeBadEmbedded},
		{name: "data of another kind", raw: `{"e":"ue","ue_pr":"{\"data\":{\"schema\":\"iglu:a/b/c/1-0-0\",\"data\":[]}}"}`, refused: CodeBadEmbedded},
		{name: "no schema", raw: `{"e":"ue","ue_pr":"{\"data\":{\"data\":{}}}"}`, refused: CodeBadEmbedded},
		{name: "a schema without name", raw: `{"e":"ue","ue_pr":"{\"data\":{\"schema\":\"play\",\"data\":{}}}"}`, refused: CodeBadEmbedded},
		{name: "no event in it", raw: `{"e":"ue"}`, refused: CodeBadEmbedded},
		{name: "an event that is a number", raw: `{"e":"ue","ue_pr":1}`, refused: CodeBadEmbedded},
		{name: "contexts that cannot be read", raw: `{"e":"pp","cx":"%%%","co":"{}"}`, want: event.Envelope{Type: "track", Name: "page_ping", Extra: []byte(`{"cx":"%%%","co":"{}"}`)}},
		{name: "no kind", raw: `{"eid":"a"}`, refused: CodeBadType},
		{name: "unknown kind", raw: `{"e":"zz"}`, refused: CodeBadType},
		{name: "true time wins", raw: `{"e":"pp","dtm":"1795290649795","ttm":"1695290649795"}`, want: event.Envelope{Type: "track", Name: "page_ping", Time: time.UnixMilli(1695290649795).UTC()}},
		{name: "no time", raw: `{"e":"pp","dtm":"yesterday","stm":"-1"}`, want: event.Envelope{Type: "track", Name: "page_ping", Extra: []byte(`{"dtm":"yesterday","stm":"-1"}`)}},
		{name: "of another kind", raw: `{"e":"pp","se_ac":"a","ue_pr":` + quoted(playEvent) + `}`, want: event.Envelope{Type: "track", Name: "page_ping", Extra: []byte(`{"se_ac":"a","data":{"track_id":"t0","big":12345678901234567890}}`)}},
		{
			name: "network user", shared: `{"schema":"iglu:x","observed":{"network":"8d965648-9175-4d03-bbde-e2807141d7f2"}}`, raw: `{"e":"pp"}`,
			want: event.Envelope{
				Type: "track", Name: "page_ping", AnonymousID: "8d965648-9175-4d03-bbde-e2807141d7f2",
				Extra: []byte(`{"nuid":"8d965648-9175-4d03-bbde-e2807141d7f2","batch":{"schema":"iglu:x"}}`),
			},
		},
		{name: "its own user", shared: `{"observed":{"network":"n"}}`, raw: `{"e":"pp","duid":"d","nuid":"m"}`, want: event.Envelope{Type: "track", Name: "page_ping", AnonymousID: "d", Extra: []byte(`{"nuid":"m"}`)}},
		{name: "anonymous", shared: `{"observed":{"network":"` + AnonymousNetwork + `"}}`, raw: `{"e":"pp"}`, want: event.Envelope{Type: "track", Name: "page_ping", Extra: []byte(`{"nuid":"` + AnonymousNetwork + `"}`)}},
		{name: "the query makes no other event", shared: `{"observed":{"query":{"e":"zz","eid":"q","ue_px":"%","se_ac":"x"}}}`, raw: `{"e":"pp","eid":"i"}`, want: event.Envelope{ID: "i", Type: "track", Name: "page_ping", Extra: []byte(`{"ue_px":"%","se_ac":"x"}`)}},
		{name: "the query wins", shared: `{"observed":{"query":{"uid":"q","x":"y"}}}`, raw: `{"e":"pp","uid":"u"}`, want: event.Envelope{Type: "track", Name: "page_ping", UserID: "q", Extra: []byte(`{"x":"y"}`)}},
	})
}

func TestDecodePostHog(t *testing.T) {
	runDecode(t, PostHog, []decodeCase{
		{
			name: "of a server", shared: `{"sent_at":"2026-11-21T19:40:28Z"}`,
			raw: `{"event":"Play","properties":{"a":1},"timestamp":"2026-11-21T19:40:27.267Z","uuid":"u1","distinct_id":"d1","type":"capture"}`,
			want: event.Envelope{
				ID: "u1", Type: "track", Name: "Play", Time: at("2026-11-21T19:40:27.267Z"), SentAt: at("2026-11-21T19:40:28Z"),
				UserID: "d1", Properties: []byte(`{"a":1}`), Extra: []byte(`{"type":"capture"}`),
			},
		},
		{
			name: "anonymous in a browser", raw: `{"event":"$pageview","offset":1500,"properties":{"distinct_id":"d","$device_id":"d","$session_id":"s","$time":1795291570}}`,
			want: event.Envelope{
				Type: "page", Name: "$pageview", Time: time.Unix(1795291570, 0).UTC(), SentAt: time.UnixMilli(1795291571500).UTC(), AnonymousID: "d", SessionID: "s",
				Properties: []byte(`{"distinct_id":"d","$device_id":"d","$session_id":"s","$time":1795291570}`),
			},
		},
		{
			name: "known in a browser", raw: `{"event":"$identify","properties":{"distinct_id":"u","$device_id":"d"}}`,
			want: event.Envelope{Type: "identify", Name: "$identify", UserID: "u", AnonymousID: "d", Properties: []byte(`{"distinct_id":"u","$device_id":"d"}`)},
		},
		{name: "no id", raw: `{"event":"P","uuid":""}`, want: event.Envelope{Type: "track", Name: "P"}},
		{name: "an offset that is none", raw: `{"event":"P","offset":"soon"}`, want: event.Envelope{Type: "track", Name: "P", Extra: []byte(`{"offset":"soon"}`)}},
		{name: "others", raw: `{"event":"$screen"}`, want: event.Envelope{Type: "screen", Name: "$screen"}},
		{name: "group", raw: `{"event":"$groupidentify"}`, want: event.Envelope{Type: "group", Name: "$groupidentify"}},
		{name: "alias", raw: `{"event":"$create_alias"}`, want: event.Envelope{Type: "alias", Name: "$create_alias"}},
		{name: "no name", raw: `{"distinct_id":"d"}`, refused: CodeMissingName},
		{name: "a name that is none", raw: `{"event":{}}`, refused: CodeBadName},
	})
}

func TestDecodeCloudEvents(t *testing.T) {
	runDecode(t, CloudEvents, []decodeCase{
		{
			name: "whole", raw: `{"specversion":"1.0","id":"i","source":"/s","type":"com.acme.play","time":"2026-11-21T19:44:59.989Z","subject":"x","data":{"a":1},"ext1":"e"}`,
			want: event.Envelope{
				ID: "/s#i", Type: "track", Name: "com.acme.play", Time: at("2026-11-21T19:44:59.989Z"), Properties: []byte(`{"a":1}`),
				Extra: []byte(`{"specversion":"1.0","source":"/s","subject":"x","ext1":"e"}`),
			},
		},
		{name: "data that is no object", raw: `{"specversion":"1.0","id":"i","source":"/s","type":"t","data":[1]}`, want: event.Envelope{ID: "/s#i", Type: "track", Name: "t", Extra: []byte(`{"specversion":"1.0","source":"/s","data":[1]}`)}},
		{name: "no id", raw: `{"specversion":"1.0","source":"/s","type":"t"}`, refused: CodeMissingAttribute},
		{name: "no source", raw: `{"specversion":"1.0","id":"i","type":"t"}`, refused: CodeMissingAttribute},
		{name: "no version", raw: `{"id":"i","source":"/s","type":"t"}`, refused: CodeMissingAttribute},
		{name: "no type", raw: `{"specversion":"1.0","id":"i","source":"/s"}`, refused: CodeMissingAttribute},
		{name: "an id that is a number", raw: `{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, refused: CodeBadID},
	})
	d := decoder(t, CloudEvents)
	long := strings.Repeat("s", event.MaxID)
	e, err := d.Decode([]byte(`{"specversion":"1.0","id":"i","source":"` + long + `","type":"t"}`))
	if err != nil || len(e.ID) > event.MaxID || !strings.HasPrefix(e.ID, "ce_") {
		t.Errorf("a long source: id %q, %v", e.ID, err)
	}
}

func TestDecodePlausible(t *testing.T) {
	visitor := `{"observed":{"visitor":"v1"}}`
	runDecode(t, Plausible, []decodeCase{
		{
			name: "by the script's names", shared: visitor, raw: `{"n":"pageview","u":"https://a/","d":"example.com","r":null,"w":800,"h":0}`,
			want: event.Envelope{Type: "page", Name: "pageview", AnonymousID: "v1", Context: []byte(`{"page":{"url":"https://a/"}}`), Extra: []byte(`{"d":"example.com","w":800,"h":0}`)},
		},
		{
			name: "by the documented names", shared: visitor, raw: `{"name":"Signup","url":"https://a/","domain":"example.com","referrer":"https://r","props":{"a":"b"},"interactive":true}`,
			want: event.Envelope{
				Type: "track", Name: "Signup", AnonymousID: "v1", Properties: []byte(`{"a":"b"}`), Context: []byte(`{"page":{"url":"https://a/","referrer":"https://r"}}`),
				Extra: []byte(`{"domain":"example.com","interactive":true}`),
			},
		},
		{name: "properties in a text", raw: `{"n":"x","p":"{\"a\":1}"}`, want: event.Envelope{Type: "track", Name: "x", Properties: []byte(`{"a":1}`)}},
		{name: "a text that is none", raw: `{"n":"x","p":"{"}`, refused: CodeBadEmbedded},
		{name: "no name", raw: `{"u":"https://a/"}`, refused: CodeMissingName},
	})
}

func TestDecodePixel(t *testing.T) {
	runDecode(t, Pixel, []decodeCase{
		{
			name: "whole", raw: `{"id":"i","type":"track","name":"Opened","time":"1795290649795","sent_at":"2026-11-21T19:44:59Z","user_id":"u","anonymous_id":"a","session_id":"s","stream_id":"w","seq":"12","campaign":"winter"}`,
			want: event.Envelope{
				ID: "i", Type: "track", Name: "Opened", Time: time.UnixMilli(1795290649795).UTC(), SentAt: at("2026-11-21T19:44:59Z"),
				UserID: "u", AnonymousID: "a", SessionID: "s", StreamID: "w", Seq: 12, Properties: []byte(`{"campaign":"winter"}`),
			},
		},
		{name: "a visitor", shared: `{"observed":{"visitor":"v"}}`, raw: `{"name":"Opened","seq":"-1"}`, want: event.Envelope{Type: "track", Name: "Opened", AnonymousID: "v", Extra: []byte(`{"seq":"-1"}`)}},
		{name: "no name", raw: `{"a":"b"}`, refused: CodeMissingName},
	})
}

// Equal events without an id and a time are one within a minute, but for
// different visitors.
func TestVisitorsAreApart(t *testing.T) {
	raw, received := []byte(`{"n":"pageview","u":"https://a/"}`), at("2026-11-22T03:14:15Z")
	id := func(visitor string, received time.Time) string {
		d := decoder(t, Plausible)
		d.Begin(d.Observe(nil, Observed{Visitor: visitor}))
		if _, err := d.Decode(raw); err != nil {
			t.Fatal(err)
		}
		return d.ID(received)
	}
	if id("a", received) != id("a", received.Add(30*time.Second)) {
		t.Error("sent again, it is another event")
	}
	if id("a", received) == id("b", received) || id("a", received) == id("a", received.Add(time.Minute)) {
		t.Error("two events are one")
	}
}

// What the door observed never breaks what a client shares.
func TestObserve(t *testing.T) {
	d := decoder(t, Snowplow)
	o := Observed{Visitor: `"`, Network: "n", Query: []byte(`{"a":"b"}`)}
	for shared, want := range map[string]string{
		"":                 `{"observed":{"visitor":"\"","network":"n","query":{"a":"b"}}}`,
		`{"schema":"x"}`:   `{"schema":"x","observed":{"visitor":"\"","network":"n","query":{"a":"b"}}}`,
		`{"observed":"x"}`: `{"observed":"x"}`,
	} {
		if got := string(d.Observe([]byte(shared), o)); got != want {
			t.Errorf("%s: %s, want %s", shared, got, want)
		}
	}
	o = Observed{Query: []byte(`{"a":"b","a":"c"}`)}
	if got := string(d.Observe(nil, o)); got != `{"observed":{}}` {
		t.Errorf("a query that is refused: %s", got)
	}
}

func TestKeysInBodies(t *testing.T) {
	for name, bodies := range map[string][]string{
		Native:    {`{"writeKey":"k","name":"a"}`, `{"batch":[{"name":"a"}],"writeKey":"k"}`},
		Segment:   {`{"writeKey":"k","type":"page"}`},
		Snowplow:  {`{"data":[{"e":"pp","aid":"k"}]}`, `{"e":"pp","aid":"k"}`},
		PostHog:   {`{"api_key":"k","batch":[{"event":"a"}]}`, `{"event":"a","token":"k"}`, `[{"event":"a","properties":{"token":"k"}}]`},
		Plausible: {`{"n":"a","d":"k"}`, `{"name":"a","domain":"k,other.com"}`},
	} {
		for _, body := range bodies {
			r := decoder(t, name).Split([]byte(body), "")
			if r.Key != "k" || len(r.Items) != 1 || r.Items[0].Refusal.Code != "" {
				t.Errorf("%s: %s: key %q, %+v", name, body, r.Key, r.Items)
			}
		}
	}
}
