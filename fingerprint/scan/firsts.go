package scan

import "github.com/reedbed/reedbed/fingerprint"

// firsts counts the rows of some values: of those whose hashes end in as many zeros as
// leaves at most fingerprint.FirstsValues of them. So it is known of each whether another
// row has it, which no estimate of their number tells.
type firsts struct {
	end    uint64 // the bits of a hash that have to be zero
	values int
	slots  [2 * fingerprint.FirstsValues]seen
}

type seen struct{ hash, rows uint64 } // no rows in an empty slot

func (f *firsts) reset() { *f = firsts{} }

// add sees rows of a value.
func (f *firsts) add(hash uint64, rows int64) {
	if hash&f.end == 0 {
		f.count(hash, rows)
	}
}

func (f *firsts) count(hash uint64, rows int64) {
	// The sketch takes the first bits and end the last: those between find the slot.
	at := hash >> 32 % uint64(len(f.slots))
	for f.slots[at].rows > 0 && f.slots[at].hash != hash {
		at = (at + 1) % uint64(len(f.slots))
	}
	s := &f.slots[at]
	if s.rows == 0 {
		f.values++
		s.hash = hash
	}
	s.rows = min(s.rows+uint64(rows), fingerprint.FirstsRows)
	if f.values > fingerprint.FirstsValues {
		f.thin()
	}
}

// thin keeps about half of the values.
func (f *firsts) thin() {
	before := f.slots
	*f = firsts{end: f.end<<1 | 1}
	for _, s := range before {
		if s.rows > 0 {
			f.add(s.hash, int64(s.rows))
		}
	}
}

// share is that of the rows which are the first with their value; nil without rows.
func (f *firsts) share() *float64 {
	var rows uint64
	for i := range f.slots {
		rows += f.slots[i].rows
	}
	if rows == 0 {
		return nil
	}
	share := float64(f.values) / float64(rows)
	return &share
}
