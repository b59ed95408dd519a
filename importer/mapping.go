package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Mapping names where in a record each field of the envelope is: a dotted path
// such as actor.id. What is not mapped lands in properties.
type Mapping struct {
	ID          string `yaml:"id"`
	Type        string `yaml:"type"`
	Name        string `yaml:"name"`
	Time        string `yaml:"time"`
	UserID      string `yaml:"user_id"`
	AnonymousID string `yaml:"anonymous_id"`
	SessionID   string `yaml:"session_id"`
	// Constant values for fields no path leads to, such as name: Edit.
	Constants map[string]string `yaml:"constants"`
}

// ReadMapping reads a mapping file strictly.
func ReadMapping(r io.Reader, file string) (*Mapping, error) {
	var m Mapping
	err := yaml.NewDecoder(r, yaml.Strict()).Decode(&m)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("mapping %s: %s\nfix: the keys are id, type, name, time, user_id, anonymous_id, session_id and constants; each value is a dotted path into the record", file, yaml.FormatError(err, false, true))
	}
	for field := range m.Constants {
		if !slices.Contains(m.fields(), field) {
			return nil, fmt.Errorf("mapping %s: constants: %q is not a field of the envelope; those are %s", file, field, strings.Join(m.fields(), ", "))
		}
	}
	return &m, nil
}

func (m *Mapping) fields() []string {
	return []string{"id", "type", "name", "time", "user_id", "anonymous_id", "session_id"}
}

func (m *Mapping) path(field string) string {
	return map[string]string{
		"id": m.ID, "type": m.Type, "name": m.Name, "time": m.Time,
		"user_id": m.UserID, "anonymous_id": m.AnonymousID, "session_id": m.SessionID,
	}[field]
}

// apply makes a native event of a decoded record. Members that are mapped from
// the top level leave the properties; a mapped part of a nested object stays
// there as well.
func (m *Mapping) apply(rec map[string]any, id string) []byte {
	out := map[string]any{"id": id}
	for _, field := range m.fields() {
		path := m.path(field)
		if path == "" {
			if c, ok := m.Constants[field]; ok {
				out[field] = c
			}
			continue
		}
		v, ok := lookUp(rec, path)
		text := ""
		if ok {
			text, ok = asText(v)
		}
		if !ok {
			if c, has := m.Constants[field]; has {
				out[field] = c
			}
			continue
		}
		if field == "time" {
			text = normalTime(text)
		}
		out[field] = text
		if !strings.Contains(path, ".") {
			delete(rec, path)
		}
	}
	out["properties"] = rec
	return encode(out)
}

func lookUp(rec map[string]any, path string) (any, bool) {
	if v, ok := rec[path]; ok { // a key may itself have dots
		return v, true
	}
	head, rest, nested := strings.Cut(path, ".")
	v, ok := rec[head]
	if !nested || !ok {
		return v, ok
	}
	inner, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return lookUp(inner, rest)
}

// asText gives scalars as text; absent, null and nested values have none.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// normalTime gives RFC 3339 for the spellings common in files, and any other
// text as it is: the decoder keeps what it cannot read.
func normalTime(s string) string {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		unix := time.Unix(n, 0)
		switch {
		case n > 1e17:
			unix = time.Unix(0, n)
		case n > 1e14:
			unix = time.UnixMicro(n)
		case n > 1e11:
			unix = time.UnixMilli(n)
		}
		return unix.UTC().Format(time.RFC3339Nano)
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02", "02/Jan/2006:15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
	}
	return s
}

// decode reads one JSON object with its numbers as written.
func decode(line []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var rec map[string]any
	if err := d.Decode(&rec); err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, errors.New("null is not a record")
	}
	return rec, nil
}

// encode writes what decode read, or strings: neither can fail.
func encode(v map[string]any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("importer: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
