package load

import "golang.org/x/sys/unix"

// arena keeps copies of byte slices together until it is reset, and then uses
// the same memory again: the journal's own bytes are gone at the next record.
// Its memory is outside the heap, which the collector lets grow by a share of
// what lives there.
type arena struct {
	blocks [][]byte // each of arenaBlock bytes
	used   int      // blocks in use; the last of them is being filled
	free   []byte
}

const arenaBlock = 4 << 20

// keep returns a copy that lives until reset.
func (a *arena) keep(p []byte) []byte {
	if len(p) > arenaBlock/4 {
		return append([]byte(nil), p...)
	}
	if len(p) > len(a.free) {
		a.next()
	}
	n := copy(a.free, p)
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}

func (a *arena) next() {
	if a.used == len(a.blocks) {
		a.blocks = append(a.blocks, newBlock())
	}
	a.free = a.blocks[a.used]
	a.used++
}

func newBlock() []byte {
	block, err := unix.Mmap(-1, 0, arenaBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, arenaBlock) // the heap does as well; Munmap knows what it mapped
	}
	return block
}

// reset gives the memory back for the next keep; nothing kept may be read any
// more. A quarter of the blocks that the last use did not need is let go, so
// that one large backlog does not hold its memory for ever.
func (a *arena) reset() {
	spare := len(a.blocks) - a.used
	a.release(a.used + spare - (spare+3)/4)
	a.used, a.free = 0, nil
}

// release lets all blocks but the first keep go.
func (a *arena) release(keep int) {
	for _, block := range a.blocks[keep:] {
		_ = unix.Munmap(block)
	}
	clear(a.blocks[keep:])
	a.blocks = a.blocks[:keep]
}
