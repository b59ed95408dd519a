package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/dataset"
)

const (
	someRows = 5    // shown of each kind of difference, unless asked otherwise
	mostRows = 1000 // that can be asked for
)

// diff compares /api/v1/diff?a=DATASET@PARTITION/VERSION&b=...&limit=N.
func (s *server) diff(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ask := compare.Request{Limit: someRows}
	var errA, errB, errLimit error
	ask.A, errA = dataset.ParseReference(q.Get("a"))
	ask.B, errB = dataset.ParseReference(q.Get("b"))
	if text := q.Get("limit"); text != "" {
		ask.Limit, errLimit = strconv.Atoi(text)
		if errLimit == nil && (ask.Limit < 0 || ask.Limit > mostRows) {
			errLimit = fmt.Errorf("a limit of %d rows is not from 0 to %d", ask.Limit, mostRows)
		}
	}
	if err := errors.Join(errA, errB, errLimit); err != nil {
		problem{
			status: http.StatusBadRequest, Code: "bad_request", Message: err.Error(),
			Fix: "ask for /api/v1/diff?a=plays@2026-11-22T03/1&b=plays@2026-11-22T03/2",
		}.write(w)
		return
	}
	result, err := s.Backend.Diff(r.Context(), ask)
	if err != nil {
		s.failed(w, r, "diff", err)
		return
	}
	s.writeJSON(w, result)
}
