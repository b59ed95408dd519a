package collect

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/reedbed/reedbed/collect/protocol"
)

func segmentEntry() *protocolEntry {
	return &protocolEntry{
		name: protocol.Segment,
		paths: map[string]string{
			"/v1/batch": "", "/v1/b": "", "/v1/import": "", "/beacon/v1/batch": "",
			"/v1/track": "track", "/v1/t": "track",
			"/v1/page": "page", "/v1/p": "page",
			"/v1/screen": "screen", "/v1/s": "screen",
			"/v1/identify": "identify", "/v1/i": "identify",
			"/v1/group": "group", "/v1/g": "group",
			"/v1/alias": "alias", "/v1/a": "alias",
		},
		match: segmentSettingsPath,
		// The library's counters of itself: it asks for an answer and no more.
		boots:   map[string]*boot{"/v1/m": fixed(http.MethodPost, `{"success":true}`)},
		busy:    http.StatusTooManyRequests,
		limited: http.StatusTooManyRequests,
		render:  flagged(`"success":true,`, `"success":false,`),
		posts:   true,
	}
}

// jitsuEntry serves Jitsu's paths, where a message of Segment's form goes by
// itself. Its clients never send anything again.
func jitsuEntry() *protocolEntry {
	return &protocolEntry{
		name: protocol.Jitsu,
		paths: map[string]string{
			"/api/s/track": "track", "/api/s/page": "page", "/api/s/screen": "screen", "/api/s/identify": "identify",
			"/api/s/group": "group", "/api/s/alias": "alias", "/api/s/event": "", "/api/s/batch": "",
		},
		busy:    http.StatusServiceUnavailable,
		limited: http.StatusServiceUnavailable,
		render:  flagged(`"ok":true,`, `"ok":false,`),
		posts:   true,
	}
}

// segmentSettingsPath knows .../v1/projects/KEY/settings, wherever a page's
// script takes its CDN to be.
func segmentSettingsPath(path string) (key string, b *boot, ok bool) {
	rest, ok := strings.CutSuffix(path, "/settings")
	if !ok {
		return "", nil, false
	}
	const projects = "/v1/projects/"
	at := strings.LastIndex(rest, projects)
	if at < 0 {
		return "", nil, false
	}
	key = rest[at+len(projects):]
	if key == "" || strings.Contains(key, "/") {
		return "", nil, false
	}
	return key, &boot{method: http.MethodGet, keyed: true, media: jsonType, render: appendSegmentSettings}, true
}

// appendSegmentSettings is what analytics-next asks of its CDN before it sends
// anything. Without "Segment.io" it would ignore where its page wants events
// to go; any other integration would make it load code.
func appendSegmentSettings(b []byte, r *http.Request, key string) []byte {
	b = append(b, `{"integrations":{"Segment.io":{"apiKey":`...)
	b = appendText(b, key)
	b = append(b, `,"apiHost":`...)
	b = appendText(b, r.Host+"/v1")
	b = append(b, `,"protocol":`...)
	b = appendText(b, scheme(r))
	b = append(b, `,"versionSettings":{"version":"4.4.7","componentTypes":["browser"]}}},`...)
	b = append(b, `"plan":{"track":{"__default":{"enabled":true}},"identify":{"__default":{"enabled":true}},"group":{"__default":{"enabled":true}}},`...)
	return append(b, `"metrics":{"sampleRate":0},"analyticsNextEnabled":true}`...)
}

// scheme is how the page that asks reaches this server. Behind a proxy the
// connection does not tell, but a page reaches no http server from https.
func scheme(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	address, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && address.IsLoopback()
	page := r.Header.Get("Origin")
	if page == "" {
		page = r.Header.Get("Referer")
	}
	switch {
	case r.TLS != nil, r.Header.Get("X-Forwarded-Proto") == "https", strings.HasPrefix(page, "https:") && !local:
		return "https"
	case local, strings.HasPrefix(page, "http:"):
		return "http"
	}
	return "https"
}
