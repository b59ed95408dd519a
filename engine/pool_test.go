package engine_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

func newPool(t testing.TB, opt engine.Options) *engine.Pool {
	t.Helper()
	opt.Dir = t.TempDir()
	p, err := engine.NewPool(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestQuerySmoke(t *testing.T) {
	p := newPool(t, engine.Options{})
	var out bytes.Buffer
	got, err := p.Query(t.Context(), engine.QueryJob{SQL: "SELECT 1 AS a, 'x' AS b -- hi", Format: "json"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`[{"a":1,"b":"x"}]`+"\n", out.String()); diff != "" {
		t.Error(diff)
	}
	t.Logf("%+v", got)
	cols, err := p.Describe(t.Context(), "SELECT sum(a) AS s FROM t", []engine.Table{{Name: "t", Columns: []dataset.Column{{Name: "a", Type: "BIGINT"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(cols)
	b, err := p.Build(t.Context(), engine.BuildJob{SQL: "SELECT range AS a, 'u' || range AS u FROM range(1000)", Rejects: "a % 10 = 0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", b)
	parsed, err := p.Parse(t.Context(), "select 1")
	t.Log(parsed, err)
}
