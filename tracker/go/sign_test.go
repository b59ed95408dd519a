package tracker

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// The example of the Standard Webhooks libraries.
func TestSignature(t *testing.T) {
	key, err := signingKey(exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	got := base64.StdEncoding.EncodeToString(signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	for _, secret := range []string{"hush", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", exampleSecret[6:]} {
		_, err := Open(Options{Endpoint: "http://localhost", Key: "k", Secret: secret})
		if err == nil || strings.Contains(err.Error(), secret) && secret != "whsec_" {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

// What is signed is what is on the wire, compressed or not, and each attempt anew.
func TestRequestsAreSigned(t *testing.T) {
	key, _ := signingKey(exampleSecret)
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		want := "v1," + base64.StdEncoding.EncodeToString(signature(key, id, at, body))
		if got := r.Header.Get("webhook-signature"); err != nil || got != want || id == "" || seen[id] {
			t.Errorf("%q is signed %s, want %s (%v)", id, got, want, err)
		}
		seen[id] = true
	}))
	defer server.Close()
	s := sender{http: server.Client(), url: server.URL, key: "k", secret: key}
	for _, event := range []string{`{"name":"a"}`, `{"name":"` + strings.Repeat("a", 2*worthCompressed) + `"}`} {
		if f := s.post(t.Context(), [][]byte{[]byte(event)}); f != nil {
			t.Error(f)
		}
	}
	h := http.Header{}
	if sign(h, key, nil, time.Unix(5, 0)); h.Get("webhook-timestamp") != "5" {
		t.Error(h)
	}
}
