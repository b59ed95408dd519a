package engine

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotSelect says that the text is not exactly one SELECT. It wraps nothing; the
	// message around it says what was found.
	ErrNotSelect = errors.New("not one SELECT statement")
	// ErrLimit says that the job hit one of its Limits other than the wall clock. Running
	// it again under the same limits ends the same way.
	ErrLimit = errors.New("limit reached")
	// ErrDeadline says that the job ran longer than Limits.Wall and was killed.
	ErrDeadline = errors.New("deadline passed")
	// ErrWorkerDied says that the worker process died under the job, more often than the
	// pool retries, and not by one of the job's own limits.
	ErrWorkerDied = errors.New("worker died")
	// ErrClosed says that the pool was closed.
	ErrClosed = errors.New("engine pool is closed")
)

// SQLError says that a text of SQL is wrong, or met values it cannot work on.
// It is never worth a retry. Line and Column count from 1; both are 0 when the
// place is not known. Column counts characters, not bytes.
type SQLError struct {
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Error gives place, message and hint on one line.
func (e *SQLError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Failure is an error on its way from a worker to the pool.
type Failure struct {
	Kind    string    `json:"kind"` // sql, not_select, limit or other
	Message string    `json:"message,omitempty"`
	SQL     *SQLError `json:"sql,omitempty"`
}

// NewFailure packs an error for the wire.
func NewFailure(err error) *Failure {
	if e, ok := errors.AsType[*SQLError](err); ok {
		return &Failure{Kind: "sql", SQL: e}
	}
	kind := "other"
	switch {
	case errors.Is(err, ErrNotSelect):
		kind = "not_select"
	case errors.Is(err, ErrLimit):
		kind = "limit"
	}
	return &Failure{Kind: kind, Message: err.Error()}
}

// Err unpacks what NewFailure packed.
func (f *Failure) Err() error {
	switch {
	case f.Kind == "sql" && f.SQL != nil:
		return f.SQL
	case f.Kind == "not_select":
		return &worded{f.Message, ErrNotSelect}
	case f.Kind == "limit":
		return &worded{f.Message, ErrLimit}
	default:
		return errors.New(f.Message)
	}
}

// worded is a sentinel with the sentence a worker wrote around it.
type worded struct {
	text string
	is   error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.is }
