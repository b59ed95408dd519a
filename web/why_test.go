package web_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

func TestWhy(t *testing.T) {
	account := sqlite.Account{
		Dataset: "plays", Partition: "2026-11-22T10", State: sqlite.Failed,
		Due:    &sqlite.DueAccount{Since: noon, Attempts: 2, Error: "boom", Causes: []dataset.Cause{{ID: 7, Kind: dataset.ByLoad, Detail: "3 events loaded", At: noon}}},
		Others: []sqlite.VersionSummary{{Number: 1, Promoted: true, Rows: 3, MadeAt: noon.Add(-time.Hour), Origin: "build"}},
	}
	f := &fake{}
	var asked []dataset.Reference
	f.why = func(r dataset.Reference) (sqlite.Account, error) {
		asked = append(asked, r)
		if r.Dataset != "plays" {
			return sqlite.Account{}, &dataset.Refusal{Code: "unknown_dataset", What: `there is no dataset "plas"`, Fix: "did you mean plays?"}
		}
		return account, nil
	}
	h := handler(t, f)
	r := ask(h, "GET", "/api/v1/datasets/plays/2026-11-22T10?version=3", "")
	var got sqlite.Account
	if err := json.Unmarshal([]byte(text(t, r)), &got); err != nil || r.StatusCode != 200 {
		t.Fatalf("%d, %v", r.StatusCode, err)
	}
	if d := cmp.Diff(account, got); d != "" {
		t.Error(d)
	}
	for path, want := range map[string]int{
		"/api/v1/datasets/plas/2026-11-22T10": 404, "/api/v1/datasets/plays/today": 400, "/api/v1/datasets/plays/2026-11-22T10?version=x": 400,
	} {
		var body struct {
			Error struct{ Code, Message, Fix string }
		}
		r := ask(h, "GET", path, "")
		if err := json.Unmarshal([]byte(text(t, r)), &body); err != nil || r.StatusCode != want || body.Error.Fix == "" {
			t.Errorf("%s: %d, %+v, %v", path, r.StatusCode, body, err)
		}
	}
	if d := cmp.Diff([]dataset.Reference{{Dataset: "plays", Partition: "2026-11-22T10", Version: 3}}, asked[:1]); d != "" {
		t.Error(d)
	}
}

func TestWhyPage(t *testing.T) {
	f := &fake{}
	f.why = func(r dataset.Reference) (sqlite.Account, error) {
		if r.Dataset != "plays" {
			return sqlite.Account{}, &dataset.Refusal{Code: "unknown_dataset", What: "there is no dataset <b>", Fix: "did you mean plays?"}
		}
		return sqlite.Account{
			Dataset: "plays", Partition: r.Partition, State: sqlite.Failed, Due: &sqlite.DueAccount{Attempts: 2, Error: "<script>", NotBefore: noon},
			Others: []sqlite.VersionSummary{{Number: 2, Rows: 1, MadeAt: noon}, {Number: 1, Promoted: true, Rows: 3, MadeAt: noon}},
		}, nil
	}
	h := handler(t, f)
	r := ask(h, "GET", "/datasets/plays/2026-11-22T10", "")
	body := text(t, r)
	for _, want := range []string{"<title>plays@2026-11-22T10 · ", "is failed, 2 times so far", "error: &lt;script&gt;", `href="?version=1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q:\n%s", want, body)
		}
	}
	for path, want := range map[string]int{"/datasets/plas/2026-11-22T10": 404, "/datasets/plays/today": 400} {
		r := ask(h, "GET", path, "")
		if body := text(t, r); r.StatusCode != want || !strings.Contains(body, `class="trouble"`) || strings.Contains(body, "<b>") {
			t.Errorf("%s: %d\n%s", path, r.StatusCode, body)
		}
	}
}
