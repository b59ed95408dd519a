package collect

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/event"
)

func TestClientAddr(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name, remote string
		forwarded    []string
		trusted      []netip.Prefix
		want         string
	}{
		{"direct", "203.0.113.9:1", nil, proxies, "203.0.113.9"},
		{"direct and lying", "203.0.113.9:1", []string{"1.2.3.4"}, proxies, "203.0.113.9"},
		{"nobody trusted", "10.0.0.1:1", []string{"1.2.3.4"}, nil, "10.0.0.1"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.7"}, proxies, "198.51.100.7"},
		{"client wrote the left", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.7"}, proxies, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.7, 10.0.0.2"}, proxies, "198.51.100.7"},
		{"several headers", "10.0.0.1:1", []string{"1.2.3.4", "198.51.100.7", "10.0.0.2"}, proxies, "198.51.100.7"},
		{"rubbish stops the walk", "10.0.0.1:1", []string{"198.51.100.7, nonsense, 10.0.0.2"}, proxies, "10.0.0.2"},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, proxies, "10.0.0.3"},
		{"with port", "10.0.0.1:1", []string{"198.51.100.7:5555"}, proxies, "198.51.100.7"},
		{"IPv6", "[fd00::1]:1", []string{"[2001:db8::1]:80"}, proxies, "2001:db8::1"},
		{"IPv6 bare, zone", "[fd00::1]:1", []string{"2001:db8::1%eth0"}, proxies, "2001:db8::1"},
		{"mapped", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, proxies, "198.51.100.7"},
		{"empty header", "10.0.0.1:1", []string{""}, proxies, "10.0.0.1"},
		{"no address", "@", []string{"1.2.3.4"}, proxies, "invalid IP"},
	}
	for _, tt := range tests {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := clientAddr(r, tt.trusted).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAddressIsReducedBeforeItIsJournalled(t *testing.T) {
	var list []Source
	for _, p := range []event.IPPolicy{event.IPFull, event.IPTruncate, event.IPDrop, ""} {
		list = append(list, Source{Name: "s" + string(p), Keys: []string{"k" + string(p)}, ClientIP: p})
	}
	d, m := newDoor(t, Options{Sources: list})
	for key, want := range map[string]string{"kfull": "192.0.2.1", "ktruncate": "192.0.2.0", "kdrop": "", "k": "192.0.2.0"} {
		call{path: "/v1/events?key=" + key, body: one}.do(d) // httptest requests come from 192.0.2.1
		if got := m.last(t).ClientIP; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestUserAgentIsBoundedText(t *testing.T) {
	d, m := newDoor(t, Options{})
	for sent, want := range map[string]string{
		"curl/8":                       "curl/8",
		strings.Repeat("x", 600):       strings.Repeat("x", 512),
		strings.Repeat("x", 511) + "é": strings.Repeat("x", 511),
		"caf\xe9":                      "caf",
	} {
		call{path: "/v1/events?key=demo", body: one, header: map[string]string{"User-Agent": sent}}.do(d)
		if got := m.last(t).UserAgent; got != want {
			t.Errorf("sent %q, kept %q", sent, got)
		}
	}
}
