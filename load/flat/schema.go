package flat

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

func physical(t Type) format.Type {
	switch t {
	case Text, JSON, Blob:
		return format.ByteArray
	case Bool:
		return format.Boolean
	}
	return format.Int64
}

// schemaOf lets the Parquet library say what columns look like in a file's
// metadata, by writing an empty file of a struct made for them.
func schemaOf(columns []Column) ([]format.SchemaElement, error) {
	fields := make([]reflect.StructField, len(columns))
	for i, c := range columns {
		goes, tag := goType(c.Type)
		tag = c.Name + tag
		if c.Null {
			tag += ",optional"
		}
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("C%02d", i),
			Type: goes,
			Tag:  reflect.StructTag(fmt.Sprintf("parquet:%q", tag)),
		}
	}
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.SchemaOf(reflect.New(reflect.StructOf(fields)).Interface()))
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("make the Parquet schema: %w", err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return nil, fmt.Errorf("make the Parquet schema: %w", err)
	}
	return f.Metadata().Schema, nil
}

func goType(t Type) (goes reflect.Type, tag string) {
	switch t {
	case JSON:
		return reflect.TypeFor[string](), ",json"
	case Blob:
		return reflect.TypeFor[[]byte](), ""
	case Timestamp:
		return reflect.TypeFor[int64](), ",timestamp(microsecond:utc)"
	case Int:
		return reflect.TypeFor[int64](), ""
	case Uint:
		return reflect.TypeFor[uint64](), ""
	case Bool:
		return reflect.TypeFor[bool](), ""
	}
	return reflect.TypeFor[string](), ""
}
