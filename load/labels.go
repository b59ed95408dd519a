package load

import (
	"cmp"
	"slices"
	"strings"
)

// labels numbers the pairs of source and event name a cycle meets. There are
// few of them, and sorting rows by a number costs far less than by two texts.
type labels struct {
	sources map[string]map[string]int32
	all     []label
}

type label struct{ source, name string }

// number returns the number of a pair: the same for equal pairs.
func (l *labels) number(source, name string) int32 {
	names, ok := l.sources[source]
	if !ok {
		if l.sources == nil {
			l.sources = map[string]map[string]int32{}
		}
		names = map[string]int32{}
		l.sources[source] = names
	}
	n, ok := names[name]
	if !ok {
		n = int32(len(l.all))
		names[name] = n
		l.all = append(l.all, label{source, name})
	}
	return n
}

// ranks returns, by number, the place of each pair in sorted order.
func (l *labels) ranks() []int32 {
	order := make([]int32, len(l.all))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(strings.Compare(l.all[a].source, l.all[b].source), strings.Compare(l.all[a].name, l.all[b].name))
	})
	ranks := make([]int32, len(order))
	for rank, n := range order {
		ranks[n] = int32(rank)
	}
	return ranks
}

func (l *labels) reset() {
	clear(l.sources)
	clear(l.all)
	l.all = l.all[:0]
}
