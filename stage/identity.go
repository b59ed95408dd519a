package stage

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"

	"github.com/reedbed/reedbed/dataset"
)

// identityScheme names the way code identities and trace keys are hashed; a
// change of the way is a new scheme.
const identityScheme = "reedbed identity 1"

// hasher hashes a list of fields so that no two lists give the same bytes.
type hasher struct{ buf []byte }

func (h *hasher) field(s string) {
	h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(len(s)))
	h.buf = append(h.buf, s...)
}

func (h *hasher) number(n int) { h.field(strconv.Itoa(n)) }

func (h *hasher) sum() []byte {
	s := sha256.Sum256(h.buf)
	return s[:]
}

// Semantics are the hand-bumped numbers of what a stage calls.
type Semantics struct {
	Engine    int
	Functions map[string]int
}

// CodeIdentity hashes what the stage computes: its syntax tree, the rejects
// rule's, rounding, how it reads its inputs, the semantics numbers of the engine
// and of each function it calls, and the columns it makes. Comments, formatting,
// owner, description, contract and schedule are no part of it.
func (s *Stage) CodeIdentity(a Analysis, ast, rejectsAST string, columns []dataset.Column, sem Semantics) []byte {
	var h hasher
	h.field(identityScheme)
	h.field("code")
	h.field(ast)
	h.field(rejectsAST)
	h.field(string(s.Header.Partition))
	h.number(sem.Engine)
	h.number(len(s.Header.Inputs))
	for _, name := range s.InputNames() {
		h.field(name)
		h.field(s.Window(name).String())
	}
	called := slices.DeleteFunc(slices.Clone(a.Functions), func(f string) bool { return sem.Functions[f] == 0 })
	h.number(len(called))
	for _, f := range called {
		h.field(f)
		h.number(sem.Functions[f])
	}
	h.number(len(s.Header.Equal))
	for _, column := range slices.Sorted(maps.Keys(s.Header.Equal)) {
		h.field(column)
		h.number(s.Header.Equal[column])
	}
	h.number(len(columns))
	for _, c := range columns {
		h.field(c.Name)
		h.field(c.Type)
	}
	return h.sum()
}

// TraceKey hashes what a run depends on: the stage's code identity, the
// partition, and the content hash of every promoted input read, or that there
// was none (ABSENT).
func TraceKey(name string, p dataset.Partition, codeIdentity []byte, inputs []dataset.Promoted) []byte {
	var h hasher
	h.field(identityScheme)
	h.field("trace")
	h.field(name)
	h.field(string(p))
	h.field(string(codeIdentity))
	sorted := slices.SortedFunc(slices.Values(inputs), func(a, b dataset.Promoted) int {
		return cmp.Or(cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Partition, b.Partition))
	})
	h.number(len(sorted))
	for _, q := range sorted {
		h.field(q.Dataset)
		h.field(string(q.Partition))
		if q.Version == 0 {
			h.field("ABSENT")
			continue
		}
		h.field("present")
		h.field(strconv.FormatInt(q.Rows, 10))
		h.field(string(q.Hash.Bytes()))
	}
	return h.sum()
}
