package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/reedbed/reedbed/internal/recorded"
)

// naughty writes the big list of naughty strings as events, NAME.ndjson, and as
// NAME.csv; with a third word it checks that an answer with the columns id and
// text holds them all, unharmed: naughty NAME [ANSWER]
func naughty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: naughty NAME [ANSWER]")
	}
	list, err := os.ReadFile(filepath.Join(recorded.Folder(), "strings", "blns.json"))
	ts.Check(err)
	var all []string
	ts.Check(json.Unmarshal(list, &all))
	all = append(all, "\x00", "a\x00b", "\u2028", "\ufeff", strings.Repeat("x", 1<<15), "line\nbreak", `"`, `\`)
	if len(args) == 2 {
		checkNaughty(ts, all, ts.ReadFile(args[1]))
		return
	}
	var lines, table bytes.Buffer
	rows := csv.NewWriter(&table)
	ts.Check(rows.Write([]string{"id", "text"}))
	for i, s := range all {
		id := strconv.Itoa(i)
		text, err := json.Marshal(map[string]any{"id": id, "name": "X", "user_id": s, "anonymous_id": s, "properties": map[string]string{"text": s}})
		ts.Check(err)
		lines.Write(append(text, '\n'))
		ts.Check(rows.Write([]string{id, s}))
	}
	rows.Flush()
	ts.Check(rows.Error())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".ndjson"), lines.Bytes(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".csv"), table.Bytes(), 0o644))
}

func checkNaughty(ts *testscript.TestScript, all []string, answer string) {
	got := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(answer))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct{ ID, Text string }
		ts.Check(json.Unmarshal(lines.Bytes(), &row))
		got[row.ID] = row.Text
	}
	ts.Check(lines.Err())
	if len(got) != len(all) {
		ts.Fatalf("%d strings came back of %d", len(got), len(all))
	}
	for i, s := range all {
		if g := got[strconv.Itoa(i)]; g != s {
			ts.Fatalf("string %d is %.200q, was %.200q", i, g, s)
		}
	}
}
