package collect

import (
	"encoding/base64"
	"net/http"

	"github.com/reedbed/reedbed/collect/protocol"
)

// pixelEntry serves an image for where nothing else is allowed, such as mails.
func pixelEntry() *protocolEntry {
	return &protocolEntry{
		name:    protocol.Pixel,
		paths:   map[string]string{"/v1/pixel": "", "/v1/pixel.gif": ""},
		busy:    http.StatusServiceUnavailable,
		limited: http.StatusServiceUnavailable,
		render:  flagged("", ""),
		gets:    true,
		image:   true,
		observe: observeVisitor,
	}
}

// gif is one transparent pixel, in 43 bytes.
var gif, _ = base64.StdEncoding.DecodeString("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")

var (
	gifType    = []string{"image/gif"}
	neverAgain = []string{"no-cache, no-store, must-revalidate"}
)

// writeImage answers a success; a failure is none, so that a page's onerror
// sees it.
func writeImage(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = gifType
	h["Cache-Control"] = neverAgain
	h["X-Content-Type-Options"] = noSniff
	_, _ = w.Write(gif)
}
