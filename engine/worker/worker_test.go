package worker

import (
	"bytes"
	"strings"
	"testing"

	"github.com/reedbed/reedbed/engine"
)

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-nonsense"}, {"-dir=/x", "-threads=many"}} {
		var stderr bytes.Buffer
		if code := Main(args, strings.NewReader(""), &bytes.Buffer{}, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, said %q", args, code, stderr.String())
		}
	}
}

// The second start, without walls, serves whatever comes until stdin ends.
func TestServe(t *testing.T) {
	var stdin, stdout, stderr bytes.Buffer
	for _, r := range []engine.Request{
		{Kind: engine.KindParse, SQL: "SELECT 1"},
		{Kind: engine.KindParse, SQL: "SELECT"},
		{Kind: "nonsense"},
		{Kind: engine.KindDescribe, SQL: "SELECT 1 AS x"},
		{Kind: engine.KindDescribe, SQL: "SELECT 2 AS x"},
	} {
		if err := engine.WriteMessage(&stdin, r); err != nil {
			t.Fatal(err)
		}
	}
	if code := Main([]string{"-confined", "-dir=" + t.TempDir()}, &stdin, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	var kinds []string
	for stdout.Len() > 0 {
		var reply engine.Reply
		if err := engine.ReadMessage(&stdout, &reply); err != nil {
			t.Fatal(err)
		}
		kind := "ok"
		if reply.Failure != nil {
			kind = reply.Failure.Kind
		}
		kinds = append(kinds, kind)
	}
	if got := strings.Join(kinds, " "); got != "ok ok sql other ok ok" { // the first says that it is warm
		t.Errorf("answers: %s", got)
	}
}
