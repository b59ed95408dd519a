package duck

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/reedbed/reedbed/engine"
)

// serialized is the answer of json_serialize_sql.
type serialized struct {
	Error      bool              `json:"error"`
	Type       string            `json:"error_type"`
	Message    string            `json:"error_message"`
	Position   string            `json:"position"`
	Statements []json.RawMessage `json:"statements"`
}

// Parse accepts exactly one SELECT and returns it without positions. Only the
// parser runs: nothing is bound, opened or executed. This must come before any
// Prepare of foreign text, because the driver runs all statements of a text but
// the last while it prepares.
func (d *DB) Parse(ctx context.Context, query string) (engine.Parsed, error) {
	if strings.IndexByte(query, 0) >= 0 {
		return engine.Parsed{}, &engine.SQLError{Message: "the text holds a NUL character"}
	}
	const call = `SELECT json_serialize_sql(?::VARCHAR, skip_default := true, skip_empty := true, skip_null := true)::VARCHAR`
	var answer string
	if err := d.conn.QueryRowContext(ctx, call, query).Scan(&answer); err != nil {
		return engine.Parsed{}, translate(err, "")
	}
	var s serialized
	if err := json.Unmarshal([]byte(answer), &s); err != nil {
		return engine.Parsed{}, fmt.Errorf("read the parser's answer: %w", err)
	}
	if err := s.verdict(query); err != nil {
		return engine.Parsed{}, err
	}
	ast, err := withoutPositions(s.Statements[0])
	return engine.Parsed{AST: ast}, err
}

func (s serialized) verdict(query string) error {
	if s.Error && s.Type == "not implemented" {
		return fmt.Errorf("%w: only a SELECT can be run here; "+
			"write PIVOT as SELECT * FROM (PIVOT ... ON column IN (...))", engine.ErrNotSelect)
	}
	if s.Error {
		line, column := place(query, s.Position)
		return &engine.SQLError{Line: line, Column: column, Message: s.Message}
	}
	if n := len(s.Statements); n != 1 {
		return fmt.Errorf("%w: the text holds %d statements, exactly one is needed", engine.ErrNotSelect, n)
	}
	return nil
}

// withoutPositions drops every query_location and sorts the keys, so that the
// text is equal for SQL that differs in spacing, comments or keyword case only.
func withoutPositions(raw []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return "", fmt.Errorf("read the parsed statement: %w", err)
	}
	drop(tree)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return "", fmt.Errorf("write the parsed statement: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func drop(node any) {
	switch n := node.(type) {
	case map[string]any:
		delete(n, "query_location")
		for _, child := range n {
			drop(child)
		}
	case []any:
		for _, child := range n {
			drop(child)
		}
	}
}
