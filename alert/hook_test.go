package alert

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The example of the Standard Webhooks libraries.
func TestSign(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPost(t *testing.T) {
	var status int
	var header http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	h := Hook{URL: server.URL + "/T0/secret-path", Key: []byte("key"), AllowPrivate: true}
	for _, test := range []struct {
		status int
		want   string // of the error
	}{
		{200, ""}, {204, ""}, {302, "redirects are not followed"}, {410, "410 Gone"}, {500, "500 Internal Server Error"},
	} {
		status = test.status
		err := h.post(t.Context(), h.client(nil), "msg_1", []byte("{}"))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d: %v", test.status, err)
		}
	}
	want := sign(h.Key, "msg_1", header.Get("webhook-timestamp"), []byte("{}"))
	if header.Get("webhook-id") != "msg_1" || header.Get("webhook-signature") != want || string(body) != "{}" ||
		!strings.HasPrefix(header.Get("Content-Type"), "application/cloudevents+json") {
		t.Errorf("got %v, %s", header, body)
	}
	server.Close()
	if err := h.post(t.Context(), h.client(nil), "msg_1", nil); err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("an error tells the address: %v", err)
	}
	if name := h.Name(); strings.Contains(name, "secret") || !strings.HasPrefix(name, "127.0.0.1#") {
		t.Errorf("the name tells the address: %s", name)
	}
}
