package journal

import (
	"bytes"
	"testing"

	"github.com/reedbed/reedbed/internal/faultdisk"
)

// FuzzSegment reads any bytes as a segment: it never fails otherwise than by a
// typed error, never yields more than there is, and recovery ends in a state
// that the next recovery leaves alone.
func FuzzSegment(f *testing.F) {
	h := newHeader(1, Position{})
	var batch []byte
	for _, p := range []string{"", "a", "hello, world"} {
		batch = appendRecord(batch, Record{Events: 2, Payload: []byte(p)})
	}
	next := h.seal().stamp(batch, Position{})
	good := append(append(h.copies(), batch...), h.seal().mark(next)...)
	opt := Options{SegmentBytes: 16 << 10, MaxRecord: 4 << 10, Reserve: -1}
	f.Add(good, uint16(0), byte(0))
	f.Add(good, uint16(dataStart+3), byte(1))
	f.Add(good[:len(good)-50], uint16(0), byte(0))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, segment []byte, at uint16, flip byte) {
		b := make([]byte, 16<<10)
		copy(b, good)
		copy(b[min(int(at), len(b)):], segment)
		b[int(at)%len(b)] ^= flip
		fsys := faultdisk.New()
		fsys.Replace("00000000.seg", b)
		total := 0
		for found, err := range Inspect(fsys) {
			if err != nil {
				break
			}
			total += len(found.Payload)
		}
		if total > len(b) {
			t.Fatalf("%d bytes of payload in a segment of %d", total, len(b))
		}
		k, err := recovered(fsys, opt)
		if err != nil {
			return
		}
		end := k.durable
		k.unlock()
		if k, err = recovered(fsys, opt); err != nil {
			t.Fatalf("the second time: %v", err)
		}
		k.unlock()
		if k.durable != end || k.recovery.TornBytes > 0 || k.recovery.Rewritten > 0 {
			t.Fatalf("the second time: %+v, %v instead of %v", k.recovery, k.durable, end)
		}
	})
}

// FuzzScanner looks for records in any bytes.
func FuzzScanner(f *testing.F) {
	s := newHeader(1, Position{}).seal()
	batch := appendRecord(nil, Record{Payload: []byte("x")})
	s.stamp(batch, Position{})
	f.Add(batch, 0)
	f.Add(append(make([]byte, 8), batch...), 12)
	f.Fuzz(func(t *testing.T, b []byte, tagAt int) {
		if tagAt >= 0 && tagAt+4 <= len(b) {
			le.PutUint32(b[tagAt:], s.record)
		}
		sc := &scanner{r: bytes.NewReader(b), seal: s, end: int64(len(b))}
		at := Position{}
		err := sc.walk(0, at, unknown, func(it item, g *gap) error {
			if g == nil && (it.end <= it.off || it.At.Record < at.Record) {
				t.Fatalf("no progress at %d", it.off)
			}
			if g == nil {
				at = it.Next
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
