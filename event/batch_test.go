package event

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func anyBatch() *rapid.Generator[Batch] {
	return rapid.Custom(func(t *rapid.T) Batch {
		text := rapid.StringN(0, 20, -1)
		raw := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), nilIfEmpty)
		b := Batch{
			Source:     text.Draw(t, "source"),
			Protocol:   text.Draw(t, "protocol"),
			ReceivedAt: time.UnixMicro(rapid.Int64Range(-1e15, 1e16).Draw(t, "received")).UTC(),
			ClientIP:   text.Draw(t, "ip"),
			UserAgent:  text.Draw(t, "agent"),
			Historical: rapid.Bool().Draw(t, "historical"),
			Shared:     raw.Draw(t, "shared"),
		}
		for range rapid.IntRange(0, 5).Draw(t, "items") {
			item := Item{Raw: raw.Draw(t, "raw")}
			if item.Refusal.Code = text.Draw(t, "code"); item.Refusal.Code != "" {
				item.Refusal.Reason = text.Draw(t, "reason")
			} else {
				item.Outline = raw.Draw(t, "outline")
			}
			b.Items = append(b.Items, item)
		}
		return b
	})
}

func nilIfEmpty(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	return p
}

func TestBatchSurvivesEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyBatch().Draw(t, "batch")
		encoded := EncodeBatch([]byte("before"), &want)
		got, err := DecodeBatch(encoded[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-encoded +decoded)\n%s", diff)
		}
	})
}

// The byte table of docs/format/batch.md.
func TestBatchBytes(t *testing.T) {
	b := Batch{
		Source: "web", Protocol: "native", ReceivedAt: time.UnixMicro(0x0102030405060708), ClientIP: "::", UserAgent: "", Historical: true,
		Shared: []byte(`{}`),
		Items:  []Item{{Raw: []byte(`{1}`), Outline: []byte("o")}, {Refusal: Refusal{Code: "c", Reason: "why"}, Raw: []byte("x")}},
	}
	const want = "02" + "01" + "0807060504030201" + "03776562" + "066e6174697665" + "023a3a" + "00" + "027b7d" +
		"02" + "00" + "016f" + "037b317d" + "0163" + "03776879" + "0178"
	if got := hex.EncodeToString(EncodeBatch(nil, &b)); got != want {
		t.Errorf("encoded as\n%s, want\n%s", got, want)
	}
}

func TestDecodeBatchRefuses(t *testing.T) {
	b := Batch{Source: "web", Protocol: "native", Shared: []byte("{}"), Items: []Item{{Raw: []byte("{}")}, {Refusal: Refusal{Code: "c"}}}}
	good := EncodeBatch(nil, &b)
	for n := range good {
		if _, err := DecodeBatch(good[:n]); !errors.Is(err, ErrBatch) {
			t.Errorf("the first %d of %d bytes: %v", n, len(good), err)
		}
	}
	if _, err := DecodeBatch(append(bytes.Clone(good), 0)); !errors.Is(err, ErrBatch) {
		t.Errorf("a byte too many: %v", err)
	}
	for at, value := range map[int]byte{0: 1, 1: 2} {
		wrong := bytes.Clone(good)
		wrong[at] = value
		if _, err := DecodeBatch(wrong); !errors.Is(err, ErrBatch) {
			t.Errorf("byte %d is %d: %v", at, value, err)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(EncodeBatch(nil, &Batch{Source: "web", Items: []Item{{Raw: []byte("{}")}}}))
	f.Add(EncodeBatch(nil, &Batch{Shared: []byte("{}"), Items: []Item{{Refusal: Refusal{Code: "c", Reason: "r"}, Raw: []byte("x")}, {}}}))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := DecodeBatch(p)
		if err != nil {
			return
		}
		again, err := DecodeBatch(EncodeBatch(nil, &b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, again); diff != "" {
			t.Fatalf("(-decoded +decoded again)\n%s", diff)
		}
	})
}
