package web

import (
	"bytes"
	"context"
	_ "embed" // the API's description
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/reedbed/reedbed/dataset/sqlite"
)

const (
	maxSQL = 1 << 20 // bytes of a request with SQL
	// stuck is how long one write to a reader may take.
	stuck = 30 * time.Second
	// heartbeat keeps a quiet tail alive through proxies.
	heartbeat = 15 * time.Second
)

//go:embed openapi.json
var openAPI []byte

func (s *server) api() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/v1/sql", only(http.MethodPost, s.sql))
	mux.Handle("/api/v1/status", only(http.MethodGet, s.status))
	mux.Handle("/api/v1/datasets", only(http.MethodGet, s.datasets))
	mux.Handle("/api/v1/datasets/{dataset}/{partition}", only(http.MethodGet, s.why))
	mux.Handle("/api/v1/diff", only(http.MethodGet, s.diff))
	mux.Handle("/api/v1/tail", only(http.MethodGet, s.tail))
	if s.Plan != nil {
		mux.HandleFunc("/api/v1/plan", s.plan)
	}
	if s.Alerts != nil {
		mux.Handle("/api/v1/alerts", only(http.MethodGet, s.alerts))
	}
	if s.Arrivals != nil {
		mux.Handle("/api/v1/arrivals", only(http.MethodGet, s.arrivals))
	}
	mux.Handle("/api/v1/apply", only(http.MethodPost, s.elsewhere))
	mux.Handle("/api/v1/rollback", only(http.MethodPost, s.elsewhere))
	mux.Handle("/api/v1/openapi.json", only(http.MethodGet, s.openAPI))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem{
			status: http.StatusNotFound, Code: "unknown_path", Message: "the API has nothing at this path",
			Fix: "see /api/v1/openapi.json",
		}.write(w)
	})
	return mux
}

func only(method string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
			next(w, r)
			return
		}
		w.Header().Set("Allow", method)
		problem{
			status: http.StatusMethodNotAllowed, Code: "wrong_method",
			Message: "this path does not take " + r.Method, Fix: "use " + method,
		}.write(w)
	})
}

// contentTypes by output format.
func contentType(format string) string {
	switch format {
	case "table":
		return "text/plain; charset=utf-8"
	case "csv":
		return "text/csv; charset=utf-8"
	case "json":
		return "application/json"
	case "ndjson":
		return "application/x-ndjson"
	default:
		return "application/vnd.apache.parquet"
	}
}

// question is what a person asks.
type question struct {
	SQL    string `json:"sql"`
	Format string `json:"format"`
}

// sql answers one SELECT. What is known only at the end goes into trailers:
// Reedbed-Rows, Reedbed-Truncated and Reedbed-Revision.
func (s *server) sql(w http.ResponseWriter, r *http.Request) {
	q, p := readQuestion(w, r)
	if p != nil {
		p.write(w)
		return
	}
	w.Header().Set("Trailer", "Reedbed-Rows, Reedbed-Truncated, Reedbed-Revision")
	out := &answer{ResponseWriter: w, control: http.NewResponseController(w), contentType: contentType(q.Format)}
	info, err := s.Backend.Query(r.Context(), q.SQL, q.Format, out)
	if err != nil {
		s.queryFailed(w, r, out, err)
		return
	}
	out.begin()
	w.Header().Set("Reedbed-Rows", strconv.FormatInt(info.Rows, 10))
	w.Header().Set("Reedbed-Truncated", strconv.FormatBool(info.Truncated))
	w.Header().Set("Reedbed-Revision", strconv.FormatInt(info.Revision, 10))
}

// readQuestion takes {"sql","format"}, or a body that is the SQL itself, with
// the format in the address. No SELECT begins with a brace, so the body tells
// which it is, whatever its Content-Type says.
func readQuestion(w http.ResponseWriter, r *http.Request) (question, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSQL))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return question{}, &problem{
			status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Message: fmt.Sprintf("the request is larger than %d bytes", maxSQL), Fix: "write a shorter query",
		}
	}
	if err != nil {
		return question{}, &problem{
			status: http.StatusBadRequest, Code: "body_broken",
			Message: "the body ended before it was complete", Fix: "send it again",
		}
	}
	q := question{SQL: string(body), Format: r.URL.Query().Get("format")}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		q = question{}
		if err := strict.Unmarshal(body, &q, strict.RejectUnknownMembers(true)); err != nil {
			return question{}, &problem{
				status: http.StatusBadRequest, Code: "bad_request", Message: err.Error(),
				Fix: `send {"sql": "SELECT ...", "format": "json"}`,
			}
		}
	}
	q.Format = orElse(q.Format, "json")
	return q, nil
}

// queryFailed tells the error, or cuts the connection when part of an answer
// is already out: a reader must not take that part for the whole.
func (s *server) queryFailed(w http.ResponseWriter, r *http.Request, out *answer, err error) {
	p, theirs := queryProblem(err)
	if r.Context().Err() == nil && !theirs {
		s.Log.Error("query failed", "err", err)
	}
	if out.begun {
		panic(http.ErrAbortHandler)
	}
	w.Header().Del("Trailer")
	p.write(w)
}

// answer is a ResponseWriter that says what it holds with the first byte, and
// gives up on a reader that takes none.
type answer struct {
	http.ResponseWriter
	control     *http.ResponseController
	contentType string
	begun       bool
}

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.Header().Set("Content-Type", a.contentType)
		a.WriteHeader(http.StatusOK)
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.begin()
	_ = a.control.SetWriteDeadline(time.Now().Add(stuck)) // a writer without deadlines writes all the same
	return a.ResponseWriter.Write(b)
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	if status, ok := s.ask(w, r); ok {
		s.writeJSON(w, status)
	}
}

func (s *server) datasets(w http.ResponseWriter, r *http.Request) {
	if status, ok := s.ask(w, r); ok {
		s.writeJSON(w, map[string][]sqlite.DatasetStatus{"datasets": status.Datasets})
	}
}

// ask gets the status, or answers the request itself.
func (s *server) ask(w http.ResponseWriter, r *http.Request) (Status, bool) {
	status, err := s.Backend.Status(r.Context())
	if err != nil {
		s.Log.Error("status failed", "err", err)
		unavailable("no_status", "the status cannot be read at the moment").write(w)
	}
	return status, err == nil
}

// alerts answers with the open alerts and the last that were resolved.
func (s *server) alerts(w http.ResponseWriter, r *http.Request) {
	log, err := s.Alerts(r.Context())
	if err != nil {
		s.Log.Error("alerts failed", "err", err)
		unavailable("no_alerts", "the alerts cannot be read at the moment").write(w)
		return
	}
	s.writeJSON(w, log)
}

// arrivals answers with what came in of late.
func (s *server) arrivals(w http.ResponseWriter, _ *http.Request) { s.writeJSON(w, s.Arrivals()) }

func unavailable(code, message string) problem {
	return problem{status: http.StatusServiceUnavailable, Code: code, Message: message, Fix: "try again; the program's log says more"}
}

func (s *server) writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.Log.Error("an answer does not encode", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the reader left: nobody to tell
}

func (s *server) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
}

// tail streams accepted events as server-sent events until the reader leaves.
func (s *server) tail(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	events, err := s.Backend.Tail(ctx)
	if err != nil {
		s.Log.Error("tail failed", "err", err)
		unavailable("no_tail", "events cannot be followed at the moment").write(w)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	stream := &stream{w: w, control: http.NewResponseController(w)}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for err := stream.send(": following\n\n"); err == nil; {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			err = stream.send(": still here\n\n")
		case e, more := <-events:
			if !more {
				return
			}
			err = stream.event(e)
		}
	}
}

// stream writes server-sent events. One goroutine owns it.
type stream struct {
	w       io.Writer
	control *http.ResponseController
}

// event writes one event. JSON in one line holds no line break, so no event
// can pretend to be another.
func (s *stream) event(e TailEvent) error {
	body, err := json.Marshal(e)
	if err != nil { // what claimed to be JSON is not: show it as text
		e.Text, e.Event = string(e.Event), nil
		if body, err = json.Marshal(e); err != nil {
			return err
		}
	}
	return s.send("data: " + string(body) + "\n\n")
}

func (s *stream) send(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(stuck)) // a writer without deadlines writes all the same
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}
