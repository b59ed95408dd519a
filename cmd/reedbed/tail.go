package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/web"
)

type tailCmd struct {
	Source string `help:"Only events of this source."`
	Name   string `help:"Only events of this name."`
	Limit  int    `short:"n" help:"Stop after this many events."`
}

// Run prints events as the front door accepts them.
func (c tailCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	client, err := node.Connect(ctx, project)
	if errors.Is(err, node.ErrNotRunning) {
		return &failure{
			Code: "not_running", What: "nothing runs on this project", At: project.Dir,
			Fix: "start it with: reedbed up -C " + project.Dir, exit: exitFailed,
		}
	}
	if err != nil {
		return err
	}
	res, err := client.Do(ctx, http.MethodGet, "/api/v1/tail", "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return apiFailure(res)
	}
	if !g.Quiet {
		fmt.Fprintln(term.err, "following; Ctrl+C stops")
	}
	return c.print(ctx, g, term, bufio.NewScanner(res.Body))
}

func (c tailCmd) print(ctx context.Context, g *globals, term terminal, lines *bufio.Scanner) error {
	lines.Buffer(nil, 4<<20)
	for shown := 0; lines.Scan(); {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		var e web.TailEvent
		if !ok || json.Unmarshal(data, &e) != nil {
			continue
		}
		if c.Source != "" && e.Source != c.Source || c.Name != "" && e.Name != c.Name {
			continue
		}
		if g.JSON {
			fmt.Fprintf(term.out, "%s\n", bytes.TrimSpace(data))
		} else {
			printTailed(term, e)
		}
		if shown++; shown == c.Limit {
			return nil
		}
	}
	stopped := ctx.Err() == nil // by the node; Ctrl+C is how this ends otherwise
	if err := lines.Err(); stopped && err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	if stopped && !g.Quiet {
		fmt.Fprintln(term.err, "the node stopped")
	}
	return nil
}

// plainText is the end of a text that others chose, without what a terminal would obey.
func plainText(s string) string {
	q := strconv.Quote(s)
	return q[max(1, len(q)-13) : len(q)-1]
}

func printTailed(term terminal, e web.TailEvent) {
	if e.Missed > 0 {
		fmt.Fprintf(term.out, "... %d events not shown\n", e.Missed)
	}
	what := e.Type + " " + e.Name
	if e.Reason != "" {
		what = "quarantined: " + e.Reason
	}
	// Quoted, because event text may hold what a terminal would obey.
	number := "-"
	if e.Seq != nil {
		number = fmt.Sprintf("%s:%d", plainText(e.StreamID), *e.Seq)
	}
	fmt.Fprintf(term.out, "%s  %-12s %-16s %q  %s  %.200q\n", e.ReceivedAt.Format(time.TimeOnly), e.Source,
		strings.TrimSpace(e.Protocol+" "+plainText(e.AppVersion)), what, number, cmp.Or(string(e.Event), e.Text))
}
