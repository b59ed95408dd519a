package web_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/compare"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

func TestDiff(t *testing.T) {
	f := &fake{}
	var asked compare.Request
	f.diff = func(r compare.Request) (compare.Result, error) {
		asked = r
		if r.B.Version == 9 {
			return compare.Result{}, engine.ErrLimit
		}
		return compare.Result{Rows: compare.Rows{OnlyA: 1}}, nil
	}
	h := handler(t, f)
	r := ask(h, "GET", "/api/v1/diff?a=plays@2026-11-22T10/1&b=plays@2026-11-22T10&limit=7", "")
	var got compare.Result
	if err := json.Unmarshal([]byte(text(t, r)), &got); err != nil || r.StatusCode != 200 || got.Rows.OnlyA != 1 {
		t.Errorf("%d, %+v, %v", r.StatusCode, got, err)
	}
	want := compare.Request{A: dataset.Reference{Dataset: "plays", Partition: "2026-11-22T10", Version: 1}, B: dataset.Reference{Dataset: "plays", Partition: "2026-11-22T10"}, Limit: 7}
	if d := cmp.Diff(want, asked); d != "" {
		t.Error(d)
	}
	for path, want := range map[string]int{
		"/api/v1/diff": 400, "/api/v1/diff?a=x@all&b=y": 400, "/api/v1/diff?a=x@all&b=x@all&limit=-1": 400,
		"/api/v1/diff?a=x@all&b=x@all&limit=many": 400, "/api/v1/diff?a=x@all&b=x@all/9": 422,
	} {
		if r := ask(h, "GET", path, ""); r.StatusCode != want {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}
