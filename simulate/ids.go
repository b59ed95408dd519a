package simulate

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// uuid4 returns a random UUID.
func uuid4(rng *rand.Rand) string {
	var u [16]byte
	fill(rng, u[:])
	return formatUUID(u, 4)
}

// uuid7 returns a UUID that begins with the time, in milliseconds.
func uuid7(rng *rand.Rand, t time.Time) string {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], uint64(t.UnixMilli())<<16|uint64(rng.Uint32()&0xffff))
	fill(rng, u[8:])
	return formatUUID(u, 7)
}

func formatUUID(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func fill(rng *rand.Rand, p []byte) {
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
}
