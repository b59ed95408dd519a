package contract

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// ODCSVersion is the version of the Open Data Contract Standard that ODCS writes.
// The table in docs/guides/contracts.md says what becomes of each key.
const ODCSVersion = "v3.1.0"

const (
	odcsEngine   = "reedbed"   // of quality rules in our own words
	odcsConsumer = "consumer"  // custom property: the stage that is protected
	odcsTolerate = "tolerance" // custom property of a schema
)

// The element of an SLA is the dataset it is about.
const (
	slaLatency  = "latency"
	slaComplete = "completeness"
)

type (
	value = strictyaml.Value
	field = strictyaml.Field
)

func word(s string) value          { return strictyaml.Text(s) }
func digits(s string) value        { return strictyaml.Number(s) }
func object(fields ...field) value { return value{Kind: strictyaml.Map, Fields: fields} }
func list(items ...value) value    { return value{Kind: strictyaml.List, List: items} }
func entry(name string, v value) field {
	return field{Name: name, Value: v}
}

// ODCS is a file of contracts/ in the format of the Open Data Contract Standard.
func (f *File) ODCS() []byte {
	out := odcsDocument(f.Name, f.Owner, f.Description)
	if f.Consumer != "" {
		out = append(out, entry("customProperties", list(custom(odcsConsumer, word(f.Consumer)))))
	}
	return odcs(out, f.Contracts)
}

// ODCS is one contract in the format of the Open Data Contract Standard.
func (c Contract) ODCS() []byte { return odcs(odcsDocument(c.Name, c.Owner, ""), []Contract{c}) }

func odcsDocument(name, owner, purpose string) []field {
	out := []field{
		entry("apiVersion", word(ODCSVersion)), entry("kind", word("DataContract")), entry("id", word(name)), entry("name", word(name)),
		entry("version", word("1.0.0")), entry("status", word("active")), entry("team", object(entry("name", word(owner)))),
	}
	if purpose != "" {
		out = append(out, entry("description", object(entry("purpose", word(purpose)))))
	}
	return out
}

func odcs(document []field, contracts []Contract) []byte {
	var schemas, sla []value
	for _, c := range contracts {
		schemas = append(schemas, c.odcsSchema())
		sla = append(sla, c.odcsSLA()...)
	}
	document = append(document, entry("schema", list(schemas...)))
	if len(sla) > 0 {
		document = append(document, entry("slaProperties", list(sla...)))
	}
	return []byte(strictyaml.Write(object(document...)))
}

func custom(name string, v value) value {
	return object(entry("property", word(name)), entry("value", v))
}

func (c Contract) odcsSchema() value {
	out := []field{entry("name", word(c.Dataset)), entry("logicalType", word("object"))}
	if len(c.Terms.Columns) > 0 {
		var columns []value
		for _, x := range c.Terms.Columns {
			columns = append(columns, x.odcs())
		}
		out = append(out, entry("properties", list(columns...)))
	}
	if quality := c.Terms.odcsQuality(); len(quality) > 0 {
		out = append(out, entry("quality", list(quality...)))
	}
	if n := c.Terms.Tolerance; n != nil {
		out = append(out, entry("customProperties", list(custom(odcsTolerate, word(n.Text)))))
	}
	return object(out...)
}

func (t Terms) odcsQuality() (out []value) {
	if !t.Rows.empty() {
		out = append(out, object(append([]field{entry("metric", word("rowCount"))}, t.Rows.odcs(1)...)...))
	}
	for _, x := range t.Checks {
		query, isNumber := x.SQL, givesNumber(x.SQL)
		if !isNumber {
			query = countRows + query + countedRows
		}
		fields := []field{entry("type", word("sql")), entry("name", word(x.Name))}
		if x.Why != "" {
			fields = append(fields, entry("description", word(x.Why)))
		}
		out = append(out, object(append(fields, entry("query", word(query)), entry("mustBe", digits("0")))...))
	}
	var own []field
	if !t.Rejected.empty() {
		own = append(own, entry("rejected", t.Rejected.own()))
	}
	if !t.Complete.empty() && !t.Complete.atLeast() {
		own = append(own, entry("complete", t.Complete.own()))
	}
	if len(t.Measures) > 0 {
		var measures []field
		for _, m := range t.Measures {
			measures = append(measures, entry(m.Name, m.Band.own()))
		}
		own = append(own, entry("measures", object(measures...)))
	}
	if t.Statistics != nil {
		own = append(own, entry("statistics", word(t.Statistics.Text)))
	}
	return append(out, ownQuality(own)...)
}

// A SELECT of rows that must not be there stands between these, so that it gives a
// number as the standard wants it.
const (
	countRows   = "SELECT count(*) FROM (\n"
	countedRows = "\n)"
)

func (c Contract) odcsSLA() (out []value) {
	element := entry("element", word(c.Dataset))
	if d := c.Terms.Fresh; d != nil {
		seconds := strconv.FormatFloat(d.Time.Seconds(), 'f', -1, 64)
		out = append(out, object(entry("property", word(slaLatency)), entry("value", digits(seconds)), entry("unit", word("s")), element))
	}
	if b := c.Terms.Complete; b.atLeast() {
		out = append(out, object(entry("property", word(slaComplete)), entry("value", digits(b.Min.times(100))), entry("unit", word("percent")), element))
	}
	return out
}

func (b Band) atLeast() bool { return b.Min != nil && b.Max == nil }

// plainDecimal are numbers that are the same whoever reads them.
var plainDecimal = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$`)

func (c Column) odcs() value {
	out := []field{entry("name", word(c.Name))}
	logical, options, own := c.odcsOptions()
	if logical != "" {
		out = append(out, entry("logicalType", word(logical)))
	}
	if c.Type != nil {
		out = append(out, entry("physicalType", word(c.Type.Text)))
	}
	if len(options) > 0 {
		out = append(out, entry("logicalTypeOptions", object(options...)))
	}
	if c.NotNull > 0 {
		out = append(out, entry("required", digits("true")))
	}
	if c.Unique > 0 {
		out = append(out, entry("unique", digits("true")))
	}
	if x := c.Relation; x != nil {
		if strings.Contains(x.Dataset+x.Column, ".") {
			own = append(own, entry("relation", object(entry("dataset", word(x.Dataset)), entry("column", word(x.Column)))))
		} else {
			out = append(out, entry("relationships", list(object(entry("type", word("foreignKey")), entry("to", word(x.Dataset+"."+x.Column))))))
		}
	}
	if quality := append(c.odcsQuality(), ownQuality(own)...); len(quality) > 0 {
		out = append(out, entry("quality", list(quality...)))
	}
	return object(out...)
}

// odcsOptions are what the standard says of a column's values by its logical type,
// of which it has one, and what is left for our own words.
func (c Column) odcsOptions() (logical string, options, own []field) {
	if c.Type != nil {
		logical = odcsType(plainType(c.Type.Text))
	}
	is := func(wanted ...string) bool {
		if logical == "" && c.Type == nil {
			logical = wanted[0]
		}
		return slices.Contains(wanted, logical)
	}
	for _, bound := range []struct {
		name, odcs string
		at         *Literal
	}{{"min", "minimum", c.Min}, {"max", "maximum", c.Max}} {
		switch {
		case bound.at == nil:
		case plainDecimal.MatchString(bound.at.Text) && is("number", "integer"):
			options = append(options, entry(bound.odcs, digits(bound.at.Text)))
		case plainTime.MatchString(bound.at.Text) && is("timestamp", "date"):
			options = append(options, entry(bound.odcs, word(bound.at.Text)))
		default:
			own = append(own, entry(bound.name, word(bound.at.Text)))
		}
	}
	switch {
	case c.Matches == nil:
	case is("string"):
		options = append(options, entry("pattern", word(wholePrefix+c.Matches.Text+wholeSuffix)))
	default:
		own = append(own, entry("matches", word(c.Matches.Text)))
	}
	return logical, options, own
}

// A pattern of the standard may match a part of a value; between these it matches
// all of it.
const (
	wholePrefix = "^(?:"
	wholeSuffix = ")$"
)

// odcsType is the logical type of a column's type, "" if there is none.
func odcsType(sqlType string) string {
	switch {
	case strings.HasSuffix(sqlType, "]"):
		return "array"
	case sqlType == "BOOLEAN":
		return "boolean"
	case sqlType == "DATE":
		return "date"
	}
	switch kindOf(sqlType) {
	case numbers:
		if strings.HasSuffix(sqlType, "INT") || strings.HasSuffix(sqlType, "INTEGER") {
			return "integer"
		}
		return "number"
	case times:
		return "timestamp"
	case texts:
		return "string"
	}
	return ""
}

func (c Column) odcsQuality() (out []value) {
	if len(c.Accepted) > 0 {
		var values []value
		for _, v := range c.Accepted {
			values = append(values, word(v.Text))
		}
		out = append(out, object(
			entry("metric", word("invalidValues")), entry("arguments", object(entry("validValues", list(values...)))), entry("mustBe", digits("0")),
		))
	}
	if !c.Nulls.empty() {
		out = append(out, object(append([]field{entry("metric", word("nullValues")), entry("unit", word("percent"))}, c.Nulls.odcs(100)...)...))
	}
	var own []field
	if !c.Distinct.empty() {
		own = append(own, entry("distinct", c.Distinct.own()))
	}
	if !c.Entropy.empty() {
		own = append(own, entry("entropy", c.Entropy.own()))
	}
	return append(out, ownQuality(own)...)
}

// ownQuality is a rule in our own words, if there are any.
func ownQuality(words []field) []value {
	if len(words) == 0 {
		return nil
	}
	return []value{object(entry("type", word("custom")), entry("engine", word(odcsEngine)), entry("implementation", object(words...)))}
}

// own is a band as it is written here.
func (b Band) own() value {
	var out []field
	if b.Min != nil {
		out = append(out, entry("min", word(b.Min.Text)))
	}
	if b.Max != nil {
		out = append(out, entry("max", word(b.Max.Text)))
	}
	return object(out...)
}

// odcs is a band as the standard compares a metric with it, in a unit of which there
// are so many in one.
func (b Band) odcs(unit float64) []field {
	switch {
	case b.Min == nil:
		return []field{entry("mustBeLessOrEqualTo", digits(b.Max.times(unit)))}
	case b.Max == nil:
		return []field{entry("mustBeGreaterOrEqualTo", digits(b.Min.times(unit)))}
	case b.Min.Value == b.Max.Value: // two equal ends are no range there
		return []field{entry("mustBe", digits(b.Min.times(unit)))}
	}
	return []field{entry("mustBeBetween", list(digits(b.Min.times(unit)), digits(b.Max.times(unit))))}
}

// times is the number in a unit of which there are so many in one. The digits of a
// percentage stay as they were written.
func (n *Number) times(unit float64) string {
	if figures, percent := strings.CutSuffix(n.Text, "%"); percent && unit == 100 && plainDecimal.MatchString(figures) {
		return figures
	}
	return strconv.FormatFloat(n.Value*unit, 'g', 15, 64) // as many digits as any decimal keeps
}
