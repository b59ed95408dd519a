package importer

import (
	"bytes"
	"io"
	"regexp"
	"strconv"

	"github.com/reedbed/reedbed/event"
)

// combined is the combined log format of Apache and nginx, and the common one,
// which ends before the referrer.
type combined struct {
	lines
	keepIP func(string) string
	line   []byte
}

func newCombined(r io.Reader, keepIP func(string) string) *combined {
	if keepIP == nil {
		keepIP = func(ip string) string { return ip }
	}
	return &combined{lines: newLines(r), keepIP: keepIP}
}

// Fields of a log line, as the groups of combinedLine.
const (
	logAddress = 1 + iota
	logIdentity
	logUser
	logTime
	logRequest
	logStatus
	logBytes
	logReferrer
	logAgent
	logMore
)

var combinedLine = regexp.MustCompile(`^(\S+) (\S+) (.+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?(?:\s+(.*))?$`)

func (f *combined) next() (line []byte, err error) {
	f.line, err = f.full()
	return f.line, err
}

// events makes a track event "Request" of a line.
func (f *combined) events(id func() string) ([]byte, []event.Item) {
	m := combinedLine.FindSubmatch(f.line)
	if m == nil {
		return nil, refused(bytes.Clone(f.line), "bad_log_line", "the line is not in the combined log format")
	}
	properties, context, out := logFields{}, logFields{}, logFields{}
	properties.request(unescape(m[logRequest]))
	properties.set("referrer", unescape(m[logReferrer]))
	properties.set("identity", unescape(m[logIdentity]))
	properties.set("more", unescape(m[logMore]))
	properties.number("status", m[logStatus])
	properties.number("bytes", m[logBytes])
	context.set("ip", f.keepIP(text(m[logAddress])))
	context.set("user_agent", unescape(m[logAgent]))
	out["id"], out["type"], out["name"], out["time"] = id(), "track", "Request", normalTime(text(m[logTime]))
	out["properties"], out["context"] = map[string]any(properties), map[string]any(context)
	out.set("user_id", unescape(m[logUser]))
	return nil, []event.Item{{Raw: encode(out)}}
}

type logFields map[string]any

// set leaves out what the server did not know.
func (f logFields) set(key, value string) {
	if value != "" && value != "-" {
		f[key] = value
	}
}

func (f logFields) number(key string, digits []byte) {
	if n, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
		f[key] = n
	}
}

// request takes "GET /path HTTP/1.1" apart; scanners send other things, which
// are kept in one piece.
func (f logFields) request(line string) {
	m := requestLine.FindStringSubmatch(line)
	if m == nil {
		f.set("request", line)
		return
	}
	f.set("method", m[1])
	f.set("path", m[2])
	f.set("protocol", m[3])
}

var requestLine = regexp.MustCompile(`^([A-Za-z]+) (\S.*?)(?: (HTTP/\S+))?$`)

// unescape undoes what servers write for quotes, control and other characters:
// \" \\ \n \xhh.
func unescape(field []byte) string {
	if bytes.IndexByte(field, '\\') < 0 {
		return text(field)
	}
	var out []byte
	for rest := string(field); rest != ""; {
		c, multibyte, tail, err := strconv.UnquoteChar(rest, '"')
		switch {
		case err != nil:
			out, tail = append(out, rest[0]), rest[1:]
		case multibyte:
			out = append(out, string(c)...)
		default:
			out = append(out, byte(c))
		}
		rest = tail
	}
	return text(out)
}

// text is a field as UTF-8; what is none becomes U+FFFD.
func text(field []byte) string { return string(bytes.ToValidUTF8(field, []byte("\uFFFD"))) }
