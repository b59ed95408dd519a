package contract

// What becomes of a version whose statistics are not what those of others let one
// expect. A contract only says so; it does not know of other versions.
const (
	Hold = "hold" // nobody is sent to it, as if it broke the contract
	Warn = "warn" // everybody is, and people are told
	Off  = "off"  // nobody looks
)

// Unusual says what the contract wants done with what is unusual: one of Hold, Warn
// and Off, or "" for a consumer that does not say.
func (c Contract) Unusual() string {
	switch {
	case c.Terms.Statistics != nil:
		return c.Terms.Statistics.Text
	case c.Producer:
		return Hold
	}
	return ""
}

// statistics adds a rule that no fingerprint breaks: it is part of what judges.
func (b *builder) statistics(x *Literal) {
	if x == nil {
		return
	}
	says := map[string]string{
		Hold: "a version that is not as others let one expect is held",
		Warn: "a version that is not as others let one expect is promoted with a warning",
		Off:  "versions are not compared with others",
	}[x.Text]
	b.list = append(b.list, Rule{ID: "statistics", Line: x.Line, Phase: AtClose, Says: says, source: fromOthers, of: x.Text})
}

// validateStatistics finds what cannot be compared, and consumers that would be less
// strict than the producer.
func (r *reader) validateStatistics(c Contract, s Subject) {
	x := c.Terms.Statistics
	switch {
	case x == nil:
	case !s.Stage:
		r.bad(x.Line, "statistics: versions of "+s.Name+", which no stage computes, are not compared with others", "leave `statistics` out")
	case !s.Timed:
		r.bad(x.Line, "statistics: "+s.Name+" is not cut by time, so there are no others to compare it with", "leave `statistics` out")
	case !c.Producer && x.Text != Hold:
		r.bad(x.Line, "statistics: who reads a dataset can only be stricter than its producer", "write `hold`, or leave it out")
	}
}
