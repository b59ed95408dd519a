package contract

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// EnoughRows is how many rows an open partition has before shares and bands of
// it mean anything.
const EnoughRows = 100

// Phase says when a rule is judged. The close judges all but OnApply and OverTime.
type Phase string

// The phases.
const (
	OnApply  Phase = "apply"  // when definitions are deployed: it is about columns, not rows
	Always   Phase = "always" // also while events are still expected
	WithRows Phase = "rows"   // also while events are still expected, once there are EnoughRows
	AtClose  Phase = "close"  // when no more events are expected
	OverTime Phase = "time"   // all the time: it is about the dataset, not a version, and nothing is held for it
)

// Rule is one thing a contract says.
type Rule struct {
	ID    string // stable, such as columns.country.not_null
	Line  int
	Phase Phase
	Says  string // what must be so, in words
	// Asks is what must be found out for it beside what every fingerprint has; "" if
	// nothing.
	Asks Expr

	source    source
	of        string // the column or measure
	unit      unit
	band      Band
	whole     bool   // Asks is a SELECT over all rows, not an expression over one
	aggregate bool   // Asks is an aggregate over all rows
	reads     string // another dataset that Asks reads
	what      string // what a row that breaks it is like; or what the number is
	number    bool   // Asks gives a number that is not of rows
	nulls     string // the column whose missing values Asks counts
}

// source is where the number comes from that a rule compares.
type source string

const (
	fromColumns  source = "columns"  // of the dataset: nothing to judge a version by
	fromCount    source = "count"    // Asks, of all rows
	fromEntropy  source = "entropy"  // of column
	fromDistinct source = "distinct" // of column
	fromMeasure  source = "measure"
	fromRows     source = "rows"
	fromRejected source = "rejected"
	fromComplete source = "complete"
	fromAge      source = "age" // nothing to judge a version by
	// fromOthers is no number: others than a contract judge whether it is usual.
	fromOthers source = "others"
)

// Expr is SQL whose result has a name.
type Expr struct{ Name, SQL string }

// Needs are what must be found out of rows to judge them.
type Needs struct {
	Categories []string // columns whose entropy is wanted
	Measures   []Expr   // aggregates over the rows
	Violations []Expr   // boolean expressions over a row, of which the true ones are counted
	Counts     []Expr   // aggregates over the rows that count those that break a rule
	Queries    []Expr   // SELECTs of one number, over a relation named as the dataset
	Reads      []string // other datasets that Queries read
}

// Add puts other needs to n; what both have is there once.
func (n *Needs) Add(o Needs) {
	n.Categories = union(n.Categories, o.Categories)
	n.Measures = union(n.Measures, o.Measures)
	n.Violations = union(n.Violations, o.Violations)
	n.Counts = union(n.Counts, o.Counts)
	n.Queries = union(n.Queries, o.Queries)
	n.Reads = union(n.Reads, o.Reads)
}

func union[T comparable](a, b []T) []T {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}

// Met reports whether a fingerprint says all that is needed, failures included.
func (n Needs) Met(f *fingerprint.Fingerprint) bool {
	for _, name := range n.Categories {
		if c := f.Column(name); c == nil || c.Entropy == nil && c.Nulls < f.Rows {
			return false
		}
	}
	for _, m := range n.Measures {
		if f.Measure(m.Name) == nil {
			return false
		}
	}
	for _, e := range slices.Concat(n.Violations, n.Counts, n.Queries) {
		if f.Check(e.Name) == nil {
			return false
		}
	}
	return true
}

// Rules are what a contract comes to.
type Rules struct {
	Contract Contract
	List     []Rule // in the order of the file
}

// Rules compiles a contract.
func (c Contract) Rules() Rules {
	b := builder{dataset: c.Dataset, tolerance: c.Terms.Tolerance}
	for _, x := range c.Terms.Columns {
		b.column(x)
	}
	b.bands(c.Terms)
	for _, x := range c.Terms.Checks {
		b.check(x)
	}
	b.statistics(c.Terms.Statistics)
	slices.SortStableFunc(b.list, func(a, o Rule) int { return cmp.Compare(a.Line, o.Line) })
	return Rules{Contract: c, List: b.list}
}

// Needs are what must be found out to judge a version. Measures are not among
// them: their SQL is the stage's.
func (r Rules) Needs() Needs {
	var n Needs
	for _, x := range r.List {
		if x.source == fromEntropy {
			n.Categories = union(n.Categories, []string{x.of})
		}
		switch {
		case x.Asks.SQL == "":
		case x.aggregate:
			n.Counts = union(n.Counts, []Expr{x.Asks})
		case x.whole:
			n.Queries = union(n.Queries, []Expr{x.Asks})
		default:
			n.Violations = union(n.Violations, []Expr{x.Asks})
		}
		if x.reads != "" {
			n.Reads = union(n.Reads, []string{x.reads})
		}
	}
	return n
}

// Closes reports whether the close of a partition judges what was not judged before.
func (r Rules) Closes() bool {
	return slices.ContainsFunc(r.List, func(x Rule) bool { return x.Phase == WithRows || x.Phase == AtClose })
}

// Completes reports whether a rule is about how much of what was sent arrived.
func (r Rules) Completes() bool {
	return slices.ContainsFunc(r.List, func(x Rule) bool { return x.source == fromComplete })
}

// Judges reports whether there is anything to judge a version by.
func (r Rules) Judges() bool {
	return slices.ContainsFunc(r.List, func(x Rule) bool { return x.Phase != OnApply && x.Phase != OverTime })
}

// Identity is a hash of what is judged, and for whom: not of places in the file,
// descriptions, reasons and owners.
func (r Rules) Identity() []byte {
	h := dataset.NewFields("contract")
	h.Text(r.Contract.Dataset)
	h.Text(r.Contract.Consumer)
	h.Text(strconv.FormatBool(r.Contract.Producer))
	list := slices.Clone(r.List)
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	for _, x := range list {
		for _, text := range x.judged() {
			h.Text(text)
		}
	}
	return h.Hash()
}

// judged is all of a rule that decides what it says of a version.
func (x Rule) judged() []string {
	return []string{x.ID, string(x.Phase), string(x.source), x.of, x.Asks.SQL, x.band.Min.key(), x.band.Max.key()}
}

func (n *Number) key() string {
	if n == nil {
		return ""
	}
	return strconv.FormatUint(math.Float64bits(n.Value), 16)
}

// builder gathers the rules of one contract.
type builder struct {
	dataset   string
	tolerance *Number
	list      []Rule
}

func (b *builder) column(c Column) {
	id, name := "columns."+c.Name, quoteName(c.Name)
	if c.Type == nil {
		b.list = append(b.list, Rule{ID: id, Line: c.Line, Phase: OnApply, Says: "there is a column " + c.Name, source: fromColumns})
	} else {
		b.list = append(b.list, Rule{ID: id + ".type", Line: c.Type.Line, Phase: OnApply, Says: c.Name + " is a " + c.Type.Text, source: fromColumns, of: plainType(c.Type.Text)})
	}
	if c.NotNull > 0 {
		b.rows(id+".not_null", c.NotNull, name+" IS NULL", c.Name+" is NULL")
		b.list[len(b.list)-1].nulls = c.Name
	}
	if c.Min != nil {
		b.rows(id+".min", c.Min.Line, name+" < "+c.Min.sql(), c.Name+" is below "+c.Min.Text)
	}
	if c.Max != nil {
		b.rows(id+".max", c.Max.Line, name+" > "+c.Max.sql(), c.Name+" is above "+c.Max.Text)
	}
	if len(c.Accepted) > 0 {
		var values, shown []string
		for _, v := range c.Accepted {
			values, shown = append(values, quoteText(v.Text)), append(shown, v.Text)
		}
		b.rows(id+".accepted", c.Accepted[0].Line, name+" NOT IN ("+strings.Join(values, ", ")+")", c.Name+" is none of "+shorten(shown))
	}
	if c.Matches != nil {
		b.rows(id+".matches", c.Matches.Line, "NOT regexp_full_match("+name+", "+quoteText(c.Matches.Text)+")", c.Name+" does not match "+c.Matches.Text)
	}
	if !c.Nulls.empty() {
		b.share(Rule{ID: id + ".nulls", Line: c.Nulls.Line(), band: c.Nulls, nulls: c.Name, what: c.Name + " is NULL"}, name+" IS NULL")
	}
	b.whole(c, id, name)
	b.band(Rule{ID: id + ".distinct", Phase: AtClose, source: fromDistinct, of: c.Name, band: c.Distinct, unit: count, what: "the number of values of " + c.Name})
	b.band(Rule{ID: id + ".entropy", Phase: WithRows, source: fromEntropy, of: c.Name, band: c.Entropy, what: "the entropy of " + c.Name})
}

// whole adds the rules of a column that look at all rows together.
func (b *builder) whole(c Column, id, name string) {
	if c.Unique > 0 {
		b.query(id+".unique", c.Unique, fmt.Sprintf("count(%[1]s) - count(DISTINCT %[1]s)", name), c.Name+" is that of another row")
		b.list[len(b.list)-1].aggregate = true
	}
	if x := c.Relation; x != nil {
		b.query(id+".relation", x.Line, fmt.Sprintf(
			"SELECT count(*) FROM %s AS here WHERE here.%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s AS there WHERE there.%s = here.%[2]s)",
			quoteName(b.dataset), name, quoteName(x.Dataset), quoteName(x.Column),
		), fmt.Sprintf("%s is no %s of %s", c.Name, x.Column, x.Dataset))
		b.list[len(b.list)-1].reads = x.Dataset
	}
}

func (b *builder) bands(t Terms) {
	b.band(Rule{ID: "rows", Phase: AtClose, source: fromRows, band: t.Rows, unit: count, what: "the number of rows"})
	b.band(Rule{ID: "rejected", Phase: WithRows, source: fromRejected, band: t.Rejected, unit: share, what: "the share of rejected rows"})
	b.band(Rule{ID: "complete", Phase: AtClose, source: fromComplete, band: t.Complete, unit: share, what: "the share of events that arrived"})
	if t.Fresh != nil {
		most := &Number{Value: t.Fresh.Time.Seconds(), Text: t.Fresh.Time.String(), Line: t.Fresh.Line}
		b.band(Rule{ID: "fresh", Phase: OverTime, source: fromAge, band: Band{Max: most}, what: "the time from the end of a partition until it is closed and computed"})
	}
	for _, m := range t.Measures {
		b.band(Rule{ID: "measures." + m.Name, Phase: WithRows, source: fromMeasure, of: m.Name, band: m.Band, what: "measure " + m.Name})
	}
}

// rows adds a rule about single rows.
func (b *builder) rows(id string, line int, sql, what string) {
	b.share(Rule{ID: id, Line: line, band: b.tolerated(), what: what}, sql)
}

// query adds a rule whose rows a SELECT counts.
func (b *builder) query(id string, line int, sql, what string) {
	b.share(Rule{ID: id, Line: line, band: b.tolerated(), what: what, whole: true}, sql)
}

func (b *builder) share(x Rule, sql string) {
	x.source, x.unit, x.Phase = fromCount, share, Always
	if x.band.Min != nil || x.band.Max == nil || x.band.Max.Value > 0 {
		x.Phase = WithRows
	}
	x.Asks = named(x.ID, sql)
	x.Says = x.band.portion() + " where " + x.what
	b.list = append(b.list, x)
}

func (b *builder) tolerated() Band {
	if b.tolerance != nil {
		return Band{Max: b.tolerance}
	}
	return Band{Max: &Number{Text: "0"}}
}

func (b *builder) check(c Check) {
	what := "check " + c.Name
	if c.Why != "" {
		what += " (" + c.Why + ")"
	}
	sql, number := counting(c.SQL)
	if !number {
		b.query("checks."+c.Name, c.Line, sql, what+" finds something")
		return
	}
	b.list = append(b.list, Rule{
		ID: "checks." + c.Name, Line: c.Line, Phase: Always, Says: what + " gives 0", Asks: named("checks."+c.Name, sql),
		source: fromCount, whole: true, number: true, what: what, band: Band{Max: &Number{Text: "0"}},
	})
}

// band adds a rule about one number, if there is a band for it.
func (b *builder) band(x Rule) {
	if x.band.empty() {
		return
	}
	x.Line = x.band.Line()
	x.Says = x.what + " is " + x.band.words()
	b.list = append(b.list, x)
}

// Line is where the band begins.
func (b Band) Line() int {
	switch {
	case b.Min == nil:
		return b.Max.Line
	case b.Max == nil:
		return b.Min.Line
	}
	return min(b.Min.Line, b.Max.Line)
}

// words are the bounds.
func (b Band) words() string {
	switch {
	case b.Min == nil:
		return "at most " + b.Max.Text
	case b.Max == nil:
		return "at least " + b.Min.Text
	}
	return "from " + b.Min.Text + " to " + b.Max.Text
}

// portion is how many of the rows a band allows.
func (b Band) portion() string {
	if b.Min == nil && b.Max.Value == 0 {
		return "no row"
	}
	return b.words() + " of the rows"
}

// named gives SQL a name that is that of the rule as long as it asks the same, so
// that what was found out for another question is not taken for its answer.
func named(id, sql string) Expr {
	sum := sha256.Sum256([]byte(sql))
	return Expr{Name: id + "#" + hex.EncodeToString(sum[:4]), SQL: sql}
}

// shorten lists at most five of several values.
func shorten(values []string) string {
	const most = 5
	if len(values) <= most {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(values[:most], ", "), len(values)-most)
}
