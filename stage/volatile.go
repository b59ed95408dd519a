package stage

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Whoever computes a partition again must get the same rows: otherwise nobody can
// tell a correction from chance, and going back to an earlier definition gives
// something else than before. This file finds what gives other rows from the same
// inputs. It errs towards letting through: an order with ties is not seen.

// Functions whose result depends on the order in which rows come.
var (
	orderedAggregates = words(`any_value arbitrary array_agg first group_concat last list listagg string_agg`)

	orderedWindows = words(`any_value arbitrary array_agg first first_value group_concat lag last last_value lead list
		listagg nth_value ntile row_number string_agg`)

	// sorters make the order of a list not matter.
	sorters = words(`array_reverse_sort array_sort len length list_reverse_sort list_sort`)
)

// unsteady is a place of the SQL that gives other rows from the same inputs.
type unsteady struct {
	word      string // to find it by in the text
	what, fix string
}

// CheckSteady refuses SQL that gives other rows each time, unless the header says
// `volatile: true`.
func (s *Stage) CheckSteady(a Analysis) []Problem {
	if s.Header.Volatile {
		return nil
	}
	var out []Problem
	for _, u := range a.unsteady() {
		p := Problem{File: s.File, Line: s.lineOf(u.word), What: u.what, Fix: u.fix + "; or declare `volatile: true` in the header"}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func (a Analysis) unsteady() []unsteady {
	var out []unsteady
	for _, f := range a.Volatile() {
		out = append(out, unsteady{
			f, f + "() gives another answer each time, so the stage could never be recomputed exactly",
			"use a column of the input, such as received_at, or getvariable('partition_start')",
		})
	}
	if a.Sampled {
		out = append(out, unsteady{
			"sample", "a sample is another one each time, so the stage could never be recomputed exactly",
			"choose rows by a hash of their key, such as hash(event_id) % 10 = 0",
		})
	}
	w := steadiness{}
	w.look(a.root, false)
	w.look(a.rejects, false)
	return append(out, w.found...)
}

// steadiness gathers what depends on the order of rows where none is asked for.
type steadiness struct{ found []unsteady }

// look goes through everything below v. sorted says that the order of the list
// that v is does not matter.
func (w *steadiness) look(v any, sorted bool) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			w.look(child, sorted)
		}
	case map[string]any:
		w.node(v, sorted)
	case node:
		w.node(v, sorted)
	}
}

func (w *steadiness) node(n node, sorted bool) {
	name := strings.ToLower(n.text("function_name"))
	ordered := len(n.child("order_bys").list("orders"))+len(n.list("orders"))+len(n.list("arg_orders")) > 0
	switch n.text("class") {
	case "FUNCTION":
		if orderedAggregates[name] && !ordered && !sorted {
			w.add(name, fmt.Sprintf("%s() takes rows as they happen to come", name), fmt.Sprintf("say in which order: %s(x ORDER BY y)", name))
		}
	case "WINDOW":
		if orderedWindows[name] && !ordered && !sorted {
			w.add(name, fmt.Sprintf("%s() OVER (...) takes rows as they happen to come", name), "say in which order: OVER (... ORDER BY y)")
		}
	}
	w.modifiers(n.list("modifiers"))
	for key, child := range n {
		w.look(child, key == "children" && sorters[name])
	}
}

// modifiers looks at what ends a query.
func (w *steadiness) modifiers(all []any) {
	ordered := false
	for _, m := range all {
		mod, _ := m.(map[string]any)
		ordered = ordered || node(mod).text("type") == "ORDER_MODIFIER"
	}
	for _, m := range all {
		mod, _ := m.(map[string]any)
		switch kind := node(mod).text("type"); {
		case ordered:
		case kind == "LIMIT_MODIFIER" || kind == "LIMIT_PERCENT_MODIFIER":
			w.add("limit", "LIMIT without ORDER BY keeps the rows that happen to come first", "add ORDER BY over columns that tell rows apart")
		case kind == "DISTINCT_MODIFIER" && len(node(mod).list("distinct_on_targets")) > 0:
			w.add("distinct", "DISTINCT ON without ORDER BY keeps the rows that happen to come first", "add ORDER BY over columns that tell rows apart")
		}
	}
}

func (w *steadiness) add(word, what, fix string) {
	w.found = append(w.found, unsteady{word, what + ", so the stage could never be recomputed exactly", fix})
}

// lineOf is the line of the file on which a word of the SQL stands first, outside
// of comments and quotes; else that of the rejects rule, else where the SQL begins.
func (s *Stage) lineOf(word string) int {
	pattern := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(word))
	if at := pattern.FindStringIndex(unquoted(s.SQL)); at != nil {
		return s.SQLLine + strings.Count(s.SQL[:at[0]], "\n")
	}
	if pattern.MatchString(unquoted(s.Header.Rejects)) {
		return s.Line("rejects")
	}
	return s.SQLLine
}

var quotes = regexp.MustCompile(`(?s)'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/`)

// unquoted blanks comments and quoted texts, so that every other byte and every
// line stays where it is.
func unquoted(sql string) string {
	return quotes.ReplaceAllStringFunc(sql, func(q string) string {
		blank := []byte(q)
		for i, b := range blank {
			if b != '\n' {
				blank[i] = ' '
			}
		}
		return string(blank)
	})
}
