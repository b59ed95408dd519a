package fingerprint

// Metrics is the vector of numbers that judges compare, in a fixed order.
func (f *Fingerprint) Metrics() []Metric {
	return []Metric{{Name: "rows", Value: float64(f.Rows), Count: true}}
}
