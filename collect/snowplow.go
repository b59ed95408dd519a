package collect

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/reedbed/reedbed/collect/protocol"
)

// snowplowEntry serves Snowplow's tracker protocol. Its application id, or the
// vendor in the path, is the write key.
func snowplowEntry() *protocolEntry {
	return &protocolEntry{
		name:    protocol.Snowplow,
		paths:   map[string]string{"/i": "", "/ice.png": ""},
		match:   snowplowPath,
		busy:    http.StatusServiceUnavailable,
		limited: http.StatusServiceUnavailable,
		render:  flagged("", ""),
		gets:    true,
		posts:   true,
		image:   true,
		observe: observeSnowplow,
	}
}

// snowplowPath knows /VENDOR/VERSION, where the version is tp2 or the vendor a
// name with a dot, as in com.acme: all others may be a misspelt path.
func snowplowPath(path string) (key string, b *boot, ok bool) {
	vendor, version, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || vendor == "" || vendor[0] == '.' || version == "" || strings.Contains(version, "/") { // .well-known is no vendor
		return "", nil, false
	}
	if version != "tp2" && (!strings.Contains(vendor, ".") || strings.Contains(version, ".")) {
		return "", nil, false
	}
	return vendor, nil, true
}

// networkCookie is the name of the cookie that holds the network user id, and
// what it is kept with.
const (
	networkCookie     = "sp"
	cookieAttributes  = "; Path=/; Secure; HttpOnly; SameSite=None; Max-Age="
	cookieYear        = "31536000"
	anonymousRequests = "Sp-Anonymous"
)

// observeSnowplow finds the network user id: that of the cookie, or a new one
// for a browser. A client that asks for anonymity gets none, and its address
// and cookie are forgotten.
func observeSnowplow(_ *Door, x *exchange, r *http.Request) protocol.Observed {
	o := protocol.Observed{}
	if r.Method == http.MethodPost && r.URL.RawQuery != "" {
		o.Query, _ = queryBody(r, nil) // one that does not decode has nothing to win with
	}
	cookie, err := r.Cookie(networkCookie)
	sent := err == nil
	if r.Header.Get(anonymousRequests) != "" {
		x.anonymous = true
		o.Network = protocol.AnonymousNetwork
		if sent {
			x.cookie = networkCookie + "=" + cookieAttributes + "0"
		}
		return o
	}
	switch {
	case sent && isUUID(cookie.Value):
		o.Network = cookie.Value
	case sent || r.Header.Get("Origin") != "" || r.Header.Get("Referer") != "":
		o.Network = newUUID()
	default:
		return o // a server keeps no cookies
	}
	x.cookie = networkCookie + "=" + o.Network + cookieAttributes + cookieYear
	return o
}

// isUUID keeps what others put into the cookie from being taken for an id.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		digit := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if dash && c != '-' || !dash && !digit {
			return false
		}
	}
	return true
}

// newUUID is random, of version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
