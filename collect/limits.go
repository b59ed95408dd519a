package collect

import (
	"cmp"
	"time"

	"github.com/reedbed/reedbed/collect/protocol"
)

// Limits bounds what one request, and all requests together, may take. A zero
// field means its default.
type Limits struct {
	// Compressed is the most bytes of a compressed body as received (5 MiB).
	Compressed int64
	// Expanded is the most bytes of a body once expanded, and of a body that
	// was never compressed (20 MiB).
	Expanded int64
	// Ratio is the most bytes one compressed byte may become (200). It is
	// judged only past the first MiB, so that small repetitive bodies pass.
	Ratio int64
	// InFlight is the most requests being read or waiting for the journal at
	// once (1024).
	InFlight int
	// InFlightBytes is the most body bytes, received and expanded, that those
	// requests hold together (64 MiB). Encoding their records takes about as
	// much again.
	InFlightBytes int64
	// SignatureWindow is how far the time of a signature may be from ours, to
	// either side (5 minutes).
	SignatureWindow time.Duration
	// Events bounds single events and their number. Loading must use the same
	// limits, or it would refuse what the door accepted.
	Events protocol.Limits
}

const mib = 1 << 20

func (l Limits) withDefaults() Limits {
	return Limits{
		Compressed:      cmp.Or(l.Compressed, 5*mib),
		Expanded:        cmp.Or(l.Expanded, 20*mib),
		Ratio:           cmp.Or(l.Ratio, 200),
		InFlight:        cmp.Or(l.InFlight, 1024),
		InFlightBytes:   cmp.Or(l.InFlightBytes, 64*mib),
		Events:          l.Events,
		SignatureWindow: cmp.Or(l.SignatureWindow, 5*time.Minute),
	}
}
