package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/dataset"
)

// sampleRows makes rows of about 1 KB as a music site would send them.
func sampleRows(n int) []*row {
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{"Track Played", "Track Paused", "Page Viewed", "Search", "Like"}
	agents := make([]string, 50)
	for i := range agents {
		agents[i] = fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 80+i)
	}
	start := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC).UnixMicro()
	rows := make([]*row, n)
	for i := range rows {
		user := rng.IntN(20000)
		at := start + rng.Int64N(3600e6)
		rows[i] = &row{
			source: "web", id: fmt.Sprintf("0192%04x-%04x-7%03x-8%03x-%012x", i>>16, i&0xffff, rng.IntN(4096), rng.IntN(4096), rng.Uint64()>>16),
			kind: "track", name: names[rng.IntN(len(names))], occurred: at, received: at + rng.Int64N(5e6),
			claimed: at, sent: at + 1e6, user: fmt.Sprintf("user-%d", user), anonymous: fmt.Sprintf("%016x-%016x", user*7919, user*104729),
			session: fmt.Sprintf("s-%d-%d", user, rng.IntN(3)), seq: int64(rng.IntN(500)),
			properties: fmt.Appendf(nil, `{"track_id":"trk_%07d","artist_id":"art_%05d","position_ms":%d,"duration_ms":%d,"playlist":"pl_%x","quality":"high","shuffle":%v,"title":"Song number %d of the long evening","album":"Album %d","genre":"%s","volume":0.%d,"device":"dev-%x","experiment":{"name":"layout","arm":"%c"}}`,
				rng.IntN(300000), rng.IntN(20000), rng.IntN(300000), 200000+rng.IntN(100000), rng.Uint32(), rng.IntN(2) == 0, rng.IntN(300000), rng.IntN(50000), []string{"rock", "jazz", "techno"}[rng.IntN(3)], rng.IntN(100), rng.Uint64(), 'a'+rng.IntN(3)),
			context: fmt.Appendf(nil, `{"page":{"url":"https://music.example/artists/%d?ref=%d","path":"/artists/%d","referrer":"https://search.example/","title":"Artist %d"},"locale":"de-DE","screen":{"width":1920,"height":1080,"density":2},"library":{"name":"reedbed.js","version":"1.0.0"},"timezone":"Europe/Berlin","campaign":{"source":"news","medium":"mail"}}`,
				rng.IntN(20000), rng.IntN(1000), rng.IntN(20000), rng.IntN(20000)),
			protocol: "native", ip: fmt.Sprintf("10.%d.%d.%d", rng.IntN(4), rng.IntN(256), rng.IntN(256)), agent: agents[rng.IntN(len(agents))],
			payload: rng.Uint64(),
		}
	}
	return rows
}

// What is written can be read back by the Parquet library's own reader.
func TestTableRoundTrip(t *testing.T) {
	rows := sampleRows(45_000)
	rows[3].seq, rows[4].properties, rows[5].extra = absent, nil, []byte(`{"a":1}`)
	tab := rawTable()
	for range 2 { // the writer is used again
		var out bytes.Buffer
		if err := tab.write(&out, rows); err != nil {
			t.Fatal(err)
		}
		f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if f.NumRows() != 45_000 || len(f.RowGroups()) != 3 {
			t.Fatalf("got %d rows in %d groups, want 45000 in 3", f.NumRows(), len(f.RowGroups()))
		}
		checkCells(t, tab, f, rows)
	}
}

func checkCells(t *testing.T, tab *table[row], f *parquet.File, rows []*row) {
	t.Helper()
	reader := parquet.NewReader(f)
	buf := make([]parquet.Row, 100)
	at := 0
	for {
		n, err := reader.ReadRows(buf)
		for _, got := range buf[:n] {
			for i, c := range tab.columns {
				want := c.cell(rows[at])
				if got[i].IsNull() != want.null {
					t.Fatalf("row %d %s: null is %v", at, c.name, got[i].IsNull())
				}
				if !want.null && (c.form.textual() && string(got[i].ByteArray()) != want.s || !c.form.textual() && numberOf(got[i]) != want.n) {
					t.Fatalf("row %d %s: got %v", at, c.name, got[i])
				}
			}
			at++
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if at != len(rows) {
		t.Fatalf("read %d rows, want %d", at, len(rows))
	}
}

func numberOf(v parquet.Value) int64 {
	if v.Kind() == parquet.Boolean {
		return truth(v.Boolean()).n
	}
	return v.Int64()
}

// Moving a byte from one column to the next, or swapping NULL with empty,
// changes the hash.
func TestHashIsUnambiguous(t *testing.T) {
	tab := rawTable()
	base := row{source: "a", id: "b", kind: "track"}
	seen := map[dataset.ContentHash]int{}
	variants := []row{base, base, base, base, base, base}
	variants[1].source, variants[1].id = "ab", ""
	variants[2].seq = absent
	variants[3].properties = []byte{}
	variants[4].context = []byte{}
	variants[5].derived = true
	for i := range variants {
		h := tab.hash(&variants[i])
		if j, ok := seen[h]; ok {
			t.Errorf("variants %d and %d share a hash", i, j)
		}
		seen[h] = i
	}
}

func BenchmarkTableWrite(b *testing.B) {
	rows := sampleRows(40_000)
	tab := rawTable()
	var out bytes.Buffer
	b.ReportAllocs()
	begun := cpu()
	for b.Loop() {
		out.Reset()
		if err := tab.write(&out, rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-begun).Seconds()/float64(b.N)/float64(len(rows))*1e6, "cpu-s/Mrow")
	b.ReportMetric(float64(out.Len())/float64(len(rows)), "B/row")
}

func BenchmarkTableHash(b *testing.B) {
	rows := sampleRows(20_000)
	tab := rawTable()
	var sum dataset.ContentHash
	for b.Loop() {
		for _, r := range rows {
			sum = sum.Add(tab.hash(r))
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(len(rows))*1e6, "s/Mrow")
}
