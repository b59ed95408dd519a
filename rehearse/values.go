package rehearse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

var plainNumber = regexp.MustCompile(`^[+-]?[0-9]*(\.[0-9]*)?$`)

// exact reports whether the text is a number that a column of an exact numeric
// type holds as it is. Columns of other types hold what the engine accepts.
func exact(text, typ string) bool {
	scale, ok := scaleOf(typ)
	if !ok {
		return true
	}
	_, fraction, _ := strings.Cut(text, ".")
	return plainNumber.MatchString(text) && strings.ContainsAny(text, "0123456789") && len(strings.TrimRight(fraction, "0")) <= scale
}

// scaleOf is how many decimals an exact numeric type has.
func scaleOf(typ string) (int, bool) {
	if args, ok := strings.CutPrefix(typ, "DECIMAL("); ok {
		_, scale, _ := strings.Cut(strings.TrimSuffix(args, ")"), ",")
		n, err := strconv.Atoi(strings.TrimSpace(scale))
		return n, err == nil
	}
	switch strings.TrimPrefix(typ, "U") {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT":
		return 0, true
	}
	return 0, false
}

// structured reports that the values of a type are compared as JSON.
func structured(typ string) bool {
	return typ == "JSON" || strings.HasSuffix(typ, "]") || strings.HasPrefix(typ, "STRUCT(") || strings.HasPrefix(typ, "MAP(")
}

// Floating point values are equal if they agree in nine digits, or are both as
// good as zero.
const (
	relative = 1e-9
	absolute = 1e-12
)

// equal compares two values of a column as normal wrote them; nil is NULL.
func equal(c dataset.Column, a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	if *a == *b {
		return true
	}
	if c.Type != "DOUBLE" && c.Type != "FLOAT" {
		return false
	}
	x, errX := strconv.ParseFloat(*a, 64)
	y, errY := strconv.ParseFloat(*b, 64)
	if errX != nil || errY != nil {
		return false
	}
	return math.Abs(x-y) <= max(absolute, relative*max(math.Abs(x), math.Abs(y)))
}

// decodeRows reads lines of JSON objects, a cell per column.
func decodeRows(columns []dataset.Column, lines []byte) ([][]*string, error) {
	var out [][]*string
	for line := range bytes.Lines(lines) {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(line, &object); err != nil {
			return nil, fmt.Errorf("read a row back: %w", err)
		}
		cells := make([]*string, len(columns))
		for i, c := range columns {
			text, err := normal(c, object[c.Name])
			if err != nil {
				return nil, fmt.Errorf("read column %s back: %w", c.Name, err)
			}
			cells[i] = text
		}
		out = append(out, cells)
	}
	return out, nil
}

// normal writes a JSON value so that equal values of a column are equal texts:
// structures with sorted keys, other values bare.
func normal(c dataset.Column, raw json.RawMessage) (*string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	if structured(c.Type) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		sorted, err := json.Marshal(v)
		return new(string(sorted)), err
	}
	if raw[0] != '"' {
		return new(string(raw)), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return &s, err
}
