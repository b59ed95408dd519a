package anomaly

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
)

// maxHour bounds the text of an hour that is decoded.
const maxHour = 16 << 20

// Encode writes an hour as it is kept: JSON, deflated.
func (h Hour) Encode() ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(h); err != nil {
		return nil, fmt.Errorf("write an hour's observations: %w", err)
	}
	err = w.Close()
	return out.Bytes(), err
}

// DecodeHour reads what Encode wrote.
func DecodeHour(data []byte) (h Hour, err error) {
	r := flate.NewReader(bytes.NewReader(data))
	if err := json.NewDecoder(io.LimitReader(r, maxHour)).Decode(&h); err != nil {
		return Hour{}, fmt.Errorf("read an hour's observations: %w", err)
	}
	return h, r.Close()
}
