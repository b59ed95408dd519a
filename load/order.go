package load

import (
	"cmp"
	"math/bits"
	"slices"
)

// itemOrder sorts items by key, then by place in the journal. There are few
// routes, and ids are hashes, evenly spread: so items are dealt out to their
// routes and then by the first bits of their ids, and what is left to compare
// are handfuls. Ids made to fall together only make it as slow as comparing.
type itemOrder struct {
	routes map[uint64]int // items, then where the next one goes
	sorted []uint64       // routes
	spare  []item
	ends   []int32
}

func (o *itemOrder) sort(items []item) {
	o.spare = slices.Grow(o.spare[:0], len(items))[:len(items)]
	o.byRoute(o.spare, items)
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && o.spare[end].key.Route == o.spare[start].key.Route {
			end++
		}
		o.byID(items[start:end], o.spare[start:end])
		start = end
	}
}

// byRoute puts items into dst in order of their routes.
func (o *itemOrder) byRoute(dst, items []item) {
	if o.routes == nil {
		o.routes = map[uint64]int{}
	}
	clear(o.routes)
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && items[end].key.Route == items[start].key.Route {
			end++
		}
		o.routes[items[start].key.Route] += end - start
		start = end
	}
	o.sorted = o.sorted[:0]
	for route := range o.routes {
		o.sorted = append(o.sorted, route)
	}
	slices.Sort(o.sorted)
	at := 0
	for _, route := range o.sorted {
		o.routes[route], at = at, at+o.routes[route]
	}
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && items[end].key.Route == items[start].key.Route {
			end++
		}
		at := o.routes[items[start].key.Route]
		o.routes[items[start].key.Route] = at + copy(dst[at:], items[start:end])
		start = end
	}
}

// byID puts items of one route into dst, sorted.
func (o *itemOrder) byID(dst, items []item) {
	shift := 64 - max(bits.Len(uint(len(items)))-2, 0) // two to four items share their first bits
	buckets := 1 << (64 - shift)
	o.ends = slices.Grow(o.ends[:0], buckets)[:buckets]
	clear(o.ends)
	for i := range items {
		o.ends[items[i].key.ID.Hi>>shift]++
	}
	at := int32(0)
	for i, n := range o.ends {
		o.ends[i], at = at, at+n
	}
	for i := range items {
		end := &o.ends[items[i].key.ID.Hi>>shift]
		dst[*end] = items[i]
		*end++
	}
	start := int32(0)
	for _, end := range o.ends {
		if end-start > 1 {
			slices.SortFunc(dst[start:end], compareItems)
		}
		start = end
	}
}

func compareItems(a, b item) int {
	if c := a.key.Compare(b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.at, b.at)
}
