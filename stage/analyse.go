package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Analysis is what the parsed SQL of a stage says.
type Analysis struct {
	Tables    []string // relations read, without the query's own CTEs
	Functions []string // functions called, lower case
	root      node
}

// node is one object of the engine's serialised syntax tree.
type node map[string]any

// Analyse reads the engine's serialisation of one parsed SELECT.
func Analyse(ast string) (Analysis, error) {
	var doc struct {
		Node node `json:"node"`
	}
	if err := json.Unmarshal([]byte(ast), &doc); err != nil {
		return Analysis{}, fmt.Errorf("read the syntax tree: %w", err)
	}
	if doc.Node == nil {
		return Analysis{}, errors.New("the syntax tree has no query")
	}
	a := Analysis{root: doc.Node}
	tables, functions := map[string]bool{}, map[string]bool{}
	collect(a.root, map[string]bool{}, tables, functions)
	a.Tables, a.Functions = slices.Sorted(maps.Keys(tables)), slices.Sorted(maps.Keys(functions))
	return a, nil
}

// collect gathers the relations and functions below v. A CTE is visible to the
// node that declares it and to all below.
func collect(v any, ctes, tables, functions map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			collect(child, ctes, tables, functions)
		}
	case map[string]any:
		collectNode(v, ctes, tables, functions)
	case node:
		collectNode(v, ctes, tables, functions)
	}
}

func collectNode(n node, ctes, tables, functions map[string]bool) {
	declared := cteQueries(n)
	if len(declared) > 0 {
		ctes = maps.Clone(ctes)
		for name := range declared {
			ctes[name] = true
		}
	}
	if n.text("type") == "BASE_TABLE" && !ctes[n.table()] {
		tables[n.table()] = true
	}
	if name := n.text("function_name"); name != "" {
		functions[strings.ToLower(name)] = true
	}
	for _, child := range n {
		collect(child, ctes, tables, functions)
	}
}

func (n node) text(key string) string {
	s, _ := n[key].(string)
	return s
}

func (n node) child(key string) node {
	c, _ := n[key].(map[string]any)
	return c
}

func (n node) list(key string) []any {
	l, _ := n[key].([]any)
	return l
}

func (n node) table() string { return strings.ToLower(n.text("table_name")) }

// cteQueries returns the WITH queries a node declares, by lower-case name.
func cteQueries(n node) map[string]node {
	out := map[string]node{}
	for _, entry := range n.child("cte_map").list("map") {
		e, _ := entry.(map[string]any)
		out[strings.ToLower(node(e).text("key"))] = node(e).child("value").child("query").child("node")
	}
	return out
}

// Volatile lists the called functions whose result is not a function of the
// stage's inputs; a stage that calls one cannot be recomputed exactly.
func (a Analysis) Volatile() []string {
	return slices.DeleteFunc(slices.Clone(a.Functions), func(f string) bool { return !volatile[f] })
}

// RowWise reports whether each output row comes from one row of the driver and
// nothing else but side inputs, so that the output for added rows is what must
// be added to the output: no aggregate, window, distinct, limit or set operation
// over the driver, which appears once and on the preserved side of every join.
// It errs towards false.
func (a Analysis) RowWise(driver string) bool {
	w := rowWise{driver: strings.ToLower(driver), ctes: map[string]node{}}
	return w.query(a.root) && w.seen == 1
}

type rowWise struct {
	driver string
	ctes   map[string]node
	seen   int // references to the driver, through CTEs
}

// touches reports whether anything below v reads the driver.
func (w *rowWise) touches(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, w.touches)
	case map[string]any:
		return w.touchesNode(v)
	case node:
		return w.touchesNode(v)
	}
	return false
}

func (w *rowWise) touchesNode(n node) bool {
	if n.text("type") == "BASE_TABLE" {
		if n.table() == w.driver {
			return true
		}
		if cte, ok := w.ctes[n.table()]; ok && w.touches(cte) {
			return true
		}
	}
	for key, child := range n {
		if key != "cte_map" && w.touches(child) {
			return true
		}
	}
	return false
}

func (w *rowWise) query(n node) bool {
	if n.text("type") != "SELECT_NODE" {
		return false
	}
	for name, q := range cteQueries(n) {
		if _, shadows := w.ctes[name]; shadows || name == w.driver {
			return false
		}
		w.ctes[name] = q
	}
	for _, m := range n.list("modifiers") {
		mod, _ := m.(map[string]any)
		if node(mod).text("type") != "ORDER_MODIFIER" {
			return false
		}
	}
	for _, key := range []string{"group_expressions", "having", "qualify", "sample"} {
		if n[key] != nil {
			return false
		}
	}
	return w.expression(n["select_list"]) && w.expression(n["where_clause"]) && w.from(n.child("from_table"))
}

// expression reports whether v computes one row at a time.
func (w *rowWise) expression(v any) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(c any) bool { return !w.expression(c) })
	case map[string]any:
		n := node(v)
		switch {
		case n.text("class") == "SUBQUERY":
			return !w.touches(n.child("subquery")) && w.expression(n["child"])
		case n.text("class") == "WINDOW":
			return false
		case aggregates[strings.ToLower(n.text("function_name"))]:
			return false
		}
		for _, child := range v {
			if !w.expression(child) {
				return false
			}
		}
	}
	return true
}

// from reports whether the driver is read once, on a side of every join whose
// rows are kept one by one.
func (w *rowWise) from(n node) bool {
	switch n.text("type") {
	case "BASE_TABLE":
		if n.table() == w.driver {
			w.seen++
			return n["sample"] == nil
		}
		cte, ok := w.ctes[n.table()]
		return ok && w.query(cte)
	case "SUBQUERY":
		return n["sample"] == nil && w.query(n.child("subquery").child("node"))
	case "JOIN":
		return w.join(n)
	}
	return false
}

func (w *rowWise) join(n node) bool {
	left, right := n.child("left"), n.child("right")
	if ref := n.text("ref_type"); ref == "POSITIONAL" || !w.expression(n["condition"]) {
		return false
	}
	inLeft, inRight := w.touches(left), w.touches(right)
	kind := n.text("join_type")
	switch {
	case inLeft && !inRight:
		return slices.Contains([]string{"INNER", "LEFT", "SEMI", "ANTI"}, kind) && w.from(left)
	case inRight && !inLeft:
		return slices.Contains([]string{"INNER", "RIGHT"}, kind) && n.text("ref_type") != "ASOF" && w.from(right)
	}
	return false
}
