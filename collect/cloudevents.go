package collect

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// cloudEventsEntry serves CloudEvents in all modes of their HTTP binding. Some
// senders come back for 503 and 429 and for nothing else.
func cloudEventsEntry() *protocolEntry {
	return &protocolEntry{
		name:    protocol.CloudEvents,
		paths:   map[string]string{"/v1/cloudevents": "", "/ce": ""},
		busy:    http.StatusServiceUnavailable,
		limited: http.StatusTooManyRequests,
		render:  appendNative,
		posts:   true,
		body:    cloudEventBody,
		asked:   (*sources).handshake,
	}
}

// cloudEventBody makes of binary mode, where attributes are headers and the
// body is data, the structured form of the same event. Other modes are JSON
// already: one event, or an array.
func cloudEventBody(r *http.Request, data []byte) ([]byte, error) {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	binary := r.Header["Ce-Specversion"] != nil || r.Header["Ce-Id"] != nil
	if !binary || strings.HasPrefix(strings.ToLower(strings.TrimSpace(media)), "application/cloudevents") {
		return data, nil
	}
	var names []string
	for name := range r.Header {
		if strings.HasPrefix(name, "Ce-") && name != "Ce-Datacontenttype" && name != "Ce-Data" && name != "Ce-Data_base64" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	body := make([]byte, 0, len(data)+512)
	open := byte('{')
	for _, name := range names {
		body = append(body, open)
		body = appendString(body, strings.ToLower(name[len("Ce-"):]))
		body = appendString(append(body, ':'), attribute(r.Header.Get(name)))
		open = ','
	}
	if t := r.Header.Get("Content-Type"); t != "" {
		body = appendString(append(body, `,"datacontenttype":`...), attribute(t))
	}
	return append(appendData(body, data, media), '}'), nil
}

// appendData writes data as JSON if it is, as the structured form has it.
func appendData(body, data []byte, media string) []byte {
	media = strings.TrimSpace(media)
	json := media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
	switch {
	case len(data) == 0:
		return body
	case json && strictjson.NewScanner(strictjson.Limits{}).Document(data) == nil:
		return append(append(body, `,"data":`...), bytes.TrimSpace(data)...)
	case strings.HasPrefix(media, "text/") && utf8.Valid(data):
		return appendString(append(body, `,"data":`...), string(data))
	}
	body = append(body, `,"data_base64":"`...)
	body = base64.StdEncoding.AppendEncode(body, data)
	return append(body, '"')
}

// attribute undoes the percent-encoding of a header, and the quotes some
// senders put around it. Others send UTF-8 as it is, or as the bytes of another
// encoding: that is kept as it can be read.
func attribute(v string) string {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(v[1 : len(v)-1])
	}
	if decoded, err := url.PathUnescape(v); err == nil && utf8.ValidString(decoded) {
		v = decoded
	}
	if utf8.ValidString(v) {
		return v
	}
	latin := make([]rune, len(v))
	for i := range len(v) {
		latin[i] = rune(v[i])
	}
	return string(latin)
}

// handshake answers a webhook's question whether its events are wanted: yes,
// if it names a write key. A callback is never called, because this server
// speaks to nobody.
func (s *sources) handshake(h http.Header, r *http.Request) {
	origin := r.Header.Get("Webhook-Request-Origin")
	if origin == "" {
		return
	}
	src, _ := s.authenticate(r, "")
	if src == nil {
		return
	}
	rate := "*"
	if src.Rate > 0 {
		rate = strconv.Itoa(max(int(src.Rate*60), 1)) // requests per minute
	}
	h["Webhook-Allowed-Origin"] = []string{origin}
	h["Webhook-Allowed-Rate"] = []string{rate}
	h["Allow"] = []string{"POST, OPTIONS"}
}
