package collect

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
)

// null is a journal that costs nothing, so that what is measured is the door.
type null struct{}

func (null) Append(context.Context, journal.Record) (journal.Position, error) {
	return journal.Position{}, nil
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// body1K is n events of about 1 KB.
func body1K(n int) string {
	var list []string
	for i := range n {
		var props []string
		for k := range 24 {
			props = append(props, fmt.Sprintf(`"property_%d":"value %d of %d, some text"`, k, k, i))
		}
		list = append(list, fmt.Sprintf(`{"id":"0193a3c0-7b00-7000-8000-%012x","type":"track","name":"Track Played","time":"2026-11-22T10:00:00.123Z","user_id":"u%d","anonymous_id":"a%d","properties":{%s},"context":{"page":{"url":"https://example.org/a/b"}}}`, i, i, i, strings.Join(props, ",")))
	}
	return `{"batch":[` + strings.Join(list, ",") + `]}`
}

// BenchmarkDoor is the whole handler without sockets and without a disk.
// BenchmarkBare is the least a handler could do: read and validate.
func BenchmarkDoor(b *testing.B) {
	for _, n := range []int{1, 50} {
		for name, body := range map[string]string{"plain": body1K(n), "gzip": gz(body1K(n))} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				d, _ := newDoor(b, Options{Journal: null{}})
				bench(b, d.Handler(), body, n)
			})
		}
	}
}

func BenchmarkBare(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && sniff(body) == gzipped {
			var zr *gzip.Reader
			if zr, err = gzip.NewReader(strings.NewReader(string(body))); err == nil {
				body, err = io.ReadAll(zr)
			}
		}
		if err != nil || !jsontext.Value(body).IsValid() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	for _, n := range []int{1, 50} {
		for name, body := range map[string]string{"plain": body1K(n), "gzip": gz(body1K(n))} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) { bench(b, bare, body, n) })
		}
	}
}

func bench(b *testing.B, h http.Handler, body string, events int) {
	b.Helper()
	send := sender(b, h, shape{target: "/v1/events", body: body, header: map[string]string{"Authorization": "Basic ZGVtbzo="}})
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		send()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}

// shape is a request as a client usually sends it.
type shape struct {
	method, target, body string // no method is POST
	header               map[string]string
	events               int
}

// sender returns what sends the request once more, without allocating for it.
func sender(b *testing.B, h http.Handler, s shape) func() {
	reader := strings.NewReader(s.body)
	r, _ := http.NewRequestWithContext(b.Context(), cmp.Or(s.method, http.MethodPost), s.target, io.NopCloser(reader))
	r.ContentLength, r.RemoteAddr = int64(len(s.body)), "192.0.2.1:1234"
	r.Header.Set("User-Agent", "bench/1")
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	w := &sink{header: make(http.Header)}
	return func() {
		reader.Reset(s.body)
		clear(w.header)
		w.status = http.StatusOK // of an image, which nobody sets
		h.ServeHTTP(w, r)
		if w.status/100 != 2 {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkProtocols is the way of an event of each protocol through the door,
// in the request its clients usually send, and then through the loader's
// decoder; beside it, in turns, a native request of as many events. The ratios
// of CPU time are times-native, of the door alone, and with-loader.
func BenchmarkProtocols(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(shapes())) {
		b.Run(name, func(b *testing.B) {
			s := shapes()[name]
			native := shape{target: "/v1/events", body: body1K(s.events), header: map[string]string{"X-Write-Key": "demo"}, events: s.events}
			send, read := wholeWay(b, s)
			sendNative, readNative := wholeWay(b, native)
			var door, loader, nativeDoor, nativeLoader time.Duration
			for b.Loop() {
				door += cpuOf(send)
				loader += cpuOf(read)
				nativeDoor += cpuOf(sendNative)
				nativeLoader += cpuOf(readNative)
			}
			b.ReportMetric(float64((door+loader).Nanoseconds())/float64(b.N*s.events), "ns/event")
			b.ReportMetric(float64(door)/float64(nativeDoor), "times-native")
			b.ReportMetric(float64(door+loader)/float64(nativeDoor+nativeLoader), "with-loader")
		})
	}
}

func cpuOf(do func()) time.Duration {
	start := cpuTime()
	do()
	return cpuTime() - start
}

// cpuTime is what the process has used, whatever else the machine does.
func cpuTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// wholeWay returns what sends a request, and what decodes the record it became.
func wholeWay(b *testing.B, s shape) (send, read func()) {
	last := new(kept)
	d, _ := newDoor(b, Options{Journal: last})
	send = sender(b, d.Handler(), s)
	send()
	batch, err := event.DecodeBatch(last.payload)
	if err != nil || len(batch.Items) != s.events {
		b.Fatalf("%d events, want %d: %v", len(batch.Items), s.events, err)
	}
	p, _ := protocol.ByName(batch.Protocol)
	loader := protocol.NewDecoder(p, protocol.Limits{})
	return send, func() {
		batch, _ := event.DecodeBatch(last.payload)
		loader.Begin(batch.Shared)
		for i := range batch.Items {
			if _, err := loader.Read(&batch.Items[i]); err != nil {
				b.Fatalf("%s: %v", batch.Items[i].Raw, err)
			}
			_, _ = loader.PayloadHash(), loader.ID(batch.ReceivedAt)
		}
	}
}

// kept is a journal that keeps the last record.
type kept struct{ payload []byte }

func (k *kept) Append(_ context.Context, r journal.Record) (journal.Position, error) {
	k.payload = append(k.payload[:0], r.Payload...)
	return journal.Position{}, nil
}

// shapes are requests as recorded, with texts of their usual length.
func shapes() map[string]shape {
	key := map[string]string{"X-Write-Key": "demo"}
	properties := `{"track_id":"t0","position_ms":0,"title":"Über den Wölkchen","nested":{"a":[1,2.5,null,true]},"big":12345678901234567000,` + filler(12) + `}`
	context := `"context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"page":{"path":"/a","referrer":"","title":"Marshland","url":"https://play.example.com/a"},"locale":"en-US","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"}`
	segment := `{"timestamp":"2026-11-21T22:13:20.000Z","integrations":{},"event":"Play Checkpoint","type":"track","properties":` + properties + `,` + context +
		`,"userId":"u1","anonymousId":"an1","messageId":"node-next-1795290026668-6b663302-12af-4622-8ee5-26648e52%04d","_metadata":{"nodeVersion":"v20.20.2","jsRuntime":"node"}}`
	self := `{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.acme/play/jsonschema/1-0-0","data":{"track_id":"t0","title":"Éí 🎵","position_ms":61250}}}`
	contexts := `{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[{"schema":"iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0","data":{"id":"14f20cf0-f8f5-49f5-815b-6c41697a1f2e"}},` +
		`{"schema":"iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2","data":{"userId":"8d965648-9175-4d03-bbde-e2807141d7f2","sessionId":"ac83e634-8c5c-4989-8683-ceae585e2e37","eventIndex":2,"sessionIndex":1,` +
		`"previousSessionId":null,"storageMechanism":"COOKIE_1","firstEventId":"df2a9d81-59a2-440b-9e27-fec1b06c0d31","firstEventTimestamp":"2026-11-21T19:50:49.795Z"}}]}`
	common := `"eid":"a676fbd5-59ec-450e-904b-efaf2078%04d","tv":"js-4.10.1","tna":"sp","aid":"demo","p":"web","cookie":"1","cs":"UTF-8","lang":"en-US","res":"800x600","cd":"24","tz":"UTC","dtm":"1795290649855",` +
		`"vp":"800x600","ds":"800x600","vid":"1","sid":"ac83e634-8c5c-4989-8683-ceae585e2e37","duid":"8d965648-9175-4d03-bbde-e2807141d7f2","uid":"u1","url":"https://play.example.com/a","stm":"1795290649924"`
	base := base64.RawURLEncoding.EncodeToString
	snowplow := `{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[%s]}`
	posthog := `{"event":"Play Checkpoint","properties":{"$lib":"posthog-node","$lib_version":"5.70.0","$is_server":true,` + properties[1:] + `,"timestamp":"2026-11-21T19:40:27.267Z","uuid":"01a1ff9f-d504-7a60-be27-54581e97%04d","distinct_id":"u1"}`
	ce := `{"id":"604152c4-666e-4305-a50a-2eca81c6%04d","time":"2026-11-21T19:44:59.989Z","type":"com.example.play","source":"/player/1","specversion":"1.0","datacontenttype":"application/json","data":` + properties + `}`
	return map[string]shape{
		"segment/15": {target: "/v1/batch", body: `{"batch":[` + times(15, segment) + `],"writeKey":"demo","sentAt":"2026-11-21T22:13:21.000Z"}`, header: key, events: 15},
		"segment/1":  {target: "/v1/t", body: times(1, segment), header: key, events: 1},
		"jitsu/1":    {target: "/api/s/track", body: times(1, segment), header: key, events: 1},
		"snowplow/5": {target: "/com.snowplowanalytics.snowplow/tp2", body: fmt.Sprintf(snowplow, times(1, `{"e":"pv","page":"Marshland",`+common+`,"co":`+strconv.Quote(contexts)+`}`)+`,`+
			times(4, `{"e":"ue",`+common+`,"ue_pr":`+strconv.Quote(self)+`,"co":`+strconv.Quote(contexts)+`}`)), events: 5},
		"snowplow-base64/30":   {target: "/com.snowplowanalytics.snowplow/tp2", body: fmt.Sprintf(snowplow, times(30, `{"e":"ue",`+common+`,"ue_px":"`+base([]byte(self))+`"}`)), events: 30},
		"snowplow-get/1":       {method: http.MethodGet, target: "/i?e=pv&eid=a676fbd5-59ec-450e-904b-efaf20780001&aid=demo&p=web&tv=js&dtm=1795290649855&url=https%3A%2F%2Fplay.example.com%2Fa&page=Marshland&cx=" + base([]byte(contexts)), events: 1},
		"posthog/100":          {target: "/batch/", body: `{"api_key":"demo","batch":[` + times(100, posthog) + `],"sent_at":"2026-11-21T19:40:28.267Z"}`, events: 100},
		"posthog/1":            {target: "/e/", body: `{"api_key":"demo","batch":[` + times(1, posthog) + `],"sent_at":"2026-11-21T19:40:28.267Z"}`, events: 1},
		"cloudevents/1":        {target: "/ce", body: times(1, ce), header: key, events: 1},
		"cloudevents-binary/1": {target: "/ce", body: properties, header: map[string]string{"X-Write-Key": "demo", "Ce-Id": "binary-0", "Ce-Source": "/player/1", "Ce-Specversion": "1.0", "Ce-Time": "2026-11-21T19:51:29Z", "Ce-Type": "com.example.play", "Content-Type": "application/json"}, events: 1},
		"cloudevents-batch/50": {target: "/ce", body: `[` + times(50, ce) + `]`, header: map[string]string{"X-Write-Key": "demo", "Content-Type": "application/cloudevents-batch+json"}, events: 50},
		"plausible/1":          {target: "/api/event", body: `{"n":"pageview","u":"https://play.example.com/a?b=c","d":"demo","r":"https://example.org/","w":800,"h":0,"p":{"plan":"free"}}`, events: 1},
		"pixel/1":              {method: http.MethodGet, target: "/v1/pixel.gif?key=demo&name=Mail+Opened&id=m-1&user_id=u1&campaign=winter", events: 1},
		"native/50":            {target: "/v1/events", body: body1K(50), header: key, events: 50},
	}
}

// times writes an event n times, each with its own number.
func times(n int, text string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Replace(text, "%04d", fmt.Sprintf("%04d", i), 1)
	}
	return strings.Join(list, ",")
}

func filler(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"property_%d":"value %d, some text"`, i, i))
	}
	return strings.Join(list, ",")
}
