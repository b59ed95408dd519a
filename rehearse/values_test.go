package rehearse

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
)

func TestExact(t *testing.T) {
	for _, c := range []struct {
		text, typ string
		want      bool
	}{
		{"1", "BIGINT", true},
		{"-007", "UTINYINT", true},
		{"1.0", "INTEGER", true},
		{"1.6", "BIGINT", false},
		{"1e3", "BIGINT", false},
		{"", "BIGINT", false},
		{".", "BIGINT", false},
		{"true", "SMALLINT", false},
		{"0.25", "DECIMAL(12,2)", true},
		{"0.2500", "DECIMAL(12,2)", true},
		{"0.255", "DECIMAL(12,2)", false},
		{".5", "DECIMAL(3, 1)", true},
		{"1e-9", "DOUBLE", true},
		{"anything", "VARCHAR", true},
	} {
		if got := exact(c.text, c.typ); got != c.want {
			t.Errorf("%q as %s: %v", c.text, c.typ, got)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b *string
		typ  string
		want bool
	}{
		{nil, nil, "BIGINT", true},
		{nil, new(""), "VARCHAR", false},
		{new("0.30000000000000004"), new("0.3"), "DOUBLE", true},
		{new("0.3000001"), new("0.3"), "DOUBLE", false},
		{new("1e-17"), new("0"), "FLOAT", true},
		{new("NaN"), new("NaN"), "DOUBLE", true},
		{new("NaN"), new("0"), "DOUBLE", false},
		{new("0.30"), new("0.3"), "VARCHAR", false},
	} {
		if got := equal(dataset.Column{Type: c.typ}, c.a, c.b); got != c.want {
			t.Errorf("%v and %v as %s: %v", c.a, c.b, c.typ, got)
		}
	}
}

func TestDecodeRows(t *testing.T) {
	columns := []dataset.Column{
		{Name: "t", Type: "VARCHAR"},
		{Name: "n", Type: "BIGINT"},
		{Name: "d", Type: "DECIMAL(5,2)"},
		{Name: "j", Type: "JSON"},
		{Name: "l", Type: "VARCHAR[]"},
	}
	got, err := decodeRows(columns, []byte(`{"t":"a\nb","n":9007199254740993,"d":1.50,"j":{"b":1.10,"a":"x"},"l":["1"]}
{"t":null,"n":null,"d":null,"j":"text","l":null}
`))
	want := [][]*string{
		{new("a\nb"), new("9007199254740993"), new("1.50"), new(`{"a":"x","b":1.10}`), new(`["1"]`)},
		{nil, nil, nil, new(`"text"`), nil},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
