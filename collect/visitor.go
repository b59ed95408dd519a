package collect

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/event"
)

// visitors tells clients that send no id apart, for one UTC day: by a hash of
// address and user agent under a key that is nowhere but in this process and is
// gone when the day or the process ends. So nobody can find out later who it was.
type visitors struct {
	mu   sync.Mutex // guards what is below
	day  int64      // since 1970
	salt [32]byte
}

// name returns 16 hex digits for a client of a source.
func (v *visitors) name(now time.Time, parts ...string) string {
	salt := v.saltOf(now)
	h := hmac.New(sha256.New, salt[:])
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (v *visitors) saltOf(now time.Time) [32]byte {
	const day = 24 * 60 * 60
	v.mu.Lock()
	defer v.mu.Unlock()
	if today := now.Unix()/day + 1; today != v.day { // never 0, which is no day
		v.day = today
		_, _ = rand.Read(v.salt[:]) // never fails
	}
	return v.salt
}

// observeVisitor is for protocols whose clients have no id of their own. A
// source that keeps no addresses tells visitors apart by their user agents.
func observeVisitor(d *Door, x *exchange, _ *http.Request) protocol.Observed {
	address := ""
	if x.source.ClientIP != event.IPDrop {
		address = x.address.String()
	}
	return protocol.Observed{Visitor: d.visitors.name(x.start, x.source.Name, address, x.batch.UserAgent)}
}
