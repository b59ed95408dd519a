package event

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// Bounds of what an envelope accepts, in bytes of UTF-8.
const (
	MaxID   = 256
	MaxName = 512
)

// Seeds of the two halves of a content hash, which is 128 bits; the first alone
// is the payload hash. Stored data depends on them and on strictjson's hash.
const (
	PayloadSeed = 0
	ContentSeed = 0x2545f4914f6cdd1d
)

// IDHash returns the 128-bit hash of an event's identity: its source and id.
func IDHash(source, id string) [16]byte {
	var room [MaxID + 128]byte
	p := binary.AppendUvarint(room[:0], uint64(len(source)))
	p = append(p, source...)
	p = append(p, id...)
	return xxh3.Hash128(p).Bytes()
}

// PayloadHash returns the hash of what the JSON object raw means, without the
// top-level members named in except. It fails if raw is not valid.
//
// A protocol decoder computes the same while it decodes; use that where speed
// matters.
func PayloadHash(raw []byte, except []string) (uint64, error) {
	s := strictjson.NewScanner(strictjson.Limits{})
	s.Hashing, s.Seed = true, PayloadSeed
	members, _, err := s.Object(raw, 0, nil)
	if err != nil {
		return 0, err
	}
	return s.Fold(members, except), nil
}

// DerivedID returns the id of an event whose client gave it none. content is
// its content hash; nth counts, from 0, the events with that content before it
// in the same request.
//
// With a claimed time the content alone is the identity. Without one, equal
// content is common (two clicks are two events), so the minute of arrival and
// nth are added: see docs/event.md for what is counted once.
func DerivedID(content [16]byte, claimed, received time.Time, nth int) string {
	sum := content
	if claimed.IsZero() {
		p := append(make([]byte, 0, 48), content[:]...)
		p = binary.BigEndian.AppendUint64(p, uint64(received.Unix()/60))
		p = binary.BigEndian.AppendUint64(p, uint64(nth))
		sum = xxh3.Hash128(p).Bytes()
	}
	return "d_" + hex.EncodeToString(sum[:])
}
