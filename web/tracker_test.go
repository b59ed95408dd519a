package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/tracker/js"
	"github.com/reedbed/reedbed/web"
)

func TestTrackerIsServed(t *testing.T) {
	h := handler(t, &fake{}, func(o *web.Options) { o.Tracker, o.Loopback = "/s/", false })
	var index map[string]struct{ URL, Integrity string }
	if err := json.Unmarshal([]byte(text(t, ask(h, "GET", "/s/", ""))), &index); err != nil {
		t.Fatal(err)
	}
	hashed := index["t.js"].URL
	for _, test := range []struct{ path, want, cache string }{
		{"/s/t.js", string(js.Full), "public, max-age=600"},
		{"/s/core.js", string(js.Core), "public, max-age=600"},
		{hashed, string(js.Full), "public, max-age=31536000, immutable"},
		{index["core.js"].URL, string(js.Core), "public, max-age=31536000, immutable"},
		{"/s/t-0123456789abcdef.js", string(js.Full), "no-cache"}, // of an earlier release
	} {
		r := ask(h, "GET", test.path, "")
		got := map[string]string{"body": text(t, r)}
		for _, name := range []string{"Cache-Control", "Content-Type", "Access-Control-Allow-Origin", "Cross-Origin-Resource-Policy"} {
			got[name] = r.Header.Get(name)
		}
		want := map[string]string{
			"body": test.want, "Cache-Control": test.cache, "Content-Type": "text/javascript; charset=utf-8",
			"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", test.path, diff)
		}
		if again := ask(h, "GET", test.path, "", "If-None-Match", r.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s is sent again to who has it: %d", test.path, again.StatusCode)
		}
	}
	if !strings.HasPrefix(index["t.js"].Integrity, "sha384-") {
		t.Errorf("integrity %q", index["t.js"].Integrity)
	}
	for _, path := range []string{"/s/x.js", "/s/t-.map", "/s/t", "/t/t.js"} {
		if r := ask(h, "GET", path, ""); r.StatusCode == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
}

func TestTrackerPassesEventsOn(t *testing.T) {
	h := handler(t, &fake{}, func(o *web.Options) { o.Tracker = "/s/" })
	if got := text(t, ask(h, "POST", "/s/e?key=demo", "{}")); got != "collected /v1/events" {
		t.Errorf("the front door was asked: %s", got)
	}
}
