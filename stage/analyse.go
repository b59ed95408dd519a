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
	Tables    []string // relations read, also by functions, without the query's own CTEs
	Functions []string // functions called, lower case; SQL's current_date and the like too
	Sources   []string // table functions in FROM clauses that read what is no input
	Sampled   bool     // some relation is sampled
	root      node
	rejects   node
}

// node is one object of the engine's serialised syntax tree.
type node map[string]any

// Analyse reads the engine's serialisation of one parsed SELECT.
func Analyse(ast string) (Analysis, error) {
	root, err := readTree(ast)
	a := Analysis{root: root}
	a.gather()
	return a, err
}

// WithRejects adds what the rejects rule reads and calls, given as the tree of
// `SELECT rule`.
func (a Analysis) WithRejects(ast string) (Analysis, error) {
	root, err := readTree(ast)
	a.rejects = root
	a.gather()
	return a, err
}

func readTree(ast string) (node, error) {
	var doc struct {
		Node node `json:"node"`
	}
	if err := json.Unmarshal([]byte(ast), &doc); err != nil {
		return nil, fmt.Errorf("read the syntax tree: %w", err)
	}
	if doc.Node == nil {
		return nil, errors.New("the syntax tree has no query")
	}
	return doc.Node, nil
}

func (a *Analysis) gather() {
	c := collector{tables: map[string]bool{}, functions: map[string]bool{}, sources: map[string]bool{}}
	c.collect(a.root, map[string]bool{})
	c.collect(a.rejects, map[string]bool{})
	a.Tables, a.Functions = slices.Sorted(maps.Keys(c.tables)), slices.Sorted(maps.Keys(c.functions))
	a.Sources, a.Sampled = slices.Sorted(maps.Keys(c.sources)), c.sampled
	for f, table := range readers {
		if c.functions[f] && !slices.Contains(a.Tables, table) {
			a.Tables = append(a.Tables, table)
		}
	}
	slices.Sort(a.Tables)
}

type collector struct {
	tables, functions, sources map[string]bool
	sampled                    bool
}

// collect gathers what is read and called below v, where the given CTEs are
// visible.
func (c *collector) collect(v any, ctes map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			c.collect(child, ctes)
		}
	case map[string]any:
		c.node(v, ctes)
	case node:
		c.node(v, ctes)
	}
}

func (c *collector) node(n node, ctes map[string]bool) {
	ctes = c.declare(n, ctes)
	switch n.text("type") {
	case "BASE_TABLE":
		if !ctes[n.table()] {
			c.tables[n.table()] = true
		}
	case "TABLE_FUNCTION":
		if f := strings.ToLower(n.child("function").text("function_name")); !pureSources[f] {
			c.sources[f] = true
		}
	case "COLUMN_REF":
		// The binder reads current_date as a call where no column has that name.
		if names := n.list("column_names"); len(names) == 1 {
			if s, _ := names[0].(string); volatile[strings.ToLower(s)] {
				c.functions[strings.ToLower(s)] = true
			}
		}
	}
	if name := n.text("function_name"); name != "" {
		c.functions[strings.ToLower(name)] = true
	}
	c.sampled = c.sampled || n["sample"] != nil
	for key, child := range n {
		if key != "cte_map" {
			c.collect(child, ctes)
		}
	}
}

// declare gathers from a node's CTEs and returns those visible in the rest of
// it: a CTE sees those before it, and itself if it is recursive.
func (c *collector) declare(n node, ctes map[string]bool) map[string]bool {
	entries := n.child("cte_map").list("map")
	if len(entries) > 0 {
		ctes = maps.Clone(ctes)
	}
	for _, e := range entries {
		name, body := cteQuery(e)
		if body.text("type") == "RECURSIVE_CTE_NODE" {
			ctes[name] = true
		}
		c.collect(body, ctes)
		ctes[name] = true
	}
	return ctes
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

// cteQuery returns the lower-case name and the query of one WITH entry.
func cteQuery(entry any) (string, node) {
	e, _ := entry.(map[string]any)
	return strings.ToLower(node(e).text("key")), node(e).child("value").child("query").child("node")
}

// callsFor names the function through which a table is read, "" for none.
func (a Analysis) callsFor(table string) string {
	for f, reads := range readers {
		if reads == table && slices.Contains(a.Functions, f) {
			return f
		}
	}
	return ""
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
	return w.query(a.root) && w.seen == 1 && w.expression(a.rejects["select_list"])
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
		if w.inCTE(n.table(), func(cte node) bool { return w.touches(cte) }) {
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

// inCTE asks fn about the CTE of a name, false if there is none. Within it the
// name means something else: an input, or a recursion, which is not followed.
func (w *rowWise) inCTE(name string, fn func(node) bool) bool {
	cte, ok := w.ctes[name]
	if !ok {
		return false
	}
	delete(w.ctes, name)
	defer func() { w.ctes[name] = cte }()
	return fn(cte)
}

func (w *rowWise) query(n node) bool {
	if n.text("type") != "SELECT_NODE" || n.text("aggregate_handling") == "FORCE_AGGREGATES" { // GROUP BY ALL
		return false
	}
	for _, entry := range n.child("cte_map").list("map") {
		name, q := cteQuery(entry)
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
		return w.inCTE(n.table(), w.query)
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
