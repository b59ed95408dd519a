package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// takenOver is a document of the standard as a contract of ours.
func takenOver(t rapid.TB, document []byte) (*File, *Imported) {
	t.Helper()
	out, problems := ImportODCS("odcs.yaml", document)
	if out == nil {
		t.Fatalf("%v\n%s", problems, document)
	}
	f, problems := Parse("contracts/a.yaml", out.Text)
	if f == nil {
		t.Fatalf("%v\n%s\n%s", problems, document, out.Text)
	}
	return f, out
}

// same compares what two files ask, and who asks it.
func same(t rapid.TB, a, b *File, about string) {
	t.Helper()
	if a.Name != b.Name || a.Owner != b.Owner || a.Consumer != b.Consumer || a.Description != b.Description || len(a.Contracts) != len(b.Contracts) {
		t.Fatalf("%+v is %+v\n%s", a, b, about)
	}
	for i, x := range a.Contracts {
		y := b.Contracts[i]
		if x.Dataset != y.Dataset || string(x.Rules().Identity()) != string(y.Rules().Identity()) || x.Unusual() != y.Unusual() {
			t.Fatalf("%s: %v\n%s", x.Dataset, append(y.Rules().Changes(x.Rules()), x.Rules().Changes(y.Rules())...), about)
		}
		for j, c := range x.Terms.Checks {
			if y.Terms.Checks[j].Why != c.Why {
				t.Fatalf("why is %q\n%s", y.Terms.Checks[j].Why, about)
			}
		}
	}
}

// What is said here is said there, and comes back as it was.
func TestODCSThereAndBack(t *testing.T) {
	f, _ := Parse("contracts/royalties.yaml", []byte(wellFormed))
	back, out := takenOver(t, f.ODCS())
	same(t, f, back, string(f.ODCS()))
	for _, p := range out.Left {
		if !strings.Contains(p.What, "logicalType") {
			t.Errorf("left out: %v", p)
		}
	}
	producer := Contract{Name: "plays", Owner: "player", Dataset: "plays", Producer: true, Terms: f.Contracts[0].Terms}
	if back, _ := takenOver(t, producer.ODCS()); back.Name != "plays" || back.Owner != "player" || back.Consumer != "" {
		t.Errorf("got %+v", back)
	}

	some := func(t *rapid.T, name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		fmt.Fprintf(&b, "name: %s\nowner: %s\n%s\n%s\ndatasets:\n", some(t, "name", "a", "of us", `"7"`), some(t, "owner", "finance", `"a: b"`),
			some(t, "consumer", "", "consumer: royalties"), some(t, "description", "", "description: |-\n  what\n\n    for"))
		for d := range rapid.IntRange(1, 2).Draw(t, "datasets") {
			fmt.Fprintf(&b, "  d%d:\n    rows: %s\n    columns:\n", d, some(t, "rows", "{min: 1}", "{max: 100}", "{min: 1, max: 1}", "{min: 2, max: 300000}"))
			for c := range rapid.IntRange(0, 3).Draw(t, "columns") {
				fmt.Fprintf(&b, "      %s:\n", fmt.Sprintf(some(t, "column", "c%d", `"a b. %d"`), c))
				for _, line := range []string{
					some(t, "type", "", "type: bigint", "type: double", "type: text", "type: timestamptz", "type: date", "type: decimal(9, 2)", "type: boolean", "type: text[]"),
					some(t, "rule", "", "min: 5", "max: 5.25", "min: -1\n        max: 1e3", "min: 2026-01-01", "max: '2026-01-01 10:00:00Z'", "accepted: [a, '1', true, 2]",
						`matches: "[A-Z]{2}|x"`, "max: 3\n        matches: x+"),
					some(t, "null", "", "not_null: true", "nulls: {max: 5%}", "nulls: {min: 0.07, max: 0.3}", "nulls: {min: 0.5}"),
					some(t, "whole", "", "unique: true", "relation: {dataset: tracks, column: id}", "relation: {dataset: tracks, column: a.b}"),
					some(t, "statistic", "", "distinct: {min: 2}", "entropy: {min: 0.3, max: 0.9}", "distinct: {max: 9}\n        entropy: {max: 50%}"),
				} {
					if line != "" {
						fmt.Fprintf(&b, "        %s\n", line)
					}
				}
			}
			for _, line := range []string{
				some(t, "tolerance", "", "tolerance: 0.1%"), some(t, "rejected", "", "rejected: {max: 0.01}"), some(t, "fresh", "", "fresh: 15m", "fresh: 1h0m0.5s"),
				some(t, "complete", "", "complete: {min: 99%}", "complete: {min: 0.995}", "complete: {max: 0.9}", "complete: {min: 0.1, max: 0.9}"),
				some(t, "measures", "", "measures: {spam_rate: {max: 20%}, 'x y': {min: 1e-9}}"), some(t, "statistics", "", "statistics: hold", "statistics: off"),
				some(t, "checks", "", "checks:\n      - {name: a, sql: SELECT * FROM d0 WHERE x, why: 'it: is'}\n      - name: b\n        sql: |-\n          SELECT count(*) -- all\n          FROM d0\n"),
			} {
				if line != "" {
					fmt.Fprintf(&b, "    %s\n", line)
				}
			}
		}
		f, problems := Parse("contracts/a.yaml", []byte(b.String()))
		if f == nil {
			t.Fatalf("%v\n%s", problems, b.String())
		}
		back, _ := takenOver(t, f.ODCS())
		same(t, f, back, b.String()+string(f.ODCS()))
	})
}

// A document that others wrote: what can be judged is taken over, and what is left
// out is told.
func TestImportODCS(t *testing.T) {
	document, err := os.ReadFile("testdata/orders.odcs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, out := takenOver(t, document)
	want, err := os.ReadFile("testdata/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(out.Text)); d != "" || f.Name != "orders" {
		t.Error(d)
	}
	var left []string
	for _, p := range out.Left {
		left = append(left, strings.TrimSuffix(p.Error(), " is left out: nothing is judged by it"))
	}
	if d := cmp.Diff([]string{
		"odcs.yaml:8: the document: domain", "odcs.yaml:13: description: usage", "odcs.yaml:19: orders: description", "odcs.yaml:22: orders.id: primaryKey",
		"odcs.yaml:28: orders.country: logicalType", "odcs.yaml:34: orders.country.quality: dimension", "odcs.yaml:56: orders.quality: a rule in words",
		"odcs.yaml:65: slaProperties: retention",
	}, left); d != "" {
		t.Error(d)
	}
}

// What cannot be judged is refused, with its place and what to do.
func TestImportODCSProblems(t *testing.T) {
	const whole = `apiVersion: v3.1.0
kind: DataContract
id: x
version: 1.0.0
status: active
team: {name: us}
schema:
  - name: orders
    properties:
      - name: id
        quality: [QUALITY]
    quality: [WHOLE]
slaProperties: [SLA]
`
	document := func(quality, of, sla string) string {
		return strings.NewReplacer("QUALITY", quality, "WHOLE", of, "SLA", sla).Replace(whole)
	}
	if _, problems := ImportODCS("x.yaml", []byte(document("", "", ""))); problems != nil {
		t.Fatal(problems)
	}
	for text, want := range map[string]string{
		document("{metric: missingValues, mustBe: 0}", "", ""):                                           `x.yaml:11: orders.id.quality: the metric "missingValues" has no counterpart here; write it`,
		document("{metric: nullValues, mustBeLessThan: 5, unit: percent}", "", ""):                       "x.yaml:11: orders.id.quality: mustBeLessThan has no counterpart for nullValues; write mustBeGreater",
		document("{metric: nullValues, mustBeLessOrEqualTo: 5}", "", ""):                                 "x.yaml:11: orders.id.quality: nullValues can allow no row only; write `mustBe: 0`",
		document("{metric: duplicateValues, mustBe: 0, mustNotBe: 1}", "", ""):                           "x.yaml:11: orders.id.quality: 2 of mustBe, mustBeLessThan and the like are there",
		document("{metric: invalidValues, mustBe: 0}", "", ""):                                           "it is not said which values are valid",
		document("{metric: invalidValues, arguments: {min: 5}, mustBe: 0}", "", ""):                      "the argument min has no counterpart",
		document("{metrik: nullValues, mustBe: 0}", "", ""):                                              "unknown key \"metrik\"; did you mean `metric`?",
		document("{type: custom, engine: soda, implementation: x}", "", ""):                              "x.yaml:11: orders.id.quality: the rule is for soda; write it as `type: sql`",
		document("{type: custom, engine: reedbed, implementation: {entropi: {min: 1}}}", "", ""):         "x.yaml:11: id: unknown key \"entropi\"; did you mean `entropy`?",
		document("{type: custom, engine: reedbed, implementation: 'entropy: {min: 1}'}", "", ""):         "x.yaml:11: orders.id.quality: the rule says nothing",
		document("{type: custom, engine: reedbed}", "", ""):                                              "x.yaml:11: orders.id.quality: the rule says nothing",
		document("{type: sql, mustBe: 0}", "", ""):                                                       "the query is missing",
		document("{type: sql, query: SELECT 1, mustBe: much}", "", ""):                                   "mustBe must be a number",
		document("", "{metric: rowCount, mustBeBetween: [1]}", ""):                                       "x.yaml:12: orders.quality: mustBeBetween has two numbers",
		document("", "{metric: rowCount, mustBeBetween: [5, 1]}", ""):                                    "x.yaml:12: rows: min 5 is above max 1",
		document("", "{metric: rowCount, mustBe: 1}, {metric: rowCount, mustBe: 2}", ""):                 "orders says in two ways what stands here as rows",
		document("", "", "{property: latency, value: 5, unit: m, element: orders}"):                      `x.yaml:13: slaProperties: "m" is no unit of time that is understood`,
		document("", "", "{property: latency, value: 5, unit: h, element: order}"):                       `slaProperties: latency is of "order", which is no schema here`,
		document("", "", "{property: completeness, value: 99}"):                                          "slaProperties: completeness is a percentage",
		strings.Replace(document("", "", ""), "v3.1.0", "v2.2.2", 1):                                     "x.yaml:1: apiVersion v2.2.2 is not understood",
		strings.Replace(document("", "", ""), "DataContract", "DataProduct", 1):                          "a DataProduct is no contract",
		strings.Replace(document("", "", ""), "team: {name: us}", "team: [{username: a}]", 1):            "team: a list of people has no name",
		strings.Replace(document("", "", ""), "team: {name: us}", "", 1):                                 "the contract has no owner",
		strings.Replace(document("", "", ""), "quality: []", "logicalTypeOptions: {multipleOf: 5}", 1):   "x.yaml:11: orders.id: multipleOf has no counterpart",
		strings.Replace(document("", "", ""), "quality: []", "relationships: [{to: a.b.c}]", 1):          "a relationship leads to one column",
		strings.Replace(document("", "", ""), "      - name: id\n        quality", "      - quality", 1): "x.yaml:10: a property of orders has no name",
		"kind: [": "x.yaml:1: ",
	} {
		out, problems := ImportODCS("x.yaml", []byte(text))
		var all []string
		for _, p := range problems {
			all = append(all, p.Error())
		}
		if got := strings.Join(all, "\n"); out != nil || !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s\nof\n%s", got, want, text)
		}
	}
}

func FuzzImportODCS(f *testing.F) {
	c, _ := Parse("contracts/royalties.yaml", []byte(wellFormed))
	f.Add(c.ODCS())
	for _, name := range []string{"testdata/orders.odcs.yaml", "testdata/orders.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, problems := ImportODCS("x.yaml", text)
		if (out == nil) != (len(problems) > 0) {
			t.Fatal("neither taken over nor refused, or both")
		}
		if out == nil {
			return
		}
		var doc strictyaml.Value
		if err := strictyaml.Decode(out.Text, &doc); err != nil {
			t.Fatalf("what is written cannot be read: %v\n%s", err, out.Text)
		}
	})
}
