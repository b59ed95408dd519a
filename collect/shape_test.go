package collect

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// FuzzClients sends anything, in headers, query and body, to every protocol and
// path: no panic, no 5xx while the journal works, all that is answered with 2xx
// is journalled, and what the door accepts the loader decodes.
func FuzzClients(f *testing.F) {
	for i, body := range []string{
		`{"data":[{"e":"ue","ue_px":"%%"},{"e":"pp"}]}`, "data=eyJldmVudCI6IlAifQ==", `{"event":"P","properties":{"token":"demo"}}`, `{"n":"x","p":"{}"}`,
		"\xff", `{"specversion":"1.0","id":"1","source":"s","type":"t"}`, gz(`{"event":"P"}`),
	} {
		f.Add(uint8(i), uint8(i%3), "e=pp&aid=demo&name=a%20b&data=%7B", "%C3%BC", []byte(body))
	}
	f.Add(uint8(200), uint8(0), "e=zz&ue_px=%25&uid=1&schema=x&nuid=n", "sp=a", []byte(`{"data":[{"e":"pp","uid":"u"}],"schema":"x"}`))
	m := new(memory)
	d, _ := newDoor(f, Options{Journal: m, Limits: Limits{Expanded: 1 << 20}})
	paths := append(d.Paths(), "/com.acme/tp2", "/array/demo/config.js", "/flags", "/x/v1/projects/demo/settings", "/v1/m")
	f.Fuzz(func(t *testing.T, path, method uint8, query, header string, body []byte) {
		m.batches = nil
		r := httptest.NewRequest([]string{http.MethodPost, http.MethodGet, http.MethodOptions}[method%3], paths[int(path)%len(paths)], bytes.NewReader(body))
		r.URL.RawQuery = query + "&key=demo"
		for _, name := range []string{"Ce-Id", "Ce-Subject", "Content-Type", "Cookie", "Sp-Anonymous", "Webhook-Request-Origin"} {
			if strings.Contains(query, name[:2]) {
				r.Header.Set(name, header)
			}
		}
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if ok, _ := m.counts(); w.Code >= 500 || w.Code/100 != 2 && ok > 0 {
			t.Fatalf("%s: %d %s", r.URL, w.Code, w.Body)
		}
		for _, b := range m.batches {
			checkDecodes(t, b)
		}
	})
}

func checkDecodes(t *testing.T, b event.Batch) {
	t.Helper()
	p, known := protocol.ByName(b.Protocol)
	if !known {
		t.Fatalf("protocol %q", b.Protocol)
	}
	loader := protocol.NewDecoder(p, protocol.Limits{})
	loader.Begin(b.Shared)
	for i := range b.Items {
		if b.Items[i].Refusal.Code != "" {
			continue
		}
		if _, err := loader.Read(&b.Items[i]); err != nil {
			t.Fatalf("%s accepted %q under %q: %v", b.Protocol, b.Items[i].Raw, b.Shared, err)
		}
		if _, err := loader.Decode(b.Items[i].Raw); err != nil {
			t.Fatalf("%s accepted %q under %q: %v", b.Protocol, b.Items[i].Raw, b.Shared, err)
		}
	}
}

// A query as an object holds every byte of it.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"a=b&c=%22d%5c", "a=%ff&&=", "key=k&a=1&a=2", "a+b=c%2Bd", "%zz", "a\x00=b"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		want, wantErr := url.ParseQuery(query)
		body, err := queryBody(&http.Request{URL: &url.URL{RawQuery: query}}, nil)
		if err != nil {
			if wantErr == nil {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		members, _, err := strictjson.NewScanner(strictjson.Limits{}).Object(body, 0, nil)
		if err != nil {
			return // twice the same name, no UTF-8, too long: the bytes are kept and refused
		}
		for _, m := range members {
			text, _ := strictjson.Unquote(m.Value, nil)
			if got := want[string(m.Key)]; wantErr == nil && (len(got) != 1 || got[0] != string(text)) {
				t.Fatalf("%q: %s is %q, want %q", query, m.Key, text, got)
			}
		}
		delete(want, "key")
		delete(want, "writeKey")
		if wantErr == nil && len(members) != len(want) {
			t.Fatalf("%q: %s", query, body)
		}
	})
}
