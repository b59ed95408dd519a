package faultdisk

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

// Kind is a kind of operation.
type Kind string

// The kinds. Open counts also when it makes a file.
const (
	Open     Kind = "open"
	Read     Kind = "read"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	Mkdir    Kind = "mkdir"
	SyncDir  Kind = "syncdir"
)

// Op is an operation about to happen; N counts them from 1.
type Op struct {
	N    int
	Kind Kind
	Name string
}

// Outcome is what a failed operation did all the same.
type Outcome int

// The outcomes. Half is for writes and syncs; others take it as Lost.
const (
	Lost Outcome = iota // nothing
	Done                // all of it: only the report is wrong
	Half                // the first half
	Dead                // nothing, and what is dirty stays so: the power is off
)

// Fault decides whether an operation fails: a nil error lets it be.
type Fault func(Op) (Outcome, error)

// FailNth fails the n-th operation and no other.
func FailNth(n int, out Outcome, err error) Fault {
	return func(op Op) (Outcome, error) {
		if op.N != n {
			return Done, nil
		}
		return out, fmt.Errorf("%s %s: %w", op.Kind, op.Name, err)
	}
}

// PowerOff fails every operation from the n-th on, without any effect: what
// CrashClone then returns is the disk as it was at that moment.
func PowerOff(n int) Fault {
	return func(op Op) (Outcome, error) {
		if op.N < n {
			return Done, nil
		}
		return Dead, fmt.Errorf("%s %s: the power is off", op.Kind, op.Name)
	}
}

// SetFault installs a fault, nil for none, and counts operations from 1 again.
// The fault is called with the disk locked.
func (f *FS) SetFault(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.ops = fault, 0
}

// SetGate installs a function that writes and syncs of files call before they
// begin, outside any lock, and that may take as long as it likes.
func (f *FS) SetGate(gate func(Op)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = gate
}

func (f *FS) pass(kind Kind, name string) {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		gate(Op{Kind: kind, Name: name})
	}
}

// Ops is the number of operations since SetFault.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

func (f *FS) inject(kind Kind, name string) (Outcome, error) {
	f.ops++
	if f.fault == nil {
		return Done, nil
	}
	return f.fault(Op{f.ops, kind, name})
}

// Flip changes bits of a byte, on the disk and in the cache.
func (f *FS) Flip(name string, off int64, bits byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[name]
	n.live[off] ^= bits
	if off < int64(len(n.synced)) {
		n.synced[off] ^= bits
	}
}

// Contents is a copy of what readers of a file see.
func (f *FS) Contents(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, ok := f.names[name]; ok {
		return slices.Clone(n.live)
	}
	return nil
}

// Replace sets the contents of a file, durably, whatever was there.
func (f *FS) Replace(name string, contents []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &inode{live: slices.Clone(contents), synced: slices.Clone(contents)}
	f.names[name], f.durable[name] = n, n
}

// sector is what a disk writes whole, except when a write is torn.
const sector = 512

// CrashClone is the disk after the power failed now: everything synced, and a
// random part of the rest. How much of the rest is random too, so that all,
// none and single sectors occur. The original can be used on.
func (f *FS) CrashClone(rng *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &crash{rng: rng, odds: []float64{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)], clones: map[*inode]*inode{}}
	after := New()
	after.limit = f.limit
	after.durable = maps.Clone(f.durable)
	for _, r := range f.pending {
		if c.survives() {
			r.apply(after.durable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after.durable)) {
		parent := path.Dir(name)
		if _, ok := after.durable[parent]; !ok && parent != "." {
			delete(after.durable, name)
			continue
		}
		after.durable[name] = c.clone(after.durable[name])
	}
	after.names = maps.Clone(after.durable)
	return after
}

// Clone is a copy of the disk as processes see it: what is left when a process
// is killed and the machine goes on.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := New()
	after.limit = f.limit
	clones := map[*inode]*inode{}
	clone := func(n *inode) *inode {
		if n != nil && clones[n] == nil {
			clones[n] = &inode{n.dir, slices.Clone(n.live), slices.Clone(n.synced), slices.Clone(n.pending)}
		}
		return clones[n]
	}
	for name, n := range f.names {
		after.names[name] = clone(n)
	}
	for name, n := range f.durable {
		after.durable[name] = clone(n)
	}
	for _, r := range f.pending {
		after.pending = append(after.pending, rename{r.old, r.new, clone(r.node)})
	}
	return after
}

type crash struct {
	rng    *rand.Rand
	odds   float64
	clones map[*inode]*inode
}

func (c *crash) survives() bool { return c.rng.Float64() < c.odds }

// clone is a file as the crash left it. Files with two names stay one file.
func (c *crash) clone(n *inode) *inode {
	if made, ok := c.clones[n]; ok {
		return made
	}
	b := slices.Clone(n.synced)
	for _, ch := range n.pending {
		if ch.data == nil {
			if c.survives() {
				b = ch.apply(b)
			}
			continue
		}
		for _, part := range sectors(ch) {
			if !c.survives() {
				continue
			}
			if c.rng.IntN(16) == 0 {
				part.data = part.data[:1+c.rng.IntN(len(part.data))] // torn
			}
			b = part.apply(b)
		}
	}
	made := &inode{dir: n.dir, live: b, synced: slices.Clone(b)}
	c.clones[n] = made
	return made
}

// sectors cuts a write at the disk's sector boundaries.
func sectors(c change) []change {
	var parts []change
	for len(c.data) > 0 {
		n := min(len(c.data), sector-int(c.off%sector))
		parts = append(parts, change{c.off, c.data[:n]})
		c.off, c.data = c.off+int64(n), c.data[n:]
	}
	return parts
}
