package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/importer"
)

// sent is what an import delivered.
type sent struct {
	batches []*event.Batch
	records int64 // as the last progress said
}

func (s *sent) items() (items []event.Item) {
	for _, b := range s.batches {
		items = append(items, b.Items...)
	}
	return items
}

// refusals are the codes of the items, "" for those that decode.
func (s *sent) refusals() (codes []string) {
	for _, item := range s.items() {
		codes = append(codes, item.Refusal.Code)
	}
	return codes
}

func (s *sent) options(o importer.Options) importer.Options {
	o.Send = func(_ context.Context, b *event.Batch) error {
		s.batches = append(s.batches, b)
		return nil
	}
	o.Sent = func(_, records int64) error {
		s.records = records
		return nil
	}
	return o
}

func importText(t *testing.T, text string, o importer.Options) (*sent, importer.Result) {
	t.Helper()
	var s sent
	res, err := importer.File(t.Context(), strings.NewReader(text), s.options(o))
	if err != nil {
		t.Fatal(err)
	}
	if int(res.Sent) != len(s.items()) {
		t.Fatalf("the result says %d sent, there were %d", res.Sent, len(s.items()))
	}
	return &s, res
}

// fields decodes an item.
func fields(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return out
}

func mapping(t *testing.T, text string) *importer.Mapping {
	t.Helper()
	m, err := importer.ReadMapping(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNDJSONNativeStaysAsWritten(t *testing.T) {
	line := `{"id":"a", "name":"X","properties":{"n":1.50, "big":123456789012345678901}}`
	s, _ := importText(t, "\xef\xbb\xbf"+line+"\r\n\n  \n"+`{"name":"Y"}`+"\n"+`{"name":"Y"}`, importer.Options{Format: "ndjson"})
	items := s.items()
	if len(items) != 3 || string(items[0].Raw) != line {
		t.Fatalf("got %q", items)
	}
	second, third := fields(t, items[1].Raw), fields(t, items[2].Raw)
	if second["id"] == third["id"] || second["id"] == nil {
		t.Errorf("equal records got the ids %v and %v", second["id"], third["id"])
	}
	if b := s.batches[0]; !b.Historical || b.Protocol != "native" {
		t.Errorf("got %+v", b)
	}
}

// What is no event goes on, whole, with the reason.
func TestNDJSONRefused(t *testing.T) {
	for text, code := range map[string]string{
		`{"name":"X","name":"Y"}`:          "duplicate_key",
		`{"name":"X"`:                      "truncated",
		`{"name":"X"} {}`:                  "invalid_json",
		`[1]`:                              "not_an_object",
		`null`:                             "not_an_object",
		`{"name":"` + "\xff" + `"}`:        "invalid_utf8",
		`{"type":"purchase"}`:              "bad_type",
		`{"id":7,"name":"X"}`:              "bad_id",
		`{"properties":{}}`:                "missing_name",
		`{"name":"X"}` + "\r\r":            "",
		`{"name":"X","id":""}`:             "",
		`{"name":"X","id":null}`:           "",
		`{"type":"identify","x":"\u0000"}`: "",
	} {
		s, _ := importText(t, text+"\n", importer.Options{Format: "ndjson"})
		items := s.items()
		if len(items) != 1 || items[0].Refusal.Code != code {
			t.Errorf("%q: got %q", text, items)
			continue
		}
		if code == "" {
			if id, _ := fields(t, items[0].Raw)["id"].(string); id == "" {
				t.Errorf("%q: no id in %s", text, items[0].Raw)
			}
		}
	}
	s, _ := importText(t, "\"half\nof it\r\n", importer.Options{Format: "ndjson"})
	if items := s.items(); len(items) != 2 || string(items[0].Raw) != `"half` || string(items[1].Raw) != "of it" {
		t.Errorf("refused lines are not whole: %q", items)
	}
}

func TestMapping(t *testing.T) {
	m := mapping(t, `
id: id
name: type
time: created_at
user_id: actor.id
session_id: id
anonymous_id: no.such
constants: {anonymous_id: someone, type: track}
`)
	s, _ := importText(t, `{"id":"77","type":"Push","actor":{"id":5,"login":"x"},"created_at":"2015-01-01T00:00:00Z","public":true,"n":null}`,
		importer.Options{Format: "ndjson", Mapping: m})
	want := map[string]any{
		"id": "77", "type": "track", "name": "Push", "time": "2015-01-01T00:00:00Z", "user_id": "5", "anonymous_id": "someone", "session_id": "77",
		"properties": map[string]any{"actor": map[string]any{"id": json.Number("5"), "login": "x"}, "public": true, "n": nil},
	}
	if diff := cmp.Diff(want, fields(t, s.items()[0].Raw)); diff != "" {
		t.Error(diff)
	}
}

// A value that cannot be a field stays among the properties, and a record
// without an id gets one.
func TestMappingOfWhatDoesNotFit(t *testing.T) {
	m := mapping(t, "id: id\nname: name\nuser_id: a.b\n")
	s, _ := importText(t, `{"id":{"x":1},"name":"N","a":[1],"a.b":"dotted"}`, importer.Options{Format: "ndjson", Mapping: m})
	got := fields(t, s.items()[0].Raw)
	id, _ := got["id"].(string)
	if !strings.HasPrefix(id, "i_") || got["user_id"] != "dotted" {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff(map[string]any{"id": map[string]any{"x": json.Number("1")}, "a": []any{json.Number("1")}}, got["properties"]); diff != "" {
		t.Error(diff)
	}
}

func TestMappingProblems(t *testing.T) {
	for text, want := range map[string]importer.Problem{
		"id: id\nnme: type\n":               {What: `unknown field "nme"`, Line: 2},
		"id: id\n":                          {What: "nothing gives the events a name"},
		"":                                  {What: "nothing gives the events a name"},
		"constants: {nam: x}\n":             {What: `constants: "nam" is not a field of events`},
		"name: [a]\n":                       {What: "", Line: 1},
		"name: a\nname: b\n":                {What: "", Line: 2},
		"constants: {type: track}\nid: a\n": {What: "nothing gives the events a name"},
	} {
		_, err := importer.ReadMapping(strings.NewReader(text))
		p, ok := errors.AsType[*importer.Problem](err)
		if !ok || want.What != "" && p.What != want.What || p.Line != want.Line || p.Fix == "" {
			t.Errorf("%q: got %+v", text, err)
		}
	}
	for _, text := range []string{"constants: {type: page}\n", "type: kind\n"} {
		if _, err := importer.ReadMapping(strings.NewReader(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTimesOfFiles(t *testing.T) {
	m := mapping(t, "time: t\nconstants: {name: X}\n")
	for spelling, want := range map[string]string{
		`"2015-01-01T00:00:00+02:00"`:   "2015-01-01T00:00:00+02:00",
		`"2015-01-01 10:00:00"`:         "2015-01-01T10:00:00Z",
		`"2015-01-01 10:00:00.25 UTC"`:  "2015-01-01T10:00:00.25Z",
		`"2015-01-01 10:00:00.5+02:00"`: "2015-01-01T08:00:00.5Z",
		`"2015-01-01 10:00:00 +0200"`:   "2015-01-01T08:00:00Z",
		`"2015-01-01T10:00:00.123"`:     "2015-01-01T10:00:00.123Z",
		`"2015-01-01"`:                  "2015-01-01T00:00:00Z",
		`"20150101"`:                    "2015-01-01T00:00:00Z",
		`"20150101102030"`:              "2015-01-01T10:20:30Z",
		`1420070400`:                    "2015-01-01T00:00:00Z",
		`"1420070400.123"`:              "2015-01-01T00:00:00.123Z",
		`1420070400123`:                 "2015-01-01T00:00:00.123Z",
		`1420070400123456`:              "2015-01-01T00:00:00.123456Z",
		`1420070400123456789`:           "2015-01-01T00:00:00.123456789Z",
		`"17/May/2015:10:05:03 +0000"`:  "2015-05-17T10:05:03Z",
		`"NaN"`:                         "NaN",
		`"yesterday"`:                   "yesterday",
	} {
		s, _ := importText(t, `{"t":`+spelling+`}`, importer.Options{Format: "ndjson", Mapping: m})
		if got := fields(t, s.items()[0].Raw)["time"]; got != want {
			t.Errorf("%s: got %v, want %s", spelling, got, want)
		}
	}
}

func TestCSV(t *testing.T) {
	m := mapping(t, "time: when\nuser_id: who\nconstants: {name: Sale}\n")
	s, res := importText(t, "\xef\xbb\xbfwhen,who,note\r\n2015-01-01,ada,\"a \"\"b\"\", c\nd\"\r\n\r\n2015-01-02,bob,\n",
		importer.Options{Format: "csv", Mapping: m})
	if res.Records != 2 || len(s.items()) != 2 {
		t.Fatalf("got %+v, %q", res, s.items())
	}
	got := fields(t, s.items()[0].Raw)
	if got["name"] != "Sale" || got["user_id"] != "ada" || got["time"] != "2015-01-01T00:00:00Z" {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff(map[string]any{"note": "a \"b\", c\nd"}, got["properties"]); diff != "" {
		t.Error(diff)
	}
	s, _ = importText(t, "a,b\n1,2\n", importer.Options{Format: "csv"})
	if got := fields(t, s.items()[0].Raw); got["name"] != "Row" {
		t.Errorf("without a mapping: %v", got)
	}
}

// One bad record costs itself, and is kept as it was written.
func TestCSVRefused(t *testing.T) {
	text := strings.Join([]string{
		`a,b`,
		`1,2`,
		`x"y,2`,     // a quote in a value without quotes
		`"x"y,2`,    // something behind the closing quote
		`1,2,3`,     // too many
		`1`,         // too few
		`"1,`, `2"`, // too few, on two lines
		`"open,2`, // never closed
		`3,4`,
		``,
		`5,"6`, // closed by the file's end only
	}, "\n")
	s, res := importText(t, text, importer.Options{Format: "csv"})
	var got []string
	for _, item := range s.items() {
		if item.Refusal.Code != "" {
			got = append(got, string(item.Raw))
		}
	}
	want := []string{`x"y,2`, `"x"y,2`, `1,2,3`, `1`, "\"1,\n2\"", `"open,2`, `5,"6`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if res.Records != 9 || res.Refused != 7 || res.Bytes != int64(len(text)) {
		t.Errorf("got %+v", res)
	}
}

func TestCSVHeader(t *testing.T) {
	for text, want := range map[string]string{
		"a,b,a\n1,2,3\n": `the first line names the column "a" twice`,
		"a\"b,c\n":       "the first line does not name the columns: there is a quote within the value without quotes at byte 1",
		"\"a,b\n":        "the first line does not name the columns: a quoted value does not end",
	} {
		var s sent
		_, err := importer.File(t.Context(), strings.NewReader(text), s.options(importer.Options{Format: "csv"}))
		if p, ok := errors.AsType[*importer.Problem](err); !ok || p.What != want || p.Line != 1 || p.Fix == "" {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestCombined(t *testing.T) {
	line := `1.2.3.4 - ada [17/May/2015:10:05:03 +0200] "GET /a%20b?x=\"1\" HTTP/1.1" 200 203 "http://e.org/" "Mozilla/5.0 (\x22X\x22)" "9.9.9.9" 0.003`
	s, _ := importText(t, line+"\n", importer.Options{Format: "combined", KeepIP: func(ip string) string { return "kept " + ip }})
	got := fields(t, s.items()[0].Raw)
	delete(got, "id")
	want := map[string]any{
		"type": "track", "name": "Request", "time": "2015-05-17T08:05:03Z", "user_id": "ada",
		"context": map[string]any{"ip": "kept 1.2.3.4", "user_agent": `Mozilla/5.0 ("X")`},
		"properties": map[string]any{
			"method": "GET", "path": `/a%20b?x="1"`, "protocol": "HTTP/1.1", "status": json.Number("200"), "bytes": json.Number("203"),
			"referrer": "http://e.org/", "more": `"9.9.9.9" 0.003`,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCombinedOddLines(t *testing.T) {
	const head = `::1 - - [17/May/2015:10:05:03 +0000] `
	for line, want := range map[string]map[string]any{
		head + `"-" 408 -`:                      {"status": json.Number("408")},
		head + `"\x16\x03\x01" 400 226 "-" "-"`: {"request": "\x16\x03\x01", "status": json.Number("400"), "bytes": json.Number("226")},
		head + `"GET /" 200 1 "-" "\xff"`:       {"method": "GET", "path": "/", "status": json.Number("200"), "bytes": json.Number("1")},
		head + `"GET /a b HTTP/1.0" 200 1`:      {"method": "GET", "path": "/a b", "protocol": "HTTP/1.0", "status": json.Number("200"), "bytes": json.Number("1")},
		head + `"" 400 0`:                       {"status": json.Number("400"), "bytes": json.Number("0")},
	} {
		s, _ := importText(t, line, importer.Options{Format: "combined"})
		if item := s.items()[0]; item.Refusal.Code != "" {
			t.Errorf("%s: %v", line, item.Refusal)
		} else if diff := cmp.Diff(want, fields(t, item.Raw)["properties"]); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
	s, _ := importText(t, "no log line\n", importer.Options{Format: "combined"})
	if item := s.items()[0]; item.Refusal.Code != "bad_log_line" || string(item.Raw) != "no log line" {
		t.Errorf("got %+v", item)
	}
}

func TestSegment(t *testing.T) {
	text := `{"batch":[{"type":"track","event":"A","messageId":"1","userId":"u"},{"type":"track","event":"B","userId":"u"},{"type":"track","event":"B","userId":"u"}],"sentAt":"2015-01-01T00:00:00Z","context":{"ip":"1.1.1.1"}}
{"type":"page","messageId":"2","userId":"u"}
[{"type":"identify","messageId":"3","userId":"u"},{"type":"odd"}]
{"batch":[]}
not JSON
{
  "batch": [
    {"type": "track", "event": "C", "messageId": "4", "userId": "u"}
  ]
}
{"type":"track","event":
{"type":"track","event":"D","messageId":"5","userId":"u"}`
	s, res := importText(t, text, importer.Options{Format: "segment"})
	if diff := cmp.Diff([]string{"", "", "", "", "", "bad_type", "not_an_object", "", "truncated", ""}, s.refusals()); diff != "" {
		t.Error(diff)
	}
	if res.Records != 8 || len(s.batches) != 2 {
		t.Errorf("%d records in %d batches", res.Records, len(s.batches))
	}
	first := s.batches[0]
	if !bytes.Contains(first.Shared, []byte("1.1.1.1")) || len(first.Items) != 3 || s.batches[1].Shared != nil {
		t.Errorf("shared fields went elsewhere: %q", first.Shared)
	}
	var ids []any
	for _, item := range first.Items {
		ids = append(ids, fields(t, item.Raw)["messageId"])
	}
	if ids[0] != "1" || ids[1] == nil || ids[1] == ids[2] {
		t.Errorf("ids %v", ids)
	}
}

// Lines too long to read arrive in refused pieces that are the line.
func TestLongLines(t *testing.T) {
	long := strings.Repeat(" x", 5<<20) + "\r" // its pieces end anywhere
	for _, format := range []string{"ndjson", "combined", "segment"} {
		s, res := importText(t, "first\n"+long+"\nlast", importer.Options{Format: format})
		var whole []byte
		items := s.items()
		for _, item := range items[1 : len(items)-1] {
			if item.Refusal.Code != "line_too_long" {
				t.Fatalf("%s: %v", format, item.Refusal)
			}
			whole = append(whole, item.Raw...)
		}
		if string(whole) != long+"\n" || string(items[len(items)-1].Raw) != "last" || res.Refused != res.Sent {
			t.Errorf("%s: %d bytes came of %d", format, len(whole), len(long))
		}
	}
}

func TestCSVLongRecords(t *testing.T) {
	line := `"` + strings.Repeat("x", 1<<20) + "\n"
	text := "a\n" + line + strings.Repeat(strings.Repeat("y", 1<<20)+"\n", 5) + "z\n"
	s, res := importText(t, text, importer.Options{Format: "csv"})
	if res.Records != 7 || res.Refused != 1+5 { // the events of 1 MiB are too large as well
		t.Errorf("got %+v", res)
	}
	if first := s.items()[0]; first.Refusal.Code != "bad_csv" || len(first.Raw) != len(line)-1 {
		t.Errorf("%v, %d bytes", first.Refusal, len(first.Raw))
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, format := range importer.Formats() {
		for _, text := range []string{"", "\n\r\n", "\xef\xbb\xbf"} {
			if _, res := importText(t, text, importer.Options{Format: format}); res.Records != 0 {
				t.Errorf("%s: %q has %d records", format, text, res.Records)
			}
		}
	}
	if _, err := importer.File(t.Context(), strings.NewReader(""), importer.Options{Format: "xml"}); err == nil {
		t.Error("there is no format xml")
	}
}

// A file that ends with an error gives what was read before it, without the
// line that was cut, and says so.
func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	var s sent
	text := `{"name":"A","id":"1"}` + "\n" + `{"name":"B","id":"2"}` + "\n" + `{"name":"C",`
	r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))
	res, err := importer.File(t.Context(), r, s.options(importer.Options{Format: "ndjson"}))
	if !errors.Is(err, broken) || len(s.items()) != 2 || res.Records != 2 || s.records != 2 {
		t.Errorf("got %v, %+v, %q", err, res, s.items())
	}
}

func TestSendError(t *testing.T) {
	full := errors.New("full")
	o := importer.Options{Format: "ndjson", Send: func(context.Context, *event.Batch) error { return full }}
	for _, text := range []string{`{"name":"A"}`, strings.Repeat(`{"name":"A"}`+"\n", 3000)} {
		if _, err := importer.File(t.Context(), strings.NewReader(text), o); !errors.Is(err, full) {
			t.Errorf("got %v", err)
		}
	}
}

func TestBatchesAreBounded(t *testing.T) {
	line := `{"name":"A","properties":{"x":"` + strings.Repeat("y", 1500) + `"}}` + "\n"
	s, _ := importText(t, strings.Repeat(line, 2000), importer.Options{Format: "ndjson"})
	var sizes []int
	for _, b := range s.batches {
		size := 0
		for _, item := range b.Items {
			size += len(item.Raw)
		}
		if size > 1<<20 {
			t.Errorf("a batch of %d bytes", size)
		}
		sizes = append(sizes, len(b.Items))
	}
	if len(sizes) < 3 || slices.Max(sizes) > 1000 {
		t.Errorf("batches of %v items", sizes)
	}
}

// A record that is refused for its size has the id it has when the limit is
// raised and the file imported again: then the two are one event.
func TestRefusedRecordsKeepTheirID(t *testing.T) {
	text := `{"name":"P","properties":{"pad":"` + strings.Repeat("x", 2000) + `"}}` + "\n"
	small, _ := importText(t, text, importer.Options{Format: "ndjson", Limits: protocol.Limits{EventBytes: 1000}})
	large, _ := importText(t, text, importer.Options{Format: "ndjson"})
	before, after := small.items()[0], large.items()[0]
	if before.Refusal.Code != protocol.CodeTooLarge || after.Refusal.Code != "" || string(before.Raw) != string(after.Raw) {
		t.Errorf("%v %.80s\n%v %.80s", before.Refusal, before.Raw, after.Refusal, after.Raw)
	}
}
