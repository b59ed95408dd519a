package collect

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// postHogEntry serves PostHog's capture API. Its browsers drop what is answered
// with any 4xx, 429 among them.
func postHogEntry() *protocolEntry {
	flags := fixed(http.MethodPost, postHogFlags)
	return &protocolEntry{
		name: protocol.PostHog,
		paths: map[string]string{
			"/e": "", "/i/v0/e": "", "/batch": "", "/capture": "", "/track": "", "/engage": "",
		},
		match:   postHogConfigPath,
		boots:   map[string]*boot{"/flags": flags, "/decide": flags},
		busy:    http.StatusServiceUnavailable,
		limited: http.StatusServiceUnavailable,
		render:  flagged(`"status":1,`, `"status":0,`),
		gets:    true,
		posts:   true,
		body:    postHogBody,
	}
}

// postHogBody undoes what its clients wrap JSON in: a form's or a query's
// `data`, and base64.
func postHogBody(r *http.Request, body []byte) ([]byte, error) {
	if r.Method != http.MethodPost {
		body = nil
		if data := r.URL.Query().Get("data"); data != "" {
			body = []byte(data)
		}
	}
	trimmed := bytes.TrimSpace(body)
	if value, ok := bytes.CutPrefix(trimmed, []byte("data=")); ok {
		value, _, _ = bytes.Cut(value, []byte("&"))
		text, err := url.QueryUnescape(string(value))
		if err != nil {
			return nil, event.Refusal{Code: "bad_form", Reason: "the form's data does not decode: " + err.Error()}
		}
		trimmed = []byte(text)
	}
	if len(trimmed) == 0 || isJSON(trimmed[0]) {
		return trimmed, nil
	}
	text := strings.TrimRight(strings.ReplaceAll(string(trimmed), " ", "+"), "=") // a plus that a form made a space
	if decoded, err := base64.RawStdEncoding.DecodeString(text); err == nil && len(decoded) > 0 && isJSON(decoded[0]) {
		return decoded, nil
	}
	return body, nil // neither: it is refused as the JSON it is not
}

// isJSON judges the first byte; a byte order mark may come before JSON.
func isJSON(c byte) bool { return c == '{' || c == '[' || c == 0xef }

// postHogConfigPath knows /array/TOKEN/config and /array/TOKEN/config.js.
func postHogConfigPath(path string) (key string, b *boot, ok bool) {
	rest, ok := strings.CutPrefix(path, "/array/")
	if !ok {
		return "", nil, false
	}
	key, file, _ := strings.Cut(rest, "/")
	switch {
	case key == "":
	case file == "config":
		return key, &boot{method: http.MethodGet, keyed: true, media: jsonType, render: appendPostHogConfig}, true
	case file == "config.js":
		return key, &boot{method: http.MethodGet, keyed: true, media: scriptType, render: appendPostHogScript}, true
	}
	return "", nil, false
}

// postHogRemote switches off all that Reedbed has no server for, so that the
// client loads no more code and asks for no flags.
const postHogRemote = `"supportedCompression":["gzip","gzip-js"],"hasFeatureFlags":false,"captureDeadClicks":false,"capturePerformance":false,` +
	`"autocaptureExceptions":false,"sessionRecording":false,"heatmaps":false,"surveys":false,"productTours":false,"conversations":false,` +
	`"siteApps":[],"toolbarParams":{},"isAuthenticated":false,"defaultIdentifiedOnly":true,"elementsChainAsString":true,` +
	`"analytics":{"endpoint":"/e/"}`

const postHogFlags = `{"flags":{},"featureFlags":{},"featureFlagPayloads":{},"errorsWhileComputingFlags":false,` + postHogRemote + `}`

func appendPostHogConfig(b []byte, _ *http.Request, key string) []byte {
	b = appendText(append(b, `{"token":`...), key)
	return append(b, ","+postHogRemote+"}"...)
}

// appendPostHogScript puts the same where the client's script looks for it.
func appendPostHogScript(b []byte, r *http.Request, key string) []byte {
	b = append(b, "(function(){window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};window._POSTHOG_REMOTE_CONFIG["...)
	b = append(appendText(b, key), "]={config:"...)
	b = appendPostHogConfig(b, r, key)
	return append(b, ",siteApps:[]}})();\n"...)
}
