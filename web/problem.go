package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/query"
)

// problem is an answer for a person: what is wrong, where, and what to do.
type problem struct {
	status int

	Code    string `json:"code"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`   // of the SQL, from 1
	Column  int    `json:"column,omitempty"` // in characters, from 1
	Fix     string `json:"fix"`
}

func (p problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if p.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(p.status)
	body, _ := json.Marshal(map[string]problem{"error": p}) // text and numbers always marshal
	_, _ = w.Write(append(body, '\n'))                      // the reader left: nobody to tell
}

// queryProblem says what a failed query means for the person who asked. It
// returns false for what is not their doing, which they need no detail of.
func queryProblem(err error) (problem, bool) {
	if e, ok := errors.AsType[*engine.SQLError](err); ok {
		return problem{
			status: http.StatusBadRequest, Code: "sql_error", Message: e.Message, Line: e.Line, Column: e.Column,
			Fix: orElse(e.Hint, "correct the SQL at this place"),
		}, true
	}
	if e, ok := errors.AsType[*query.UnknownTable](err); ok {
		return problem{
			status: http.StatusBadRequest, Code: "unknown_dataset", Message: fmt.Sprintf("there is no dataset %q", e.Name),
			Fix: "use one of " + strings.Join(e.Known, ", "),
		}, true
	}
	if r, ok := errors.AsType[*dataset.Refusal](err); ok {
		p := problem{status: http.StatusBadRequest, Code: r.Code, Message: r.What, Fix: r.Fix}
		if strings.HasPrefix(r.Code, "unknown_") {
			p.status = http.StatusNotFound
		}
		return p, true
	}
	for _, k := range knownErrors() {
		if errors.Is(err, k.is) {
			k.answer.Message = err.Error()
			return k.answer, true
		}
	}
	return problem{
		status: http.StatusInternalServerError, Code: "internal", Message: "the query failed for a reason of ours",
		Fix: "try again; the program's log says more",
	}, false
}

func knownErrors() []knownError {
	return []knownError{
		{engine.ErrNotSelect, problem{status: http.StatusBadRequest, Code: "not_select", Fix: "write exactly one SELECT statement"}},
		{query.ErrFormat, problem{status: http.StatusBadRequest, Code: "unknown_format", Fix: "leave format out for JSON"}},
		{engine.ErrLimit, problem{status: http.StatusUnprocessableEntity, Code: "limit_reached", Fix: "read less: fewer columns, a shorter time, or a LIMIT"}},
		{engine.ErrDeadline, problem{status: http.StatusGatewayTimeout, Code: "deadline_passed", Fix: "read less, or raise query.deadline in reedbed.yaml"}},
		{context.DeadlineExceeded, problem{status: http.StatusGatewayTimeout, Code: "deadline_passed", Fix: "read less, or raise query.deadline in reedbed.yaml"}},
		{engine.ErrWorkerDied, problem{status: http.StatusServiceUnavailable, Code: "worker_died", Fix: "try again"}},
		{engine.ErrClosed, problem{status: http.StatusServiceUnavailable, Code: "stopping", Fix: "try again when the program is up"}},
	}
}

type knownError struct {
	is     error
	answer problem
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
