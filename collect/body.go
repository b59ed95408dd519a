package collect

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/reedbed/reedbed/event"
)

// coding is the compression a body has, judged by its first bytes alone:
// clients send gzip without saying so, and say gzip without sending it.
type coding uint8

const (
	plain coding = iota
	gzipped
	zstandard
)

// sniffBytes is how many bytes coding needs; no JSON starts like either magic.
const sniffBytes = 4

func sniff(b []byte) coding {
	switch {
	case len(b) >= 3 && b[0] == 0x1f && b[1] == 0x8b && b[2] == 8:
		return gzipped
	case len(b) >= sniffBytes && b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd:
		return zstandard
	}
	return plain
}

// readStep bounds one read, and with it how much can arrive beyond what has
// been reserved.
const readStep = 64 << 10

// stopError is why a body was not taken in whole.
type stopError struct {
	shed    shed // when the gate would not give the memory
	problem *problem
}

func (e *stopError) Error() string {
	if e.problem != nil {
		return e.problem.Message
	}
	return "shed: " + shedNames[e.shed]
}

// receive reads the body as it was sent. buf is reused when it is large
// enough.
func (x *exchange) receive(r *http.Request, l *Limits) error {
	buf, limit := x.wire[:0], l.Expanded
	if n := r.ContentLength; n > int64(cap(buf)) && n <= firstReserve {
		buf = make([]byte, 0, n+1) // the one more is for the read that finds the end
	}
	for {
		chunk, err := x.room(&buf, 0)
		if err != nil {
			return err
		}
		n, err := r.Body.Read(chunk)
		buf = buf[:len(buf)+n]
		if n > 0 && sniff(buf) != plain {
			limit = l.Compressed
		}
		if int64(len(buf)) > limit {
			return &stopError{problem: tooLarge(limit, limit == l.Compressed)}
		}
		if err != nil {
			x.wire = buf
			return readProblem(err)
		}
	}
}

// room returns space for the next read at the end of *buf, once what is in it
// already is reserved on top of the base bytes in other buffers.
func (x *exchange) room(buf *[]byte, base int) ([]byte, error) {
	b := *buf
	if len(b) == cap(b) {
		b = slices.Grow(b, max(len(b), readStep))
		*buf = b
	}
	chunk := b[len(b):min(cap(b), len(b)+readStep)]
	if why := x.ticket.need(int64(base + len(b))); why != admitted {
		return nil, &stopError{shed: why}
	}
	return chunk, nil
}

func readProblem(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &stopError{problem: &slowBody}
	}
	return &stopError{problem: &brokenBody}
}

// expander undoes one layer of compression. Its decoders are kept between
// requests; both work on the calling goroutine alone.
type expander struct {
	input   bytes.Reader
	gzip    *gzip.Reader
	zstd    *zstd.Decoder
	expands []byte // the expanded body, reused
}

// maxWindow bounds the memory a zstd header can ask for.
const maxWindow = 8 * mib

// expand returns the body without its compression. A Refusal says the body
// does not decode; a stopError that it is too large or that memory is short.
func (x *exchange) expand(l *Limits) ([]byte, error) {
	kind := sniff(x.wire)
	if kind == plain {
		return x.wire, nil
	}
	defer x.input.Reset(nil)
	x.input.Reset(x.wire)
	from, err := x.decoder(kind)
	if err != nil {
		return nil, expandProblem(kind, err, l)
	}
	buf := x.expands[:0]
	for {
		chunk, err := x.room(&buf, len(x.wire))
		if err != nil {
			return nil, err
		}
		n, err := from.Read(chunk)
		buf = buf[:len(buf)+n]
		if p := x.bomb(int64(len(buf)), l); p != nil {
			return nil, &stopError{problem: p}
		}
		if errors.Is(err, io.EOF) {
			x.expands = buf
			return buf, oneLayer(buf)
		}
		if err != nil {
			return nil, expandProblem(kind, err, l)
		}
	}
}

func (x *exchange) decoder(kind coding) (io.Reader, error) {
	if kind == gzipped {
		if x.gzip == nil {
			x.gzip = new(gzip.Reader)
		}
		return x.gzip, x.gzip.Reset(&x.input)
	}
	if x.zstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		x.zstd = d
	}
	return x.zstd, x.zstd.Reset(&x.input)
}

// bomb judges what has been expanded so far against what it was expanded
// from, so that a bomb is known after a MiB and not after it filled the limit.
func (x *exchange) bomb(expanded int64, l *Limits) *problem {
	if expanded > l.Expanded {
		return tooLarge(l.Expanded, false)
	}
	consumed := int64(len(x.wire) - x.input.Len())
	if expanded > mib && expanded > consumed*l.Ratio {
		return tooDense(l.Ratio)
	}
	return nil
}

func expandProblem(kind coding, err error, l *Limits) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return &stopError{problem: tooLarge(l.Expanded, false)}
	}
	name := "gzip"
	if kind == zstandard {
		name = "zstd"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return event.Refusal{Code: "truncated_body", Reason: "the " + name + " body ends early"}
	}
	return event.Refusal{Code: "bad_compression", Reason: "the body starts like " + name + " but does not expand: " + err.Error()}
}

func oneLayer(body []byte) error {
	if sniff(body) != plain {
		return event.Refusal{Code: "nested_compression", Reason: "the body was compressed more than once; send it compressed once"}
	}
	return nil
}
