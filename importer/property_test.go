package importer_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/importer"
)

// files makes files of a format, with what goes wrong in files: lines that
// repeat, break off, are empty or are something else.
func files(format string) *rapid.Generator[string] {
	lines := map[string][]string{
		"ndjson":   {`{"name":"A"}`, `{"id":"1","name":"B"}`, `{"name":"A","time":"2015-01-01T00:00:00Z"}`, `{"name":`, `7`, `{"name":"A"} x`},
		"csv":      {`1,2`, `"a","b"`, `"a`, `b"`, `"a""b",c`, `1`, `1,2,3`, `a"b,c`, `"x"y,z`, `"",""`, `","`},
		"combined": {`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "x"`, `1.1.1.1 - - [x] "\"" 200 -`, `other`},
		"segment": {
			`{"type":"page"}`, `{"type":"page","messageId":"1"}`, `{"batch":[{"type":"page"},{"type":"page"}],"sentAt":"2015-01-01T00:00:00Z"}`,
			`{"batch":[{"type":"page"}]}`, `{`, `}`, `[`, `]`, `"x`, `{"batch":[]}`, ` {"type":"page"}`, `[{"type":"page"},`,
		},
	}[format]
	return rapid.Custom(func(t *rapid.T) string {
		some := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(lines), rapid.SampledFrom([]string{"", " "})), 0, 12).Draw(t, "lines")
		text := strings.Join(some, rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end"))
		if format == "csv" {
			text = "p,q\n" + text
		}
		return text + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "last")
	})
}

// flat is an import's items as text, whatever their batches.
func flat(batches []*event.Batch) (out []string) {
	for _, b := range batches {
		for _, item := range b.Items {
			out = append(out, item.Refusal.Code+"|"+string(b.Shared)+"|"+string(item.Raw))
		}
	}
	return out
}

var errStopped = errors.New("stopped")

// cutShort imports until the send that is number stop fails, and says how far
// the progress had come.
func cutShort(text string, o importer.Options, stop int) (batches []*event.Batch, done int64, err error) {
	done = o.Skip
	n := 0
	o.Send = func(_ context.Context, b *event.Batch) error {
		if n++; n == stop {
			return errStopped
		}
		batches = append(batches, b)
		return nil
	}
	o.Sent = func(_, records int64) error {
		done = records
		return nil
	}
	_, err = importer.File(context.Background(), strings.NewReader(text), o)
	return batches, done, err
}

// An import that is cut off anywhere and goes on delivers what one that is not
// does, nothing lost and nothing twice; and so does a second import.
func TestResume(t *testing.T) {
	for _, format := range importer.Formats() {
		t.Run(format, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				// Repeated, so that there are batches to be cut between.
				text := strings.Repeat(files(format).Draw(t, "file")+"\n", rapid.SampledFrom([]int{1, 150}).Draw(t, "times"))
				o := importer.Options{Format: format}
				whole, _, err := cutShort(text, o, 0)
				if err != nil {
					t.Fatal(err)
				}
				first, done, err := cutShort(text, o, rapid.IntRange(1, len(whole)+1).Draw(t, "stop"))
				if err != nil && !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				o.Skip = done
				rest, _, err := cutShort(text, o, 0)
				if err != nil {
					t.Fatal(err)
				}
				if got := append(flat(first), flat(rest)...); !slices.Equal(got, flat(whole)) {
					t.Fatalf("%d items at once, %d in two parts", len(flat(whole)), len(got))
				}
				if again, _, _ := cutShort(text, o, 0); !slices.Equal(flat(again), flat(rest)) {
					t.Fatal("the same import gives something else")
				}
			})
		})
	}
}

// squeeze takes out what may go: the space between and the ends of lines.
func squeeze(b []byte) string {
	return strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(string(b))
}

// Every record is in exactly one item: for files that are nothing but refused
// records the items are the file.
func TestNothingIsLost(t *testing.T) {
	bad := map[string]*rapid.Generator[string]{
		"ndjson": rapid.StringMatching(`([a-z"\[\]{} ]|\r?\n){0,60}`), "combined": rapid.StringMatching(`([a-z"\[ ]|\r?\n){0,60}`),
		"csv": rapid.StringMatching(`([a"]|\r?\n){0,60}`), "segment": rapid.StringMatching(`([a-z":,\[\]{} ]|\r?\n){0,60}`),
	}
	for _, format := range importer.Formats() {
		t.Run(format, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				text := bad[format].Draw(t, "file")
				head := ""
				if format == "csv" {
					head = "p,q,r\n" // no record has three values
				}
				batches, _, err := cutShort(head+text, importer.Options{Format: format}, 0)
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				for _, b := range batches {
					for _, item := range b.Items {
						if item.Refusal.Code == "" {
							t.Skip("an event by chance")
						}
						got = append(got, item.Raw...)
					}
				}
				want := squeeze([]byte(text))
				if format == "segment" { // framing of arrays without events, or around refused ones, is no item
					trim := strings.NewReplacer("[", "", "]", "", ",", "")
					if trim.Replace(squeeze(got)) == trim.Replace(want) {
						return
					}
				}
				if squeeze(got) != want {
					t.Fatalf("the file\n%q\nbecame\n%q", want, squeeze(got))
				}
			})
		})
	}
}

// What the standard library reads as CSV is read the same way.
func checkCSV(t *testing.T, text string) {
	t.Helper()
	oracle := csv.NewReader(strings.NewReader(text))
	rows, err := oracle.ReadAll()
	if err != nil || len(rows) == 0 || strings.Contains(text, "\r") || strings.HasPrefix(text, "\xef\xbb\xbf") {
		return
	}
	var s sent
	if _, err := importer.File(t.Context(), strings.NewReader(text), s.options(importer.Options{Format: "csv"})); err != nil {
		return // one column named twice
	}
	items := s.items()
	if len(items) != len(rows)-1 {
		t.Fatalf("%d records, want %d", len(items), len(rows)-1)
	}
	for i, row := range rows[1:] {
		want := map[string]any{}
		for j, v := range row {
			want[strings.ToValidUTF8(rows[0][j], "\uFFFD")] = strings.ToValidUTF8(v, "\uFFFD")
		}
		if items[i].Refusal.Code != "" && items[i].Refusal.Code != "bad_csv" {
			continue // the decoder's limits
		}
		got, _ := fields(t, items[i].Raw)["properties"].(map[string]any)
		if items[i].Refusal.Code != "" || len(got) != len(want) {
			t.Fatalf("record %d: %v %v, want %v", i, items[i].Refusal, got, want)
		}
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("record %d: %q is %q, want %q", i, k, got[k], v)
			}
		}
	}
}

func FuzzFormats(f *testing.F) {
	for i, format := range importer.Formats() {
		for seed := range 8 {
			f.Add(uint8(i), []byte(files(format).Example(seed)))
		}
		f.Add(uint8(i), []byte("\xef\xbb\xbf"))
	}
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		o := importer.Options{Format: importer.Formats()[int(which)%4]}
		if which >= 128 {
			o.Mapping = &importer.Mapping{ID: "id", Name: "name", Time: "a.b", Constants: map[string]string{"name": "X"}}
		}
		var s sent
		res, err := importer.File(t.Context(), bytes.NewReader(text), s.options(o))
		if p, isProblem := errors.AsType[*importer.Problem](err); err != nil && (!isProblem || p.Fix == "") {
			t.Fatal(err)
		}
		if err == nil && res.Bytes > int64(len(text)) {
			t.Fatalf("%d bytes read of %d", res.Bytes, len(text))
		}
		for _, item := range s.items() {
			if item.Refusal.Code == "" && !json.Valid(item.Raw) {
				t.Fatalf("accepted: %q", item.Raw)
			}
			if len(item.Raw) == 0 {
				t.Fatal("an item without bytes")
			}
		}
		if o.Format == "csv" {
			checkCSV(t, string(text))
		}
	})
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte("id: id\nname: type\nconstants: {type: track}\n"))
	f.Add([]byte("list:\n  ! 000"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := importer.ReadMapping(bytes.NewReader(text))
		if p, ok := errors.AsType[*importer.Problem](err); err != nil && (!ok || p.Fix == "") {
			t.Fatal(err)
		}
	})
}
