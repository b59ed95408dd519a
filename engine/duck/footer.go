package duck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Fields of a Parquet file's metadata that say what columns it has.
const (
	schemaField   = 2
	keyValueField = 5
)

var errFooter = errors.New("not the footer of a Parquet file")

// schemaOf returns those bytes of a Parquet file's footer that decide the names
// and types of its columns: files with equal ones are read alike.
func schemaOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // opened for reading
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var tail [8]byte // the footer's length, and PAR1
	if _, err := f.ReadAt(tail[:], info.Size()-8); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errFooter)
	}
	size := int64(binary.LittleEndian.Uint32(tail[:4]))
	if string(tail[4:]) != "PAR1" || size > info.Size()-8 {
		return nil, fmt.Errorf("%s: %w", path, errFooter)
	}
	footer := make([]byte, size)
	if _, err := f.ReadAt(footer, info.Size()-8-size); err != nil {
		return nil, err
	}
	schema, err := schemaIn(footer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return schema, nil
}

// schemaIn cuts the fields out of a footer, which is a struct of Thrift's compact
// protocol.
func schemaIn(footer []byte) (schema []byte, err error) {
	t := thrift{rest: footer}
	err = t.fields(0, func(id int64, value []byte) {
		if id == schemaField || id == keyValueField {
			schema = binary.AppendUvarint(schema, uint64(id))
			schema = binary.AppendUvarint(schema, uint64(len(value)))
			schema = append(schema, value...)
		}
	})
	return schema, err
}

// thrift steps over values of Thrift's compact protocol.
type thrift struct{ rest []byte }

// Types of the compact protocol. Booleans of a struct are in the type itself.
const (
	typeTrue, typeFalse    = 1, 2
	typeByte               = 3
	typeInt16, typeInt64   = 4, 6
	typeDouble, typeBinary = 7, 8
	typeList, typeSet      = 9, 10
	typeStruct             = 12
)

// deepest is how far values may be nested.
const deepest = 32

// fields calls each with the bytes of every field of the struct ahead.
func (t *thrift) fields(depth int, each func(id int64, value []byte)) error {
	var id int64
	for {
		head, err := t.take(1)
		if err != nil || head[0] == 0 {
			return err
		}
		if delta := int64(head[0] >> 4); delta != 0 {
			id += delta
		} else {
			n, err := t.varint()
			if err != nil {
				return err
			}
			id = int64(n>>1) ^ -int64(n&1)
		}
		kind, before := head[0]&15, t.rest
		if kind != typeTrue && kind != typeFalse {
			if err := t.skip(kind, depth); err != nil {
				return err
			}
		}
		if each != nil {
			each(id, before[:len(before)-len(t.rest)])
		}
	}
}

func (t *thrift) skip(kind byte, depth int) error {
	var err error
	switch {
	case depth > deepest:
		return errFooter
	case kind == typeTrue || kind == typeFalse || kind == typeByte:
		_, err = t.take(1)
	case kind >= typeInt16 && kind <= typeInt64:
		_, err = t.varint()
	case kind == typeDouble:
		_, err = t.take(8)
	case kind == typeBinary:
		var n uint64
		if n, err = t.varint(); err == nil {
			_, err = t.take(n)
		}
	case kind == typeList || kind == typeSet:
		err = t.list(depth)
	case kind == typeStruct:
		err = t.fields(depth+1, nil)
	default: // no footer holds a map
		err = errFooter
	}
	return err
}

func (t *thrift) list(depth int) error {
	head, err := t.take(1)
	if err != nil {
		return err
	}
	n := uint64(head[0] >> 4)
	if n == 15 {
		if n, err = t.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(t.rest)) { // an element has a byte at least
		return errFooter
	}
	for range n {
		if err := t.skip(head[0]&15, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (t *thrift) take(n uint64) ([]byte, error) {
	if n > uint64(len(t.rest)) {
		return nil, errFooter
	}
	out := t.rest[:n]
	t.rest = t.rest[n:]
	return out, nil
}

func (t *thrift) varint() (uint64, error) {
	v, n := binary.Uvarint(t.rest)
	if n <= 0 {
		return 0, errFooter
	}
	t.rest = t.rest[n:]
	return v, nil
}
