package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// ndjson is one JSON object a line: a native event, or any record with a mapping.
type ndjson struct {
	lines
	mapping *Mapping
	line    []byte
}

func (f *ndjson) next() (line []byte, err error) {
	f.line, err = f.lines.next()
	return f.line, err
}

func (f *ndjson) events(id string) []record {
	line := bytes.Clone(f.line)
	// Strict before anything else: what a lax reader would repair, such as a
	// repeated name, is refused and kept as it is.
	if err := strictjson.NewScanner(strictjson.Limits{}).Document(line); err != nil {
		return []record{{raw: line, refusal: jsonRefusal(err)}}
	}
	rec, err := decode(line)
	if err != nil {
		return []record{{raw: line, refusal: event.Refusal{Code: string(strictjson.NotAnObject), Reason: "the line is not a JSON object"}}}
	}
	if f.mapping != nil {
		return []record{{raw: f.mapping.apply(rec, id)}}
	}
	if _, has := rec["id"]; has {
		return []record{{raw: line}}
	}
	rec["id"] = id
	return []record{{raw: encode(rec)}}
}

func jsonRefusal(err error) event.Refusal {
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		return event.Refusal{Code: string(e.Code), Reason: e.Error()}
	}
	return event.Refusal{Code: string(strictjson.InvalidJSON), Reason: err.Error()}
}

// csvFile is comma-separated values under a line of names.
type csvFile struct {
	r       *csv.Reader
	mapping *Mapping
	names   []string
	values  []string
	err     error // of the record read last
}

func newCSV(r io.Reader, m *Mapping) (*csvFile, error) {
	if m == nil {
		m = &Mapping{Constants: map[string]string{"name": "Row"}}
	}
	f := &csvFile{r: csv.NewReader(r), mapping: m}
	f.r.ReuseRecord = true
	names, err := f.r.Read()
	if err != nil {
		return nil, fmt.Errorf("the first line must name the columns: %w", err)
	}
	f.names = append(f.names, names...)
	seen := map[string]bool{}
	for _, name := range f.names {
		if seen[name] {
			return nil, fmt.Errorf("the column %q is named twice in the first line: rename one", name)
		}
		seen[name] = true
	}
	return f, nil
}

func (f *csvFile) next() ([]byte, error) {
	f.values, f.err = f.r.Read()
	_, broken := errors.AsType[*csv.ParseError](f.err)
	if f.err != nil && !broken {
		return nil, f.err
	}
	return f.original(), nil
}

// original is the record as values with their lengths: quoting does not matter.
func (f *csvFile) original() []byte {
	var b []byte
	for _, v := range f.values {
		b = strconv.AppendInt(b, int64(len(v)), 10)
		b = append(append(b, ':'), v...)
	}
	return b
}

func (f *csvFile) events(id string) []record {
	if f.err != nil {
		return []record{{raw: f.original(), refusal: event.Refusal{Code: "bad_csv", Reason: f.err.Error()}}}
	}
	rec := map[string]any{}
	for i, v := range f.values {
		rec[f.names[i]] = v
	}
	return []record{{raw: f.mapping.apply(rec, id)}}
}

func (f *csvFile) offset() int64 { return f.r.InputOffset() }

// combined is the combined log format of Apache and nginx.
type combined struct {
	lines
	keepIP func(string) string
	line   []byte
}

var combinedLine = regexp.MustCompile(`^(\S+) (\S+) (.+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?`)

func (f *combined) next() (line []byte, err error) {
	f.line, err = f.lines.next()
	return f.line, err
}

// events makes a track event "Request" of a line.
func (f *combined) events(id string) []record {
	line := bytes.Clone(f.line)
	m := combinedLine.FindSubmatch(line)
	if m == nil {
		return []record{{raw: line, refusal: event.Refusal{Code: "bad_log_line", Reason: "the line is not in the combined log format"}}}
	}
	field := func(i int) string { return string(bytes.ToValidUTF8(m[i], []byte("\uFFFD"))) }
	properties := map[string]any{}
	set := func(to map[string]any, key, value string) {
		if value != "" && value != "-" {
			to[key] = value
		}
	}
	method, rest, _ := bytes.Cut([]byte(field(5)), []byte(" "))
	path, proto, _ := bytes.Cut(rest, []byte(" "))
	set(properties, "method", string(method))
	set(properties, "path", string(path))
	set(properties, "protocol", string(proto))
	set(properties, "referrer", field(8))
	for key, i := range map[string]int{"status": 6, "bytes": 7} {
		if n, err := strconv.ParseInt(field(i), 10, 64); err == nil {
			properties[key] = n
		}
	}
	context := map[string]any{}
	set(context, "ip", f.keepIP(field(1)))
	set(context, "user_agent", field(9))
	out := map[string]any{"id": id, "type": "track", "name": "Request", "time": normalTime(field(4)), "properties": properties, "context": context}
	set(out, "user_id", field(3))
	return []record{{raw: encode(out)}}
}

// segment is Segment payloads, one request body or one event a line.
type segment struct {
	lines
	line []byte
}

func (f *segment) next() (line []byte, err error) {
	f.line, err = f.lines.next()
	return f.line, err
}

// events takes a body apart as the front door does; what applies to the whole
// body is merged into each event.
func (f *segment) events(id string) []record {
	p, _ := protocol.ByName(protocol.Segment)
	request := protocol.NewDecoder(p, protocol.Limits{}).Split(bytes.Clone(f.line), "")
	var out []record
	for i, item := range request.Items {
		r := record{raw: bytes.Clone(item.Raw), refusal: item.Refusal}
		if item.Refusal == (event.Refusal{}) {
			r.raw = withShared(r.raw, request.Shared, id+"_"+strconv.Itoa(i))
		}
		out = append(out, r)
	}
	return out
}

// withShared gives an event the batch-level members it lacks, and an id.
func withShared(raw, shared []byte, id string) []byte {
	own, err := decode(raw)
	if err != nil {
		return raw
	}
	all, err := decode(shared)
	if err != nil {
		all = map[string]any{}
	}
	changed := false
	for key, v := range all {
		inner, isObject := v.(map[string]any)
		mine, has := own[key]
		if mineObject, ok := mine.(map[string]any); has && ok && isObject {
			for k, x := range inner {
				if _, taken := mineObject[k]; !taken {
					mineObject[k], changed = x, true
				}
			}
		} else if !has {
			own[key], changed = v, true
		}
	}
	if text, ok := own["messageId"].(string); !ok || text == "" {
		own["messageId"], changed = id, true
	}
	if !changed {
		return raw
	}
	return encode(own)
}
