package fingerprint

// Merge is the fingerprint of the union of disjoint sets of rows. Of no parts it is empty.
func Merge(parts ...*Fingerprint) *Fingerprint {
	out := &Fingerprint{}
	for _, p := range parts {
		out.Rows += p.Rows
		out.Bytes += p.Bytes
		out.Rejected += p.Rejected
	}
	return out
}
