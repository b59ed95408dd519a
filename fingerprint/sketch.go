package fingerprint

// Sketch counts distinct values in little room and merges. Its bytes are opaque.
type Sketch []byte
