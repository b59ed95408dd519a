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

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictyaml"
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
	// Constants are values for fields no path leads to, such as name: Edit.
	Constants map[string]string `yaml:"constants"`
}

const mappingKeys = "id, type, name, time, user_id, anonymous_id, session_id, and constants for fixed values"

// ReadMapping reads a mapping file strictly. A *Problem says what is wrong.
func ReadMapping(r io.Reader) (*Mapping, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var m Mapping
	if err := strictyaml.Decode(text, &m); err != nil {
		return nil, yamlProblem(err)
	}
	for field := range m.Constants {
		if !slices.Contains(m.fields(), field) {
			return nil, &Problem{What: fmt.Sprintf("constants: %q is not a field of events", field), Fix: "use " + strings.Join(m.fields(), ", ")}
		}
	}
	isTrack := m.Type == "" && (m.Constants["type"] == "" || m.Constants["type"] == "track")
	if isTrack && m.Name == "" && m.Constants["name"] == "" {
		return nil, &Problem{
			What: "nothing gives the events a name",
			Fix:  "add `name: PATH` for the field that holds it, or `constants: {name: Something}` for all records",
		}
	}
	return &m, nil
}

func yamlProblem(err error) *Problem {
	p := &Problem{What: err.Error(), Fix: "the keys are " + mappingKeys + "; a value is the dotted path of a field"}
	if e, ok := errors.AsType[*strictyaml.Error](err); ok {
		p.What, p.Line = e.What, e.Line
	}
	return p
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
func (m *Mapping) apply(rec map[string]any, id func() string) []byte {
	out := map[string]any{}
	var used []string
	for _, field := range m.fields() {
		if text, ok := m.find(rec, field); ok {
			out[field] = text
			used = append(used, m.path(field))
		} else if text, ok := m.Constants[field]; ok {
			out[field] = text
		}
	}
	if _, has := out["id"]; !has {
		out["id"] = id()
	}
	for _, path := range used {
		delete(rec, path)
	}
	out["properties"] = rec
	return encode(out)
}

// find gives what a record has for one field of the envelope.
func (m *Mapping) find(rec map[string]any, field string) (string, bool) {
	path := m.path(field)
	if path == "" {
		return "", false
	}
	v, _ := lookUp(rec, path)
	text, ok := asText(v)
	if field == "time" {
		text = normalTime(text)
	}
	return text, ok
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

// Spellings of times that are common in files, beside RFC 3339. A text without
// an offset is UTC; fractions of seconds may follow the seconds of any.
var timeLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 UTC",
	"2006-01-02T15:04:05", "2006-01-02T15:04:05-0700", "2006-01-02", "02/Jan/2006:15:04:05 -0700",
}

// normalTime gives RFC 3339 for the spellings common in files, and any other
// text as it is: the decoder keeps what it cannot read.
func normalTime(s string) string {
	if t, ok := digitTime(s); ok {
		return t.UTC().Format(time.RFC3339Nano)
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
	}
	return s
}

// digitTime reads 20150912, 20150912004912, and Unix time, whose size gives the
// unit.
func digitTime(s string) (time.Time, bool) {
	for _, layout := range []string{"20060102", "20060102150405"} {
		if t, err := time.Parse(layout, s); err == nil && len(s) == len(layout) {
			return t, true
		}
	}
	if strings.Trim(s, "0123456789.") != "" {
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 1e17 { // nanoseconds
		return time.Unix(0, n), true
	}
	return event.ParseUnix(s)
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
