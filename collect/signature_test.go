package collect

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	tracker "github.com/reedbed/reedbed/tracker/go"
)

// The example of the Standard Webhooks libraries.
func TestSignatureIsTheStandards(t *testing.T) {
	key, _ := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	got := base64.StdEncoding.EncodeToString(signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSignedSource(t *testing.T) {
	now := time.Unix(1e9, 0)
	fresh, old, foreign := []byte(strings.Repeat("n", 24)), []byte(strings.Repeat("o", 64)), []byte(strings.Repeat("f", 24))
	by := func(key []byte, at int64, body string) map[string]string {
		text := strconv.FormatInt(at, 10)
		return map[string]string{
			"webhook-id": "m1", "webhook-timestamp": text,
			"webhook-signature": "v1," + base64.StdEncoding.EncodeToString(signature(key, "m1", text, []byte(body))),
		}
	}
	with := func(h map[string]string, name, value string) map[string]string {
		h[name] = value
		return h
	}
	const path, inBody = "/v1/events?key=demo", `{"writeKey":"demo","name":"a"}`
	tests := map[string]struct {
		call   call
		status int
		code   string
	}{
		"signed":                     {call{path: path, body: one, header: by(fresh, 1e9, one)}, 200, ""},
		"with the older secret":      {call{path: path, body: one, header: by(old, 1e9, one)}, 200, ""},
		"with both":                  {call{path: path, body: one, header: with(by(fresh, 1e9, one), "webhook-signature", by(foreign, 1e9, one)["webhook-signature"]+" v1a,x "+by(fresh, 1e9, one)["webhook-signature"])}, 200, ""},
		"compressed":                 {call{path: path, body: gz(one), header: by(fresh, 1e9, gz(one))}, 200, ""},
		"key in the body":            {call{path: "/v1/events", body: inBody, header: by(fresh, 1e9, inBody)}, 200, ""},
		"at the edge":                {call{path: path, body: one, header: by(fresh, 1e9-300, one)}, 200, ""},
		"another source":             {call{path: "/v1/events?key=app-key", body: one}, 200, ""},
		"no signature":               {call{path: path, body: one}, 401, "no_signature"},
		"no signature, empty":        {call{path: path}, 401, "no_signature"},
		"no signature, key in body":  {call{path: "/v1/events", body: inBody}, 401, "no_signature"},
		"no signature, no JSON":      {call{path: path, body: "hello"}, 401, "no_signature"},
		"no id":                      {call{path: path, body: one, header: with(by(fresh, 1e9, one), "webhook-id", "")}, 401, "no_signature"},
		"another body":               {call{path: path, body: one, header: by(fresh, 1e9, bad)}, 401, "wrong_signature"},
		"the content, not as sent":   {call{path: path, body: gz(one), header: by(fresh, 1e9, one)}, 401, "wrong_signature"},
		"another secret":             {call{path: path, body: one, header: by(foreign, 1e9, one)}, 401, "wrong_signature"},
		"another id":                 {call{path: path, body: one, header: with(by(fresh, 1e9, one), "webhook-id", "m2")}, 401, "wrong_signature"},
		"another version":            {call{path: path, body: one, header: with(by(fresh, 1e9, one), "webhook-signature", "v2"+by(fresh, 1e9, one)["webhook-signature"][2:])}, 401, "wrong_signature"},
		"rubbish":                    {call{path: path, body: one, header: with(by(fresh, 1e9, one), "webhook-signature", "v1, ,v1 v1,%%%")}, 401, "wrong_signature"},
		"too old":                    {call{path: path, body: one, header: by(fresh, 1e9-301, one)}, 401, "stale_signature"},
		"of tomorrow":                {call{path: path, body: one, header: by(fresh, 1e9+301, one)}, 401, "stale_signature"},
		"a time that is none":        {call{path: path, body: one, header: with(by(fresh, 1e9, one), "webhook-timestamp", "now")}, 401, "stale_signature"},
		"a time far off":             {call{path: path, body: one, header: by(fresh, -1<<63, one)}, 401, "stale_signature"},
		"a query is not in the body": {call{method: http.MethodGet, path: "/v1/pixel?key=demo&name=a", header: by(fresh, 1e9, "")}, 401, "no_signature"},
		"nor are ce- headers":        {call{path: "/ce?key=demo", body: one, header: by(fresh, 1e9, one)}, 401, "no_signature"},
		"nor is a path's type":       {call{path: "/v1/track?key=demo", body: one, header: by(fresh, 1e9, one)}, 401, "no_signature"},
	}
	for name, tt := range tests {
		d, m := newDoor(t, Options{
			Sources: []Source{{Name: "web", Keys: []string{"demo"}, SigningKeys: [][]byte{fresh, old}}, {Name: "app", Keys: []string{"app-key"}}},
			Now:     func() time.Time { return now },
		})
		w := tt.call.do(d)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tt.status)
			continue
		}
		if w.Code == 200 {
			continue
		}
		if checkCode(t, parse(t, w), w.Code, tt.code); len(m.batches) > 0 {
			t.Errorf("%s: stored", name)
		}
	}
	d, _ := newDoor(t, Options{})
	if err := d.SetSources([]Source{{Name: "web", SigningKeys: [][]byte{nil}}}); err == nil || !strings.Contains(err.Error(), "signing") {
		t.Error("an empty key signs:", err)
	}
}

// The client for Go signs what the door takes.
func TestGoClientSigns(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	key, _ := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
	d, m := newDoor(t, Options{Sources: []Source{{Name: "server", Keys: []string{"k"}, SigningKeys: [][]byte{key}}}})
	server := httptest.NewServer(d.Handler())
	defer server.Close()
	c, err := tracker.Open(tracker.Options{Endpoint: server.URL, Key: "k", Secret: secret, HTTP: server.Client(), OnError: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Track(tracker.Event{Name: "order_paid", Properties: map[string]any{"note": strings.Repeat("long enough to be compressed ", 100)}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ok, refused := m.counts(); ok != 1 || refused != 0 {
		t.Errorf("%d stored, %d refused", ok, refused)
	}
}
