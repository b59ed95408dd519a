package duck

import (
	"fmt"
	"strings"
)

// typeReader reads a type as DuckDB spells it and writes the type it is stored
// as: STRUCT(a BIGINT, "b c" VARCHAR[]), MAP(VARCHAR, HUGEINT), ENUM('x')[2].
type typeReader struct{ rest string }

// read takes one type from the front of the rest.
func (r *typeReader) read() (string, error) {
	to, err := r.readBase()
	if err != nil {
		return to, err
	}
	for strings.HasPrefix(r.rest, "[") {
		_, after, ok := strings.Cut(r.rest, "]")
		if !ok {
			return to, fmt.Errorf("the type ends within brackets")
		}
		r.rest = after
		to += "[]" // a list of fixed length is stored as a list
	}
	return to, nil
}

func (r *typeReader) readBase() (string, error) {
	switch {
	case r.take("STRUCT("):
		return r.readFields()
	case r.take("MAP("):
		return r.readMap()
	case r.take("ENUM("):
		r.skipEnum()
		return "VARCHAR", nil
	}
	name := r.word()
	if r.take("(") {
		if name != "DECIMAL" && name != "UNION" {
			return "", fmt.Errorf("the type %s is not understood", name)
		}
		args, after, _ := strings.Cut(r.rest, ")")
		r.rest = after
		name += "(" + args + ")"
	}
	return storedScalar(name)
}

// word takes a plain type name, which may hold spaces.
func (r *typeReader) word() string {
	end := strings.IndexAny(r.rest, "(),[")
	if end < 0 {
		end = len(r.rest)
	}
	name := r.rest[:end]
	r.rest = r.rest[end:]
	return name
}

func (r *typeReader) readFields() (string, error) {
	var fields []string
	for {
		name := r.fieldName()
		r.take(" ")
		to, err := r.read()
		if err != nil {
			return "", err
		}
		fields = append(fields, name+" "+to)
		if r.take(")") {
			return "STRUCT(" + strings.Join(fields, ", ") + ")", nil
		}
		if !r.take(", ") {
			return "", fmt.Errorf("the fields of a STRUCT are not understood")
		}
	}
}

// fieldName takes the name of a STRUCT field, in quotes or not.
func (r *typeReader) fieldName() string {
	end := strings.IndexByte(r.rest, ' ')
	if strings.HasPrefix(r.rest, `"`) {
		end = quoted(r.rest, '"')
	}
	end = max(0, end)
	name := r.rest[:end]
	r.rest = r.rest[end:]
	return name
}

func (r *typeReader) readMap() (string, error) {
	key, err := r.read()
	if err != nil {
		return "", err
	}
	if !r.take(", ") {
		return "", fmt.Errorf("the key of a MAP is not understood")
	}
	value, err := r.read()
	if err != nil {
		return "", err
	}
	if !r.take(")") {
		return "", fmt.Errorf("the value of a MAP is not understood")
	}
	return "MAP(" + key + ", " + value + ")", nil
}

// skipEnum passes the values of an enumeration.
func (r *typeReader) skipEnum() {
	for r.rest != "" && !r.take(")") {
		if strings.HasPrefix(r.rest, "'") {
			r.rest = r.rest[quoted(r.rest, '\''):]
		} else {
			r.rest = r.rest[1:]
		}
	}
}

func (r *typeReader) take(prefix string) bool {
	after, ok := strings.CutPrefix(r.rest, prefix)
	if ok {
		r.rest = after
	}
	return ok
}

// quoted returns the length of the quoted text that s begins with; a doubled
// quote stands for one inside.
func quoted(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			continue
		}
		if i+1 == len(s) || s[i+1] != quote {
			return i + 1
		}
		i++
	}
	return len(s)
}
