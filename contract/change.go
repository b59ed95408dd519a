package contract

import (
	"fmt"
	"slices"
	"strings"
)

// Changes says in words how rules differ from what they were.
func (r Rules) Changes(was Rules) []string {
	var out []string
	before, after := was.byID(), r.byID()
	for _, x := range r.List {
		old, had := before[x.ID]
		switch {
		case !had:
			out = append(out, fmt.Sprintf("%s: new: %s", x.ID, x.Says))
		case !slices.Equal(old.judged(), x.judged()):
			out = append(out, fmt.Sprintf("%s: was: %s; is: %s", x.ID, old.Says, x.Says))
		}
	}
	for _, old := range was.List {
		if _, has := after[old.ID]; !has {
			out = append(out, fmt.Sprintf("%s: gone: %s", old.ID, old.Says))
		}
	}
	return out
}

func (r Rules) byID() map[string]Rule {
	out := map[string]Rule{}
	for _, x := range r.List {
		out[x.ID] = x
	}
	return out
}

// Changes says in words how a profile differs from what it was.
func (p Profile) Changes(was Profile) []string {
	var out []string
	before, after := was.Needs(), p.Needs()
	for _, m := range after.Measures {
		i := slices.IndexFunc(before.Measures, func(o Expr) bool { return o.Name == m.Name })
		switch {
		case i < 0:
			out = append(out, fmt.Sprintf("fingerprint.measures.%s: new", m.Name))
		case before.Measures[i].SQL != m.SQL:
			out = append(out, fmt.Sprintf("fingerprint.measures.%s: was %s, is %s", m.Name, before.Measures[i].SQL, m.SQL))
		}
	}
	for _, m := range before.Measures {
		if !slices.ContainsFunc(after.Measures, func(o Expr) bool { return o.Name == m.Name }) {
			out = append(out, fmt.Sprintf("fingerprint.measures.%s: gone", m.Name))
		}
	}
	if !slices.Equal(before.Categories, after.Categories) {
		out = append(out, fmt.Sprintf("fingerprint.entropy: was %s, is %s", listed(before.Categories), listed(after.Categories)))
	}
	return out
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
