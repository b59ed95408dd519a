package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/reedbed/reedbed/tracker/js"
)

// found is what the server has of a run.
type found struct {
	Run     string
	Events  int // distinct
	Dropped int // that the client says it dropped itself
	Missing int // between numbers that came, whoever lost them
}

// count waits until all is loaded and counts. What a stream dropped in all is
// told by its own events, or by those of the device's stream after it.
const count = `
WITH told AS (
    SELECT
        regexp_extract(concat(name, ' ', properties), '([a-z]+-[a-z])-([0-9]+)\.', ['run', 'event']) AS x,
        stream_id, seq,
        coalesce(TRY_CAST(extra ->> '$.dropped' AS BIGINT), 0) AS dropped,
        extra ->> '$.previous.stream_id' AS before,
        TRY_CAST(extra ->> '$.previous.seq' AS BIGINT) AS before_seq,
        TRY_CAST(extra ->> '$.previous.dropped' AS BIGINT) AS before_dropped
    FROM raw
),
streams AS (
    SELECT x.run AS run, stream_id, dropped, seq FROM told WHERE stream_id IS NOT NULL
    UNION ALL
    SELECT x.run, before, before_dropped, before_seq FROM told WHERE before IS NOT NULL
),
ends AS (
    SELECT run, stream_id, max(dropped) AS dropped, max(seq) + 1 AS numbers FROM streams GROUP BY run, stream_id
),
said AS (
    SELECT run, sum(dropped)::BIGINT AS dropped, sum(numbers)::BIGINT AS numbers FROM ends GROUP BY run
)
SELECT x.run AS run, count(DISTINCT x.event) AS events, coalesce(any_value(said.dropped), 0) AS dropped,
    coalesce(any_value(said.numbers), 0) - count(DISTINCT x.event) AS missing
FROM told LEFT JOIN said ON said.run = x.run
WHERE x.run <> ''
GROUP BY x.run`

func (l *lab) count(ctx context.Context) (map[string]found, error) {
	time.Sleep(3 * time.Second) //nolint:forbidigo // what is on its way tells nobody when it is there
	text, err := l.sql(ctx, count)
	if err != nil {
		return nil, err
	}
	out := map[string]found{}
	for line := range strings.Lines(text) {
		var f found
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			return nil, err
		}
		out[f.Run] = f
	}
	return out, nil
}

// report prints the table and says whether ours lost anything.
func (l *lab) report(ctx context.Context) error {
	counted, err := l.count(ctx)
	if err != nil {
		return err
	}
	byRun := map[string]tried{}
	for _, t := range l.tried {
		byRun[t.run] = t
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "tracker\tgzip\t")
	for _, c := range cases() {
		fmt.Fprint(table, c.letter+"\t")
	}
	fmt.Fprintln(table)
	for _, t := range l.trackers {
		fmt.Fprintf(table, "%s %s\t%d\t", t.name, t.version, t.size())
		for _, c := range cases() {
			run, wasTried := byRun[runName(t, c)]
			fmt.Fprint(table, cell(run, counted[run.run], wasTried)+"\t")
			err = errors.Join(err, judge(run, counted[run.run], wasTried))
		}
		fmt.Fprintln(table)
	}
	if flushed := table.Flush(); flushed != nil {
		return flushed
	}
	fmt.Println()
	for _, c := range cases() {
		fmt.Printf("%s  %s\n", c.letter, c.what)
	}
	return err
}

func cell(run tried, f found, wasTried bool) string {
	switch {
	case !wasTried:
		return "-"
	case f.Dropped > 0:
		return fmt.Sprintf("%d + %d told of /%d", f.Events, f.Dropped, run.sent)
	}
	return fmt.Sprintf("%d/%d", min(f.Events, run.sent), run.sent)
}

// judge holds ours to what it promises.
func judge(run tried, f found, wasTried bool) error {
	if !wasTried || run.tracker.name != "ours" || f.Events+f.Dropped >= run.sent && f.Missing == f.Dropped {
		return nil
	}
	return fmt.Errorf("ours, case %s: of %d events %d came and %d are told of as dropped; by their numbers %d are missing",
		run.letter, run.sent, f.Events, f.Dropped, f.Missing)
}

// size is what a page pays, in bytes of gzip. For the others the few lines of
// the adapter are in it.
func (t tracker) size() int {
	script := t.script
	if t.name == "ours" {
		script = js.Full
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(script)                                // into memory
	_ = z.Close()
	return b.Len()
}
