package importer

import (
	"bytes"
	"errors"
	"io"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/internal/strictjson"
)

// ndjson is one JSON object a line: a native event, or any record with a mapping.
type ndjson struct {
	lines
	mapping *Mapping
	scan    *strictjson.Scanner
	line    []byte
}

func newNDJSON(r io.Reader, m *Mapping) *ndjson {
	return &ndjson{lines: newLines(r), mapping: m, scan: strictjson.NewScanner(strictjson.Limits{})}
}

func (f *ndjson) next() (line []byte, err error) {
	f.line, err = f.full()
	return f.line, err
}

func (f *ndjson) events(id func() string) ([]byte, []event.Item) {
	line := bytes.Clone(f.line)
	// Strict before anything else: what a lax reader would repair, such as a
	// repeated name, is refused and kept as it is.
	if err := f.scan.Document(line); err != nil {
		return nil, jsonRefused(line, err)
	}
	rec, err := decode(line)
	if err != nil {
		return nil, refused(line, string(strictjson.NotAnObject), "the line is not a JSON object")
	}
	if f.mapping != nil {
		return nil, []event.Item{{Raw: f.mapping.apply(rec, id)}}
	}
	return nil, []event.Item{{Raw: withID(line, rec, "id", id)}}
}

func jsonRefused(raw []byte, err error) []event.Item {
	if e, ok := errors.AsType[*strictjson.Error](err); ok {
		return refused(raw, string(e.Code), e.Error())
	}
	return refused(raw, string(strictjson.InvalidJSON), err.Error())
}

func refused(raw []byte, code, reason string) []event.Item {
	return []event.Item{{Raw: raw, Refusal: event.Refusal{Code: code, Reason: reason}}}
}

// withID gives an event that has none an id, under the name its protocol has
// for it; other events stay as they are written.
func withID(raw []byte, rec map[string]any, name string, id func() string) []byte {
	if own := rec[name]; own != nil && own != "" {
		return raw
	}
	rec[name] = id()
	return encode(rec)
}

// segment is bodies of Segment requests: a batch, an array or one message, on
// one line each or written over several.
type segment struct {
	lines
	decoder *protocol.Decoder
	body    []byte
	big     bool
}

func newSegment(r io.Reader, d *protocol.Decoder) *segment {
	return &segment{lines: newLines(r), decoder: d}
}

// next reads up to the end of the JSON value that begins on the next line. If
// it has none, it ends before a line that begins another.
func (f *segment) next() ([]byte, error) {
	line, err := f.full()
	if err != nil {
		return nil, err
	}
	f.body, f.big = append(f.body[:0], line...), f.cut
	for !f.big && begins(f.body) && !complete(f.body) {
		err := f.lines.next()
		if err == io.EOF { //nolint:errorlint // readers return io.EOF itself
			break
		}
		if err != nil {
			return nil, err
		}
		if f.cut || begins(f.line) || len(f.body)+len(f.line) > maxLine {
			f.unread(f.line)
			break
		}
		f.body = append(append(f.body, '\n'), trimEnd(f.line)...)
	}
	return f.body, nil
}

func (f *segment) tooLong() bool { return f.big }

func begins(line []byte) bool { return len(line) > 0 && (line[0] == '{' || line[0] == '[') }

// complete reports that brackets and quotes match up.
func complete(body []byte) bool {
	_, ok := strictjson.Skip(body, 0)
	return ok
}

// events takes a body apart as the front door does.
func (f *segment) events(id func() string) (shared []byte, items []event.Item) {
	request := f.decoder.Split(bytes.Clone(f.body), "")
	for _, item := range request.Items {
		item.Outline = nil // of the bytes before an id was added
		if item.Refusal == (event.Refusal{}) {
			if rec, err := decode(item.Raw); err == nil {
				item.Raw = withID(item.Raw, rec, "messageId", id)
			}
		}
		items = append(items, item)
	}
	return bytes.Clone(request.Shared), items
}
