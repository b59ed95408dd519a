package duck

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/reedbed/reedbed/engine"
)

// exception is what DuckDB says of an error under `errors_as_json`.
type exception struct {
	Type       string `json:"exception_type"`
	Message    string `json:"exception_message"`
	Position   string `json:"position"` // byte offset into the statement
	Subtype    string `json:"error_subtype"`
	Candidates string `json:"candidates"`
}

// translate turns an error of the driver into one of the engine's. source is
// the person's text that positions count in; "" when the statement was ours,
// whose positions would mean nothing to anybody.
func translate(err error, source string) error {
	if err == nil {
		return nil
	}
	e, ok := decode(err.Error())
	if !ok {
		return err
	}
	switch e.Type {
	case "Out of Memory":
		return fmt.Errorf("%w: memory: %s; raise the job's memory limit or let the SQL hold fewer rows at once",
			engine.ErrLimit, firstLine(e.Message))
	case "IO", "Internal", "Fatal", "Interrupt":
		return fmt.Errorf("DuckDB %s error: %s", e.Type, e.Message)
	}
	out := &engine.SQLError{Message: e.Message}
	out.Message, out.Hint = e.sentence()
	if out.Hint == "" && strings.Contains(source, "->") && strings.Contains(out.Message, "Failed to cast value") {
		out.Hint = "-> and ->> bind looser than =, so write parentheses: (properties ->> 'key') = 'value'"
	}
	if source != "" {
		out.Line, out.Column = place(source, e.Position)
	}
	return out
}

func decode(message string) (exception, bool) {
	var e exception
	i := strings.IndexByte(message, '{')
	if i < 0 || json.Unmarshal([]byte(message[i:]), &e) != nil || e.Type == "" {
		return e, false
	}
	return e, true
}

// sentence splits DuckDB's message into what is wrong and what could be meant.
func (e exception) sentence() (message, hint string) {
	message, rest, _ := strings.Cut(e.Message, "\n")
	switch {
	case e.Subtype == "MISSING_ENTRY" && e.Candidates != "":
		hint = "did you mean " + e.Candidates + "?"
	case e.Candidates != "":
		hint = "columns there are: " + e.Candidates
	default:
		hint = strings.Join(strings.Fields(rest), " ")
	}
	return strings.TrimSuffix(message, "!"), hint
}

// place turns a byte offset into line and column, both from 1.
func place(source, position string) (line, column int) {
	at, err := strconv.Atoi(position)
	if err != nil || at < 0 || at > len(source) {
		return 0, 0
	}
	before := source[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
