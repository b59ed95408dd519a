package event

import (
	"fmt"
	"time"

	"github.com/zeebo/xxh3"
)

// Route is where the duplicates of an event are looked for. It is a pure
// function of what never changes when a client sends an event again, so every
// copy has the same one, whatever the clocks of clients and servers do.
//
// Routes from 0 on are UTC days since 1970-01-01; those below are hash buckets.
type Route int32

// Days outside this range are no routes, so that forged clocks cannot make
// millions of them. The range is constant: a moving one would route late
// copies elsewhere.
const (
	firstRouteDay = 10957 // 2000-01-01
	endRouteDay   = 47482 // 2100-01-01
	routeBuckets  = 64
)

// RouteOf returns the route of an event by its id and the time its client
// claimed: the day in the id if it is a UUIDv7, else the day claimed, else a
// bucket by the hash of the id. Days out of range are passed over.
func RouteOf(id string, claimed time.Time) Route {
	if ms, ok := uuidv7Time(id); ok {
		if day := ms / (24 * 60 * 60 * 1000); routable(day) {
			return Route(day)
		}
	}
	if !claimed.IsZero() {
		if day := floorDay(claimed.Unix()); routable(day) {
			return Route(day)
		}
	}
	return Route(-1 - int32(xxh3.HashString(id)%routeBuckets))
}

func routable(day int64) bool { return firstRouteDay <= day && day < endRouteDay }

func floorDay(seconds int64) int64 {
	const day = 24 * 60 * 60
	d := seconds / day
	if seconds%day < 0 {
		d--
	}
	return d
}

// String returns the day as 2026-11-22, or the bucket as bucket-07.
func (r Route) String() string {
	if r < 0 {
		return fmt.Sprintf("bucket-%02d", -1-r)
	}
	return time.Unix(int64(r)*24*60*60, 0).UTC().Format(time.DateOnly)
}

// uuidv7Time returns the Unix milliseconds in a UUIDv7 in its canonical form,
// in any case.
func uuidv7Time(id string) (ms int64, ok bool) {
	if len(id) != 36 || id[14] != '7' {
		return 0, false
	}
	switch id[19] {
	case '8', '9', 'a', 'b', 'A', 'B':
	default:
		return 0, false
	}
	if id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return 0, false
	}
	high, ok1 := hexNumber(id[:8])
	low, ok2 := hexNumber(id[9:13])
	_, ok3 := hexNumber(id[14:18])
	_, ok4 := hexNumber(id[19:23])
	_, ok5 := hexNumber(id[24:])
	return high<<16 | low, ok1 && ok2 && ok3 && ok4 && ok5
}

// hexNumber reads hex digits in any case.
func hexNumber(s string) (n int64, ok bool) {
	for i := range len(s) {
		c := s[i]
		digit := c - '0'
		if digit > 9 {
			if digit = c | 0x20 - 'a'; digit > 5 { // 0x20 makes letters small
				return 0, false
			}
			digit += 10
		}
		n = n<<4 | int64(digit)
	}
	return n, true
}
