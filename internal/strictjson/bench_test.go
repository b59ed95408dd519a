package strictjson

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// benchEvent is a play event as a tracker sends it, about 1 KB.
func benchEvent(testing.TB) []byte {
	return []byte(`{"id":"01934f5c-7e2a-7c3b-9d41-8f6a2b1c0d9e","type":"track","name":"Track Played","time":"2026-11-22T03:14:15.926Z",` +
		`"sent_at":"2026-11-22T03:14:17.001Z","user_id":"listener-4711","anonymous_id":"5f0c4f5e-6d7b-4a0c-8f43-3f1f6f1d2c3b",` +
		`"session_id":"s-20261122-77","stream_id":"web-1","seq":1234,"properties":{"track_id":"trk_0f93ac","title":"Éí — Über den Wölkchen",` +
		`"artist":"The Reed Warblers","album":"Marshland Sessions","duration_ms":214000,"position_ms":61250,"offline":false,` +
		`"quality":"high","source":{"kind":"playlist","id":"pl_99812","position":14},"price":0.0041,"tags":["folk","acoustic","new"]},` +
		`"context":{"app":{"name":"reedplayer","version":"5.3.1","build":"5310"},"device":{"model":"Pixel 11","os":"Android 17"},` +
		`"locale":"de-DE","timezone":"Europe/Berlin","page":{"url":"https://play.example.com/album/marshland-sessions?ref=home","path":"/album/marshland-sessions",` +
		`"referrer":"https://www.example.org/search?q=reed","title":"Marshland Sessions"},"user_agent":"Mozilla/5.0 (Linux; Android 17) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36"}}`)
}

func BenchmarkValidate(b *testing.B) {
	event := benchEvent(b)
	run := func(name string, hashing bool) {
		b.Run(name, func(b *testing.B) {
			s := NewScanner(Limits{})
			s.Hashing = hashing
			var members []Member
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if members, _, err = s.Object(event, 0, members[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("strictjson", false)
	run("strictjson+hash", true)
	b.Run("jsontext", func(b *testing.B) {
		b.SetBytes(int64(len(event)))
		b.ReportAllocs()
		for b.Loop() {
			if !jsontext.Value(event).IsValid() {
				b.Fatal("invalid")
			}
		}
	})
	b.Run("outlined", func(b *testing.B) {
		members, _, err := NewScanner(Limits{}).Object(event, 0, nil)
		if err != nil {
			b.Fatal(err)
		}
		outline := AppendOutline(nil, members)
		b.SetBytes(int64(len(event)))
		b.ReportAllocs()
		for b.Loop() {
			if members, _ = Outlined(event, outline, members[:0]); len(members) == 0 {
				b.Fatal("does not fit its outline")
			}
		}
	})
	b.Run("skip", func(b *testing.B) {
		b.SetBytes(int64(len(event)))
		for b.Loop() {
			if _, ok := Skip(event, 0); !ok {
				b.Fatal("no end")
			}
		}
	})
}

func BenchmarkWorstCase(b *testing.B) {
	var names bytes.Buffer
	for i := range 500 {
		names.WriteString(`,"` + string(rune('a'+i%26)) + string(rune('a'+i/26)) + `":1`)
	}
	object := "{" + names.String()[1:] + "}"
	for name, text := range map[string]string{
		"500names": "[" + string(bytes.Repeat([]byte(object+","), 20)) + object + "]",
		"chinese":  `"` + string(bytes.Repeat([]byte("芦苇"), 5000)) + `"`,
		"escapes":  `"` + string(bytes.Repeat([]byte(`\u00e9`), 5000)) + `"`,
		"numbers":  "[" + string(bytes.Repeat([]byte("12.5e30,"), 5000)) + "1]",
	} {
		b.Run(name, func(b *testing.B) {
			s := NewScanner(Limits{})
			s.Hashing = true
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := s.Document([]byte(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
