package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// events makes play events of about 1 KB as a web player would send them: many
// listeners and tracks, few browsers, no two events alike. One goroutine uses
// it at a time; equal seeds give equal events.
type events struct {
	rng    *rand.Rand
	tracks *rand.Zipf
	seq    int64
}

func newEvents(seed uint64) *events {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &events{rng: rng, tracks: rand.NewZipf(rng, 1.2, 8, 4999)}
}

var (
	countries = []string{"BR", "DE", "FR", "GB", "IN", "JP", "NG", "SE", "US", "ZA"}
	browsers  = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
		"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
	}
)

// append adds one event that happened at the given time.
func (e *events) append(b []byte, at time.Time) []byte {
	user, track := e.rng.IntN(100_000), e.tracks.Uint64()
	e.seq++
	b = fmt.Appendf(b, `{"id":"%s","type":"track","name":"Track Played","time":"%s","sent_at":"%s",`, e.id(at),
		at.UTC().Format("2006-01-02T15:04:05.000Z"), at.Add(time.Second).UTC().Format("2006-01-02T15:04:05.000Z"))
	b = fmt.Appendf(b, `"user_id":"usr_%06d","anonymous_id":"%016x","session_id":"s-%08x","stream_id":"dev-%06d","seq":%d,`,
		user, uint64(user)*0x9e3779b97f4a7c15, uint32(user)*2654435761, user, e.seq)
	b = fmt.Appendf(b, `"properties":{"track_id":"trk_%06d","artist_id":"art_%04d","title":"A Song About Number %d","position_ms":%d,"duration_ms":%d,`+
		`"started_by":"playlist","playlist_id":"pl_%05d","quality":"high","offline":false,"shuffle":%t,"volume":0.%02d,"referrer":"https://player.example/artist/art_%04d"},`,
		track, track/7, track, e.rng.IntN(300_000), 180_000+track*10, e.rng.IntN(20_000), e.rng.IntN(2) == 0, e.rng.IntN(90)+10, track/7)
	return fmt.Appendf(b, `"context":{"ip_country":"%s","locale":"en-%s","timezone":"Etc/GMT+%d","app":{"name":"web-player","version":"4.%d.1"},`+
		`"page":{"url":"https://player.example/track/trk_%06d","title":"A Song About Number %d","host":"player.example"},`+
		`"screen":{"width":%d,"height":1080,"density":2},"user_agent":"%s"}}`,
		countries[user%len(countries)], countries[user%len(countries)], user%12, e.rng.IntN(20), track, track, 1280+user%640, browsers[user%len(browsers)])
}

// id is a UUIDv7.
func (e *events) id(at time.Time) string {
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", ms>>16, ms&0xffff, e.rng.IntN(4096), e.rng.IntN(4096), e.rng.Uint64()>>16)
}

// body is a request of n events: the event itself when it is one, else a batch.
func (e *events) body(n int, at time.Time) []byte {
	if n == 1 {
		return e.append(nil, at)
	}
	b := []byte(`{"batch":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.append(b, at)
	}
	return append(b, "]}"...)
}

// idTails are where the last twelve digits of each id stand in a body, so that
// a prebuilt request can be sent again with other ids.
func idTails(body []byte) []int {
	var at []int
	text := string(body)
	for from := 0; ; {
		i := strings.Index(text[from:], `{"id":"`)
		if i < 0 {
			return at
		}
		from += i + len(`{"id":"`)
		at = append(at, from+36-12)
	}
}

// renumber writes n, n+1, ... over the tails of the ids.
func renumber(body []byte, tails []int, n uint64) {
	const digits = "0123456789abcdef"
	for _, at := range tails {
		v := n
		for i := 11; i >= 0; i-- {
			body[at+i] = digits[v&15]
			v >>= 4
		}
		n++
	}
}
