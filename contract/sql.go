package contract

import (
	"regexp"
	"slices"
	"strings"
)

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// sql writes a bound: a number as it is, everything else as a text that takes
// the type of the column it is compared with.
func (l Literal) sql() string {
	if plainNumber.MatchString(l.Text) {
		return l.Text
	}
	return quoteText(l.Text)
}

var plainNumber = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// counting makes of a check's SELECT one that gives how many rows break it. number
// says that it gives one number itself, 0 if all is well: it counts, or makes
// another single value of all rows. Every other SELECT finds rows that must not
// be there, and those are counted.
func counting(sql string) (out string, number bool) {
	if givesNumber(sql) {
		// A fraction of a row breaks it too, and so does a number below 0.
		return "SELECT ceil(abs(coalesce((\n" + sql + "\n)::DOUBLE, 0)))::BIGINT", true
	}
	return "SELECT count(*) FROM (\n" + sql + "\n)", false
}

// givesNumber reports whether a SELECT always has one row, with one value: its
// list is a single expression with an aggregate, and nothing groups. It errs
// towards false, by which a check that gives one row is always broken, and seen.
func givesNumber(sql string) bool {
	words := flatten(sql)
	from := slices.Index(words, "SELECT")
	if from < 0 {
		return false
	}
	list := words[from+1:]
	if end := slices.Index(list, "FROM"); end >= 0 {
		if slices.ContainsFunc(list[end:], func(w string) bool { return groups[w] }) {
			return false
		}
		list = list[:end]
	}
	if slices.Contains(list, ",") || slices.ContainsFunc(list, func(w string) bool { return groups[w] }) || slices.Contains(list, "OVER") || slices.Contains(list, "DISTINCT") {
		return false
	}
	return slices.ContainsFunc(list, func(w string) bool { return aggregates[w] })
}

// groups are words after which a SELECT may have other than one row.
var groups = set("GROUP HAVING LIMIT OFFSET QUALIFY UNION INTERSECT EXCEPT SELECT")

// aggregates as they are written when called.
var aggregates = set("COUNT( SUM( MIN( MAX( AVG( COUNT_IF( COUNTIF( COUNT_STAR( BOOL_OR( BOOL_AND( APPROX_COUNT_DISTINCT( MEDIAN( STDDEV( ANY_VALUE(")

func set(words string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		out[w] = true
	}
	return out
}

var (
	skipped = regexp.MustCompile(`(?s)'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/`)
	token   = regexp.MustCompile(`"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*\s*\(|[A-Za-z_][A-Za-z0-9_]*|[(),]`)
)

// flatten gives the words of a query in capitals, a call with its parenthesis,
// without what is in subqueries and behind WITH. The arguments of other calls
// stand like words of their own, but for their commas.
func flatten(sql string) []string {
	var out []string
	var open []bool // of each parenthesis, whether what is in it is left out
	all := token.FindAllString(skipped.ReplaceAllString(sql, " "), -1)
	for i, t := range all {
		word := strings.ToUpper(strings.Join(strings.Fields(t), ""))
		hidden := slices.Contains(open, true)
		switch {
		case word == "(" || strings.HasSuffix(word, "(") && word[0] != '"':
			inner := i+1 < len(all) && slices.Contains([]string{"SELECT", "WITH", "FROM"}, strings.ToUpper(all[i+1]))
			open = append(open, inner)
			if name := strings.TrimSuffix(word, "("); groups[name] || name == "FROM" || name == "OVER" {
				word = name // a keyword, not a call
			}
			if !hidden && word != "(" {
				out = append(out, word)
			}
		case word == ")":
			open = open[:max(0, len(open)-1)]
		case hidden || word == "," && len(open) > 0:
		default:
			out = append(out, word)
		}
	}
	return out
}
