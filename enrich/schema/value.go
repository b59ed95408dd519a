package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of one value. Events that came by the front door keep them but for the
// exponents, which it lets reach further than anything can be compared with.
const (
	maxText     = 1 << 20 // bytes
	maxDepth    = 64
	maxValues   = 20_000
	maxDigits   = 256
	maxExponent = 400
)

// unreadable says why a text is no value that can be checked.
type unreadable struct {
	what   string
	offset int
}

// reader makes trees of JSON texts, numbers as they are written. It is reused.
type reader struct {
	dec    jsontext.Decoder
	in     bytes.Reader
	values int
}

// decode reads one JSON text.
func decode(text []byte) (any, *unreadable) { return new(reader).read(text) }

func (r *reader) read(text []byte) (any, *unreadable) {
	if len(text) > maxText {
		return nil, &unreadable{what: fmt.Sprintf("has %d bytes, more than %d", len(text), maxText)}
	}
	r.in.Reset(text)
	r.dec.Reset(&r.in)
	r.values = 0
	v, err := r.value(0)
	if err == nil {
		if _, err = r.dec.ReadToken(); errors.Is(err, io.EOF) {
			return v, nil
		}
		if err == nil {
			err = errors.New("goes on after its end")
		}
	}
	return nil, r.unreadable(err)
}

func (r *reader) unreadable(err error) *unreadable {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &unreadable{what: "is not JSON: it ends too early", offset: int(r.dec.InputOffset())}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &unreadable{what: "is not JSON: " + e.Err.Error(), offset: int(e.ByteOffset)}
	}
	return &unreadable{what: err.Error(), offset: int(r.dec.InputOffset())}
}

func (r *reader) value(depth int) (any, error) {
	if r.values++; r.values > maxValues {
		return nil, fmt.Errorf("has more than %d values", maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("is nested more than %d deep", maxDepth)
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String())
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil //nolint:nilnil // null is a value
}

func (r *reader) object(depth int) (any, error) {
	out := map[string]any{}
	for r.dec.PeekKind() != '}' {
		name, err := r.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if out[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return out, err
}

func (r *reader) array(depth int) (any, error) {
	out := []any{}
	for r.dec.PeekKind() != ']' {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := r.dec.ReadToken()
	return out, err
}

// number refuses what would be written out with thousands of digits to be
// compared.
func number(text string) (any, error) {
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	if len(mantissa) > maxDigits {
		return nil, fmt.Errorf("has a number of more than %d digits", maxDigits)
	}
	if exponent == "" {
		return json.Number(text), nil
	}
	if e, err := strconv.Atoi(exponent); err != nil || e > maxExponent || e < -maxExponent {
		return nil, fmt.Errorf("has a number with an exponent beyond %d", maxExponent)
	}
	return json.Number(text), nil
}
