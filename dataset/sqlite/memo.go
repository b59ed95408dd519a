package sqlite

// memo is what a transaction over many partitions need ask but once, because it
// changes none of it: datasets, and who reads what how. Empty maps remember; nil
// ones, of other transactions, do not.
type memo struct {
	datasets map[string]Dataset
	refused  map[int64]Dataset // by the stage that refused; ID 0 for none
	readers  map[int64][]edge
	inputs   map[int64][]inputOf
	pinned   map[pinning]bool
}

// pinning asks whether a stage reads an input through a pin.
type pinning struct{ stage, input int64 }

func newMemo() memo {
	return memo{map[string]Dataset{}, map[int64]Dataset{}, map[int64][]edge{}, map[int64][]inputOf{}, map[pinning]bool{}}
}

// recall returns what is remembered, or asks and remembers.
func recall[K comparable, V any](known map[K]V, key K, ask func() (V, error)) (V, error) {
	if v, ok := known[key]; ok {
		return v, nil
	}
	v, err := ask()
	if err == nil && known != nil {
		known[key] = v
	}
	return v, err
}
