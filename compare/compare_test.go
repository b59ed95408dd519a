package compare

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/engine"
)

// warm answers in one worker that stays: a comparison costs no process.
type warm struct{ *engine.Pool }

func (w warm) Query(ctx context.Context, job engine.QueryJob, to io.Writer) (engine.QueryResult, error) {
	return w.Report(ctx, job, to)
}

func newService(t *testing.T) *Service {
	t.Helper()
	pool, err := engine.NewPool(engine.Options{Dir: t.TempDir(), StageWorkers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Service{Engine: warm{pool}}
}

// tables compares two tables that are given as such.
func (s *Service) tables(ctx context.Context, a, b engine.Table, key []string, limit int) (out Result, err error) {
	a.Name, b.Name = "a", "b"
	p := &plan{tables: []engine.Table{a, b}, a: a.Columns, b: b.Columns}
	p.match()
	p.useKey(key)
	return out, s.compare(ctx, p, limit, &out)
}

// column is a table's column of some type with its values, "NULL" for NULL.
func column(name, typ string, values ...string) engine.Table {
	t := engine.Table{Columns: []dataset.Column{{Name: name, Type: typ}}}
	for _, v := range values {
		t.Rows = append(t.Rows, []*string{cell(v)})
	}
	return t
}

func cell(v string) *string {
	if v == "NULL" {
		return nil
	}
	return &v
}

func beside(ts ...engine.Table) engine.Table {
	var out engine.Table
	for _, t := range ts {
		out.Columns = append(out.Columns, t.Columns...)
		for i, r := range t.Rows {
			if len(out.Rows) <= i {
				out.Rows = append(out.Rows, nil)
			}
			out.Rows[i] = append(out.Rows[i], r...)
		}
	}
	return out
}

func TestByKey(t *testing.T) {
	s := newService(t)
	a := beside(
		column("day", "DATE", "2026-11-20", "2026-11-20", "2026-11-20", "2026-11-20", "2026-11-20"),
		column("track", "VARCHAR", "t1", "t2", "t3", "NULL", "NULL"),
		column("plays", "BIGINT", "3", "4", "5", "6", "7"),
		column("amount", "DECIMAL(18,6)", "0.5", "0.25", "NULL", "1", "1"),
	)
	b := beside(
		column("day", "DATE", "2026-11-20", "2026-11-20", "2026-11-20", "2026-11-20"),
		column("track", "VARCHAR", "t1", "t2", "t4", "NULL"),
		column("plays", "BIGINT", "3", "9", "5", "6"),
		column("amount", "DECIMAL(18,6)", "0.5", "0.5", "0.125", "1"),
	)
	got, err := s.tables(t.Context(), a, b, []string{"day", "track"}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Rows{OnlyA: 3, OnlyB: 2, Both: 2}, got.Rows); d != "" {
		t.Error(d)
	}
	want := &ByKey{Key: []string{"day", "track"}, OnlyA: 1, OnlyB: 1, Matched: 2, Changed: 1, Unkeyed: Unkeyed{A: 2, B: 1, OnlyA: 1}}
	if d := cmp.Diff(want, got.ByKey); d != "" {
		t.Error(d)
	}
	plays := got.Columns[2]
	if plays.Equal == nil || *plays.Equal != 1 || string(plays.A.Mean) != "5.0" && string(plays.A.Mean) != "5" || string(plays.B.Most) != "9" {
		text, _ := json.Marshal(plays)
		t.Errorf("plays: %s", text)
	}
	if amount := got.Columns[3]; amount.A.Nulls != 1 || amount.A.Distinct != 3 || amount.B.Nulls != 0 {
		t.Errorf("amount: %+v, %+v", amount.A, amount.B)
	}
	text, err := json.Marshal(got.Samples)
	if err != nil {
		t.Fatal(err)
	}
	const samples = `{"changed":[{"key":{"day":"2026-11-20","track":"t2"},"columns":{"amount":[0.250000,0.500000],"plays":[4,9]}}],` +
		`"only_a":[{"values":{"amount":null,"day":"2026-11-20","plays":5,"track":"t3"},"times":1},{"values":{"amount":1.000000,"day":"2026-11-20","plays":7,"track":null},"times":1}],` +
		`"only_b":[{"values":{"amount":0.125000,"day":"2026-11-20","plays":5,"track":"t4"},"times":1}]}`
	if d := cmp.Diff(samples, string(text)); d != "" {
		t.Error(d)
	}
}

func TestSchema(t *testing.T) {
	s := newService(t)
	a := beside(column("id", "INTEGER", "1", "2"), column("n", "INTEGER", "1", "2"), column("gone", "DOUBLE", "1", "NULL"), column("tags", "VARCHAR[]", `["x"]`, "NULL"))
	b := beside(column("id", "INTEGER", "1", "2"), column("n", "VARCHAR", "1", "two"), column("came", "BOOLEAN", "true", "false"), column("tags", "VARCHAR[]", `["x"]`, "NULL"))
	got, err := s.tables(t.Context(), a, b, []string{"id"}, 5)
	if err != nil {
		t.Fatal(err)
	}
	want := Schema{OnlyA: []dataset.Column{{Name: "gone", Type: "DOUBLE"}}, OnlyB: []dataset.Column{{Name: "came", Type: "BOOLEAN"}}, Retyped: []Retyped{{"n", "INTEGER", "VARCHAR"}}}
	if d := cmp.Diff(want, got.Schema); d != "" {
		t.Error(d)
	}
	if got.ByKey.Changed != 1 || got.Rows.Both != 1 || got.Equal || len(got.Columns) != 5 {
		t.Errorf("%+v, %+v, %d columns", got.ByKey, got.Rows, len(got.Columns))
	}
	nothing, err := s.tables(t.Context(), column("x", "INTEGER", "1"), column("y", "INTEGER", "1", "2"), nil, 5)
	if err != nil || nothing.Rows != (Rows{OnlyA: 1, OnlyB: 2}) {
		t.Errorf("no column in common: %+v, %v", nothing.Rows, err)
	}
	empty := engine.Table{Columns: a.Columns}
	none, err := s.tables(t.Context(), empty, empty, []string{"id"}, 5)
	if err != nil || !none.Equal || none.ByKey.Matched != 0 || string(none.Columns[0].A.Least) != "null" {
		t.Errorf("no rows: %+v, %v", none, err)
	}
	lost, err := s.tables(t.Context(), a, b, []string{"id", "gone"}, 5)
	if err != nil || lost.ByKey != nil || lost.NoKey == "" {
		t.Errorf("a key one side lacks: %+v, %v", lost.ByKey, err)
	}
}

// counted compares two lists of rows the slow way.
func counted(a, b [][2]string) (rows Rows, keyed ByKey) {
	type times struct{ a, b int64 }
	tally := func(a, b [][2]string) (out Rows) {
		n := map[[2]string]times{}
		for _, r := range a {
			x := n[r]
			x.a++
			n[r] = x
		}
		for _, r := range b {
			x := n[r]
			x.b++
			n[r] = x
		}
		for _, x := range n {
			out.OnlyA, out.OnlyB, out.Both = out.OnlyA+max(0, x.a-x.b), out.OnlyB+max(0, x.b-x.a), out.Both+min(x.a, x.b)
		}
		return out
	}
	of := func(rows [][2]string, key string) (out []string) {
		for _, r := range rows {
			if r[0] == key {
				out = append(out, r[1])
			}
		}
		return out
	}
	joins := func(key string) bool { return key != "NULL" && len(of(a, key)) <= 1 && len(of(b, key)) <= 1 }
	var ua, ub [][2]string
	for _, r := range a {
		in := of(b, r[0])
		switch {
		case !joins(r[0]):
			ua = append(ua, r)
		case len(in) == 0:
			keyed.OnlyA++
		default:
			keyed.Matched++
			if in[0] != r[1] {
				keyed.Changed++
			}
		}
	}
	for _, r := range b {
		if !joins(r[0]) {
			ub = append(ub, r)
		} else if len(of(a, r[0])) == 0 {
			keyed.OnlyB++
		}
	}
	unkeyed := tally(ua, ub)
	keyed.Unkeyed = Unkeyed{A: int64(len(ua)), B: int64(len(ub)), OnlyA: unkeyed.OnlyA, OnlyB: unkeyed.OnlyB}
	return tally(a, b), keyed
}

func TestCountsAgreeWithCounting(t *testing.T) {
	s := newService(t)
	row := rapid.Custom(func(t *rapid.T) [2]string {
		return [2]string{rapid.SampledFrom([]string{"NULL", "1", "2", "3", "4", "5"}).Draw(t, "key"), rapid.SampledFrom([]string{"NULL", "", "x", "y"}).Draw(t, "value")}
	})
	table := func(rows [][2]string) engine.Table {
		t := engine.Table{Columns: []dataset.Column{{Name: "k", Type: "INTEGER"}, {Name: `odd "name`, Type: "VARCHAR"}}}
		for _, r := range rows {
			t.Rows = append(t.Rows, []*string{cell(r[0]), cell(r[1])})
		}
		return t
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := rapid.SliceOfN(row, 0, 8).Draw(rt, "a"), rapid.SliceOfN(row, 0, 8).Draw(rt, "b")
		got, err := s.tables(t.Context(), table(a), table(b), []string{"k"}, 50)
		if err != nil {
			rt.Fatal(err)
		}
		rows, keyed := counted(a, b)
		keyed.Key = []string{"k"}
		if d := cmp.Diff(rows, got.Rows); d != "" {
			rt.Fatal(d)
		}
		if d := cmp.Diff(&keyed, got.ByKey); d != "" {
			rt.Fatal(d)
		}
		if got.Equal != (rows.OnlyA+rows.OnlyB == 0) {
			rt.Fatalf("equal: %t", got.Equal)
		}
		var shown Rows
		for _, x := range got.Samples.OnlyA {
			shown.OnlyA += x.Times
		}
		for _, x := range got.Samples.OnlyB {
			shown.OnlyB += x.Times
		}
		if n := int64(len(got.Samples.Changed)); n != keyed.Changed || shown.OnlyA != rows.OnlyA-n || shown.OnlyB != rows.OnlyB-n {
			rt.Fatalf("shown are %d changed, %+v; there are %d, %+v", n, shown, keyed.Changed, rows)
		}
		if nulls := got.Columns[0].A.Nulls; nulls != int64(countNull(a)) {
			rt.Fatalf("%d keys are NULL", nulls)
		}
	})
}

func countNull(rows [][2]string) (n int) {
	for _, r := range rows {
		if r[0] == "NULL" {
			n++
		}
	}
	return n
}

// Every type there is can be compared with itself.
func TestTypes(t *testing.T) {
	s := newService(t)
	var columns []engine.Table
	for i, c := range []struct{ typ, value string }{
		{"TIMESTAMP WITH TIME ZONE", "2026-01-02 03:04:05+00"},
		{"JSON", `{"a":1}`},
		{"STRUCT(a INTEGER, b VARCHAR)", `{"a":1,"b":"x"}`},
		{"MAP(VARCHAR, INTEGER)", `{"a":1}`},
		{"DOUBLE", "nan"},
		{"BLOB", "x"},
		{"UUID", "0190163d-8694-739b-aea5-966c26f8ad91"},
		{"HUGEINT", "170141183460469231731687303715884105727"},
		{"INTERVAL", "1 day"},
		{"TIME", "10:00:00"},
		{"BOOLEAN", "true"},
	} {
		columns = append(columns, column("c"+strconv.Itoa(i), c.typ, c.value, "NULL"))
	}
	both := beside(columns...)
	got, err := s.tables(t.Context(), both, both, []string{"c0"}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal || got.ByKey.Matched != 1 || got.ByKey.Changed != 0 || got.Rows.Both != 2 {
		t.Errorf("%+v, %+v", got.Rows, got.ByKey)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}
