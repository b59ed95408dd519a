package fingerprint

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// Sketch counts distinct values in a register for each of many classes of
// hashes: the most leading zeros seen, plus one (Flajolet, Fusy, Gandouet and
// Meunier 2007, HyperLogLog). That of a union is the larger of each register. It
// holds no value, nor a hash of one.
type Sketch []byte

// Sketches have a power of two of registers, within these bounds.
const (
	mostRegisters  = 512
	leastRegisters = 16
)

// NewSketch has seen nothing yet. Its standard error is 4.6 %.
func NewSketch() Sketch { return make(Sketch, mostRegisters) }

// Add sees a value by its hash, of which all 64 bits must look random.
func (s Sketch) Add(hash uint64) {
	p := bits.TrailingZeros(uint(len(s)))
	class, rest := hash>>(64-p), hash<<p|1<<(p-1) // the bit ends the zeros where the hash does
	s[class] = max(s[class], byte(bits.LeadingZeros64(rest)+1))
}

// Error is the relative standard error of Estimate.
func (s Sketch) Error() float64 {
	if len(s) == 0 {
		return 0
	}
	return 1.04 / math.Sqrt(float64(len(s)))
}

// Estimate is the number of distinct values seen, by the improved raw estimator
// of Ertl 2017 (New cardinality estimation algorithms for HyperLogLog sketches,
// arXiv 1702.01284, algorithm 6), which needs no correction for small numbers.
func (s Sketch) Estimate() float64 {
	if len(s) == 0 {
		return 0
	}
	m, last := float64(len(s)), 64-bits.TrailingZeros(uint(len(s)))+1
	counts := make([]float64, last+1)
	for _, register := range s {
		counts[min(int(register), last)]++
	}
	z := m * tau(1-counts[last]/m)
	for k := last - 1; k >= 1; k-- {
		z = (z + counts[k]) / 2
	}
	return m * m / (2 * math.Ln2 * (z + m*sigma(counts[0]/m)))
}

// sigma is x + the sum of x^(2^k) 2^(k-1) over k from 1; infinite for 1.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	sum := x
	for weight, before := 1.0, -1.0; sum != before; weight *= 2 {
		x *= x
		before, sum = sum, sum+x*weight
	}
	return sum
}

// tau is (1 - x - the sum of (1-x^(2^-k))^2 2^-k over k from 1) / 3.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	sum := 1 - x
	for weight, before := 0.5, -1.0; sum != before; weight /= 2 {
		x = math.Sqrt(x)
		before, sum = sum, sum-(1-x)*(1-x)*weight
	}
	return sum / 3
}

// fold is the sketch of the same values with fewer registers: two that are joined
// differ in the bit that now is the first of those whose zeros are counted.
func (s Sketch) fold(registers int) Sketch {
	for len(s) > registers {
		half := make(Sketch, len(s)/2)
		for i := range half {
			if s[2*i] > 0 {
				half[i] = s[2*i] + 1
			}
			if s[2*i+1] > 0 {
				half[i] = max(half[i], 1)
			}
		}
		s = half
	}
	return s
}

// union is the sketch of the values of all. It is nil if one of them is.
func union(all []Sketch) Sketch {
	fewest := mostRegisters
	for _, s := range all {
		fewest = min(fewest, len(s))
	}
	if fewest == 0 || len(all) == 0 {
		return nil
	}
	out := make(Sketch, fewest)
	for _, s := range all {
		for i, register := range s.fold(fewest) {
			out[i] = max(out[i], register)
		}
	}
	return out
}

// digits write one register each. As text a compressor sees where registers
// begin; as base64 it would not.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// MarshalText writes a digit per register.
func (s Sketch) MarshalText() ([]byte, error) {
	out := make([]byte, len(s))
	for i, register := range s {
		if int(register) >= len(digits) {
			return nil, fmt.Errorf("a register of a sketch is %d", register)
		}
		out[i] = digits[register]
	}
	return out, nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *Sketch) UnmarshalText(b []byte) error {
	n := len(b)
	if n == 0 {
		*s = nil
		return nil
	}
	if n < leastRegisters || n > mostRegisters || n&(n-1) != 0 {
		return fmt.Errorf("a sketch of %d registers", n)
	}
	last := 64 - bits.TrailingZeros(uint(n)) + 1
	out := make(Sketch, n)
	for i, digit := range b {
		register := strings.IndexByte(digits, digit)
		if register < 0 || register > last {
			return errors.New("a sketch with a register that cannot be")
		}
		out[i] = byte(register)
	}
	*s = out
	return nil
}
