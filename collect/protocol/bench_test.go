package protocol

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/reedbed/reedbed/event"
)

const benchEvents = 50

// benchBody is a batch of 50 play events of about 1 KB each, as a tracker
// sends it.
func benchBody() []byte {
	var b bytes.Buffer
	b.WriteString(`{"sent_at":"2026-11-22T03:14:17.001Z","batch":[`)
	for i := range benchEvents {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"id":"01934f5c-7e2a-7c3b-9d41-8f6a2b1c0` + strconv.Itoa(100+i) + `","type":"track","name":"Track Played","time":"2026-11-22T03:14:15.926Z",` +
			`"user_id":"listener-4711","anonymous_id":"5f0c4f5e-6d7b-4a0c-8f43-3f1f6f1d2c3b","session_id":"s-20261122-77","stream_id":"web-1","seq":` + strconv.Itoa(i) +
			`,"properties":{"track_id":"trk_0f93ac","title":"Éí — Über den Wölkchen","artist":"The Reed Warblers","album":"Marshland Sessions",` +
			`"duration_ms":214000,"position_ms":61250,"offline":false,"quality":"high","source":{"kind":"playlist","id":"pl_99812","position":14},"price":0.0041},` +
			`"context":{"app":{"name":"reedplayer","version":"5.3.1","build":"5310"},"device":{"model":"Pixel 11","os":"Android 17"},"locale":"de-DE",` +
			`"page":{"url":"https://play.example.com/album/marshland-sessions?ref=home","path":"/album/marshland-sessions","referrer":"https://www.example.org/search?q=reed"},` +
			`"user_agent":"Mozilla/5.0 (Linux; Android 17) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36"}}`)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func perEvent(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
}

// BenchmarkDoor is what the front door does with a batch: take it apart, judge
// every event, encode the record.
func BenchmarkDoor(b *testing.B) {
	body := benchBody()
	proto, _ := ByName(Native)
	d := NewDecoder(proto, Limits{})
	var record []byte
	received := time.Now()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := d.Split(body, "")
		if len(r.Items) != benchEvents {
			b.Fatalf("%d items: %v", len(r.Items), r.Items[0].Refusal)
		}
		record = event.EncodeBatch(record[:0], &event.Batch{
			Source: "web", Protocol: Native, ReceivedAt: received, ClientIP: "203.0.113.0", UserAgent: "bench", Shared: r.Shared, Items: r.Items,
		})
	}
	perEvent(b)
}

// BenchmarkLoader is what the loader does to an event before it has a row.
func BenchmarkLoader(b *testing.B) {
	proto, _ := ByName(Native)
	r := NewDecoder(proto, Limits{}).Split(benchBody(), "")
	batch := event.Batch{Source: "web", Protocol: Native, ReceivedAt: time.Date(2026, 11, 22, 3, 14, 17, 0, time.UTC), Shared: r.Shared, Items: r.Items}
	record := event.EncodeBatch(nil, &batch)
	d := NewDecoder(proto, Limits{})
	var sink event.Route
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		batch, err := event.DecodeBatch(record)
		if err != nil {
			b.Fatal(err)
		}
		d.Begin(batch.Shared)
		for i := range batch.Items {
			e, err := d.Read(&batch.Items[i])
			if err != nil {
				b.Fatal(err)
			}
			id := d.ID(batch.ReceivedAt)
			hash, payload := event.IDHash(batch.Source, id), d.PayloadHash()
			placed := event.Place(&e, &batch, event.Policy{})
			sink += event.RouteOf(id, e.Time) + event.Route(hash[0]) + event.Route(payload) + event.Route(placed.Hour.Unix())
		}
	}
	perEvent(b)
}
