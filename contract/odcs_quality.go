package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// quality takes over one rule of a dataset, or of a column of it, into out.
func (m *importer) quality(f field, dataset, column string, out *[]field) {
	of := strings.TrimSuffix(dataset+"."+column, ".")
	q := rule{of: of, dataset: dataset, column: column, at: f}
	known := m.leave(of+".quality", keys{
		"type": func(e field) { q.kind = e.Value.Text }, "metric": func(e field) { q.metric = e.Value.Text }, "rule": func(e field) { q.metric = e.Value.Text },
		"name": func(e field) { q.name = e.Value.Text }, "description": func(e field) { q.why = e.Value.Text },
		"unit": func(e field) { q.unit = e.Value.Text }, "query": func(e field) { q.query = e.Value.Text },
		"engine": func(e field) { q.engine = e.Value.Text }, "implementation": func(e field) { q.words = e },
		"arguments": func(e field) { q.arguments = e.Value.Fields }, "id": skip,
	}, "businessImpact", "dimension", "method", "schedule", "scheduler", "severity", "tags", "customProperties", "authoritativeDefinitions")
	for name := range operators {
		known[name] = func(e field) { q.operators = append(q.operators, e) }
	}
	m.each(f, of+".quality", known)
	if q.kind == "" || q.kind == "library" {
		m.metric(q, out)
		return
	}
	switch q.kind {
	case "text":
		m.left = append(m.left, Problem{File: m.file, Line: f.Line, What: of + ".quality: a rule in words is left out: nothing is judged by it"})
	case "sql":
		m.sql(q)
	case "custom":
		if q.engine != odcsEngine {
			m.bad(f.Line, fmt.Sprintf("%s.quality: the rule is for %s", of, q.engine), "write it as `type: sql`, or leave it out")
			return
		}
		if len(q.words.Value.Fields) == 0 {
			m.bad(f.Line, of+".quality: the rule says nothing", "write our own words: `implementation: {entropy: {min: 1}}`")
		}
		for _, e := range q.words.Value.Fields {
			*out = append(*out, said(e.Name, e, e.Value))
		}
	default:
		m.bad(f.Line, fmt.Sprintf("%s.quality: there is no type %s", of, q.kind), "there are: text, library, sql, custom")
	}
}

// rule is one entry under quality.
type rule struct {
	of, dataset, column string
	at                  field

	kind, metric, name, why, unit, query, engine string

	words     field
	arguments []field
	operators []field
}

// operators are how a number is compared, with the SQL for it.
var operators = map[string]string{
	"mustBe": "= %s", "mustNotBe": "<> %s", "mustBeGreaterThan": "> %s", "mustBeGreaterOrEqualTo": ">= %s",
	"mustBeLessThan": "< %s", "mustBeLessOrEqualTo": "<= %s", "mustBeBetween": "BETWEEN %s AND %s", "mustNotBeBetween": "NOT BETWEEN %s AND %s",
}

// operator is the one operator of a rule and its numbers.
func (m *importer) operator(q rule) (name string, figures []string, ok bool) {
	if len(q.operators) != 1 {
		m.bad(q.at.Line, fmt.Sprintf("%s.quality: %d of mustBe, mustBeLessThan and the like are there", q.of, len(q.operators)), "write one of them")
		return "", nil, false
	}
	e := q.operators[0]
	values := []value{e.Value}
	if strings.HasSuffix(e.Name, "Between") {
		values = e.Value.List
		if len(values) != 2 {
			m.bad(e.Line, q.of+".quality: "+e.Name+" has two numbers", "write [1, 2]")
			return "", nil, false
		}
	}
	for _, v := range values {
		if _, err := strconv.ParseFloat(v.Text, 64); v.Kind != strictyaml.Scalar || err != nil {
			m.bad(e.Line, fmt.Sprintf("%s.quality: %s must be a number", q.of, e.Name), "rules of the standard compare numbers")
			return "", nil, false
		}
		figures = append(figures, v.Text)
	}
	return e.Name, figures, true
}

// bounds is what a rule allows as a band, with behind each number what unit says.
func (m *importer) bounds(q rule, unit string) (value, bool) {
	name, n, ok := m.operator(q)
	if !ok {
		return value{}, false
	}
	e := q.operators[0]
	figure := func(s string) value {
		if unit == "" {
			return digits(s)
		}
		return word(s + unit)
	}
	low, high := said("min", e, figure(n[0])), said("max", e, figure(n[len(n)-1]))
	switch name {
	case "mustBe", "mustBeBetween":
		return object(low, high), true
	case "mustBeGreaterOrEqualTo":
		return object(low), true
	case "mustBeLessOrEqualTo":
		return object(high), true
	}
	m.bad(e.Line, fmt.Sprintf("%s.quality: %s has no counterpart for %s", q.of, name, q.metric), "write mustBeGreaterOrEqualTo, mustBeLessOrEqualTo or mustBeBetween")
	return value{}, false
}

// none reports whether a rule allows no row, and says so if it allows some.
func (m *importer) none(q rule) bool {
	name, n, ok := m.operator(q)
	if !ok {
		return false
	}
	if zero, _ := strconv.ParseFloat(n[0], 64); zero == 0 && (name == "mustBe" || name == "mustBeLessOrEqualTo") {
		return true
	}
	m.bad(q.at.Line, fmt.Sprintf("%s.quality: %s can allow no row only", q.of, q.metric),
		"write `mustBe: 0`, and how many rows of the dataset may break its rules as `tolerance` in the file that is made of this")
	return false
}

// metric takes over one of the standard's own rules.
func (m *importer) metric(q rule, out *[]field) {
	switch {
	case q.metric == "rowCount" && q.column == "":
		if band, ok := m.bounds(q, ""); ok {
			*out = append(*out, said("rows", q.at, band))
		}
	case q.metric == "nullValues" && q.column != "":
		m.nulls(q, out)
	case q.metric == "duplicateValues" && q.column != "":
		if m.none(q) {
			*out = append(*out, said("unique", q.at, digits("true")))
		}
	case q.metric == "invalidValues" && q.column != "":
		if m.none(q) {
			m.valid(q, out)
		}
	default:
		m.bad(q.at.Line, fmt.Sprintf("%s.quality: the metric %q has no counterpart here", q.of, q.metric), "write it as a rule: `type: sql`, with a query that gives one number")
	}
}

func (m *importer) nulls(q rule, out *[]field) {
	if q.unit == "percent" {
		if band, ok := m.bounds(q, "%"); ok {
			*out = append(*out, said("nulls", q.at, band))
		}
		return
	}
	if m.none(q) {
		*out = append(*out, said("not_null", q.at, digits("true")))
	}
}

func (m *importer) valid(q rule, out *[]field) {
	if len(q.arguments) == 0 {
		m.bad(q.at.Line, q.of+".quality: it is not said which values are valid", "write `arguments: {validValues: [a, b]}`")
	}
	for _, e := range q.arguments {
		switch e.Name {
		case "validValues":
			*out = append(*out, said("accepted", e, e.Value))
		case "pattern":
			*out = append(*out, m.pattern(e))
		default:
			m.bad(e.Line, fmt.Sprintf("%s.quality: the argument %s has no counterpart", q.of, e.Name), "there are: validValues, pattern")
		}
	}
}

// sql takes over a query that gives one number, as a check of the dataset.
func (m *importer) sql(q rule) {
	name, figures, ok := m.operator(q)
	if !ok {
		return
	}
	if q.query == "" {
		m.bad(q.at.Line, q.of+".quality: the query is missing", "write `query: SELECT count(*) FROM ...`")
		return
	}
	for _, x := range []string{"table", "object", "column", "property"} {
		with := q.dataset
		if x == "column" || x == "property" {
			with = q.column
		}
		q.query = strings.ReplaceAll(strings.ReplaceAll(q.query, "${"+x+"}", with), "{"+x+"}", with)
	}
	if q.name == "" {
		q.name = fmt.Sprintf("quality_of_%s_in_line_%d", strings.ReplaceAll(q.of, ".", "_"), q.at.Line)
	}
	check := []field{said("name", q.at, word(q.name)), said("sql", q.at, word(asCheck(q.query, name, figures)))}
	if q.why != "" {
		check = append(check, said("why", q.at, word(q.why)))
	}
	terms := m.datasets[q.dataset]
	i := slices.IndexFunc(*terms, func(f field) bool { return f.Name == "checks" })
	if i < 0 {
		*terms = append(*terms, said("checks", q.at, list()))
		i = len(*terms) - 1
	}
	item := object(check...)
	item.Line = q.at.Line
	(*terms)[i].Value.List = append((*terms)[i].Value.List, item)
}

// asCheck is a SELECT that finds something if the number of a query is not as it
// must be.
func asCheck(query, operator string, figures []string) string {
	query = strings.TrimRight(query, "; \t\r\n")
	if operator == "mustBe" && figures[0] == "0" {
		if rows, ok := strings.CutPrefix(query, countRows); ok && strings.HasSuffix(rows, countedRows) {
			return strings.TrimSuffix(rows, countedRows)
		}
		if givesNumber(query) {
			return query
		}
	}
	var all []any
	for _, x := range figures {
		all = append(all, x)
	}
	return "SELECT 1 WHERE ((\n" + query + "\n) " + fmt.Sprintf(operators[operator], all...) + ") IS NOT TRUE"
}
