package contract

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// Facts are what is known of a version beside its fingerprint.
type Facts struct {
	// Open says that events of the partition are still expected.
	Open bool
	// Complete is the share of what was sent that arrived, nil if nobody knows, and
	// Unmeasured why not.
	Complete   *float64
	Unmeasured string
}

// Judge says which rules a version breaks, in the order of the file. A rule that
// cannot be judged, because its SQL failed or a number is missing, is broken too.
func (r Rules) Judge(f *fingerprint.Fingerprint, facts Facts) []dataset.Broken {
	var out []dataset.Broken
	for _, x := range r.List {
		if !x.due(f, facts) {
			continue
		}
		what, broken := x.judge(f, facts)
		if broken {
			out = append(out, dataset.Broken{
				Contract: r.Contract.Name, Owner: r.Contract.Owner, Rule: x.ID, At: fmt.Sprintf("%s:%d", r.Contract.File, x.Line), What: what,
			})
		}
	}
	return out
}

// due reports whether a rule is judged now.
func (x Rule) due(f *fingerprint.Fingerprint, facts Facts) bool {
	switch x.Phase {
	case Always:
		return true
	case WithRows:
		return !facts.Open || f.Rows+f.Rejected >= EnoughRows
	case AtClose:
		return !facts.Open
	}
	return false
}

func (x Rule) judge(f *fingerprint.Fingerprint, facts Facts) (what string, broken bool) {
	seen := x.look(f, facts)
	switch {
	case seen.problem != "":
		return seen.problem + "; expected: " + x.Says, true
	case !seen.known || x.band.holds(seen.value):
		return "", false
	case x.source != fromCount:
		return fmt.Sprintf("%s is %s; expected %s", x.what, seen.words, x.band.words()), true
	case x.number:
		return fmt.Sprintf("%s gives %s; expected 0", x.what, seen.words), true
	}
	return fmt.Sprintf("%s in %s; expected %s", x.what, seen.words, x.band.portion()), true
}

// holds reports whether a value lies in the band.
func (b Band) holds(v float64) bool {
	return (b.Min == nil || v >= b.Min.Value) && (b.Max == nil || v <= b.Max.Value)
}

// sight is what was seen of the number a rule is about. One that is neither known
// nor a problem has nothing to say.
type sight struct {
	value   float64
	known   bool
	words   string
	problem string
}

func (x Rule) look(f *fingerprint.Fingerprint, facts Facts) sight {
	switch x.source {
	case fromCount:
		return x.count(f)
	case fromEntropy, fromDistinct:
		return x.statistic(f)
	case fromMeasure:
		return x.measure(f)
	case fromRows:
		return x.sight(float64(f.Rows))
	case fromRejected:
		return x.sight(f.RejectedShare())
	case fromComplete:
		if facts.Complete == nil {
			return sight{problem: strings.TrimSuffix("nobody knows how much of what was sent arrived: "+facts.Unmeasured, ": ")}
		}
		return x.sight(*facts.Complete)
	}
	return sight{}
}

// sight words a value in the unit of the rule. What is no number is a problem.
func (x Rule) sight(v float64) sight {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return sight{problem: x.what + " is not a number"}
	}
	return sight{value: v, known: true, words: x.unit.words(v)}
}

func (u unit) words(v float64) string {
	switch u {
	case share:
		return percent(v)
	case count:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'g', 3, 64) + "%" }

// count is the share of rows that break a rule.
func (x Rule) count(f *fingerprint.Fingerprint) sight {
	c := f.Check(x.Asks.Name)
	switch {
	case c == nil:
		return sight{problem: x.ID + " was not looked at"}
	case c.Error != "":
		return sight{problem: x.ID + " could not be looked at: " + c.Error}
	case x.number:
		return sight{value: float64(c.Count), known: true, words: strconv.FormatInt(c.Count, 10)}
	case c.Count == 0 && f.Rows == 0:
		return sight{}
	case f.Rows == 0:
		return sight{value: 1, known: true, words: fmt.Sprintf("%d of no rows", c.Count)}
	}
	part := float64(c.Count) / float64(f.Rows)
	return sight{value: part, known: true, words: fmt.Sprintf("%d of %d rows (%s)", c.Count, f.Rows, percent(part))}
}

// statistic is a number that every fingerprint has of a column. Of no rows it
// says nothing.
func (x Rule) statistic(f *fingerprint.Fingerprint) sight {
	c := f.Column(x.of)
	switch {
	case c == nil:
		return sight{problem: "there are no statistics of column " + x.of}
	case f.Rows == 0:
		return sight{}
	case x.source == fromDistinct:
		return x.sight(float64(c.Distinct))
	case c.Entropy != nil:
		return x.sight(*c.Entropy)
	case c.Nulls >= f.Rows:
		return sight{problem: x.of + " is NULL in all rows and has no entropy"}
	}
	return sight{problem: "the entropy of " + x.of + " was not taken"}
}

// measure is one of the stage's own. Of no rows it says nothing.
func (x Rule) measure(f *fingerprint.Fingerprint) sight {
	m := f.Measure(x.of)
	switch {
	case m == nil:
		return sight{problem: x.what + " was not taken"}
	case m.Error != "":
		return sight{problem: x.what + " could not be taken: " + m.Error}
	case m.Value != nil:
		return x.sight(*m.Value)
	case f.Rows == 0:
		return sight{}
	}
	return sight{problem: x.what + " is NULL"}
}
