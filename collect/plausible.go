package collect

import (
	"net/http"

	"github.com/reedbed/reedbed/collect/protocol"
)

// plausibleEntry serves Plausible's one path. Its domain is the write key; its
// clients look at no answer and send nothing again.
func plausibleEntry() *protocolEntry {
	return &protocolEntry{
		name:    protocol.Plausible,
		paths:   map[string]string{"/api/event": ""},
		busy:    http.StatusServiceUnavailable,
		limited: http.StatusServiceUnavailable,
		status:  http.StatusAccepted,
		render:  flagged("", ""),
		posts:   true,
		observe: observeVisitor,
	}
}
