package duck

import (
	"strings"
	"testing"
)

func TestStoredType(t *testing.T) {
	tests := map[string]string{
		"BIGINT": "BIGINT", "HUGEINT": "BIGINT", "DECIMAL(18,3)": "DECIMAL(18,3)",
		"ENUM('a', 'it''s, )')": "VARCHAR", "ENUM('a')[]": "VARCHAR[]", "INTEGER[3][]": "INTEGER[][]",
		"STRUCT(HUGEINT HUGEINT)":                 "STRUCT(HUGEINT BIGINT)",
		`STRUCT("a, b) [" HUGEINT[], c DATE)`:     `STRUCT("a, b) [" BIGINT[], c DATE)`,
		`STRUCT("q""uote" TIMESTAMP_S)`:           `STRUCT("q""uote" TIMESTAMP)`,
		"MAP(VARCHAR, STRUCT(x HUGEINT, y JSON))": "MAP(VARCHAR, STRUCT(x BIGINT, y JSON))",
		"TIMESTAMP WITH TIME ZONE[]":              "TIMESTAMP WITH TIME ZONE[]",
	}
	for from, want := range tests {
		if got, err := storedType(from); err != nil || got != want {
			t.Errorf("%s is stored as %s (%v), want %s", from, got, err, want)
		}
	}
	for _, bad := range []string{"INTERVAL", "UNION(a INTEGER)", "BIT[]", "STRUCT(a INTERVAL)", "MAP(VARCHAR, BIT)", "GEOMETRY", "BIGINT)", "", "STRUCT(", "INTEGER["} {
		if got, err := storedType(bad); err == nil {
			t.Errorf("%s is stored as %s", bad, got)
		}
	}
}

// Reading a type ends for every text, and what it gives is stored as itself.
func FuzzStoredType(f *testing.F) {
	for _, s := range []string{"STRUCT(a BIGINT, \"b\" MAP(VARCHAR, ENUM('x')[2]))", "DECIMAL(1", "ENUM('", "STRUCT(\"", "MAP(A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		to, err := storedType(name)
		if err != nil {
			return
		}
		if again, err := storedType(to); err != nil || again != to {
			t.Errorf("%q is stored as %q, which is stored as %q (%v)", name, to, again, err)
		}
	})
}

func TestPlace(t *testing.T) {
	const source = "SELECT é,\n  x"
	tests := []struct {
		position     string
		line, column int
	}{
		{"0", 1, 1},
		{"7", 1, 8},
		{"9", 1, 9},
		{"11", 2, 1},
		{"13", 2, 3},
		{"14", 2, 4},
		{"15", 0, 0},
		{"-1", 0, 0},
		{"", 0, 0},
		{"x", 0, 0},
	}
	for _, tt := range tests {
		if line, column := place(source, tt.position); line != tt.line || column != tt.column {
			t.Errorf("byte %s is at %d:%d, want %d:%d", tt.position, line, column, tt.line, tt.column)
		}
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"plain é 漢": "plain é 漢", "a\x1b[2Jb": "a␛[2Jb", "\x00\x7f\u009b\u202e": "␀␡\ufffd\ufffd",
	} {
		if got := printable(s); got != want {
			t.Errorf("%q is shown as %q, want %q", s, got, want)
		}
	}
}

func TestUnarmed(t *testing.T) {
	for s, want := range map[string]string{"": "", "a=1": "a=1", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": "'\t=1"} {
		if got := unarmed(s); got != want {
			t.Errorf("%q is written as %q, want %q", s, got, want)
		}
	}
}

func TestQuoting(t *testing.T) {
	if got := ident(`a"b`); got != `"a""b"` {
		t.Error(got)
	}
	if got := text("it's"); got != "'it''s'" || strings.Count(got, "'") != 4 {
		t.Error(got)
	}
}
