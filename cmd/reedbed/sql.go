package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/engine"
	"github.com/reedbed/reedbed/node"
	"github.com/reedbed/reedbed/query"
)

type sqlCmd struct {
	SQL    string `arg:"" name:"sql" help:"One SELECT over the project's datasets."`
	Format string `enum:",table,csv,json,ndjson,parquet" default:"" help:"table, csv, json, ndjson or parquet; table unless --json."`
}

// Run answers a SELECT, through the running node if there is one.
func (c sqlCmd) Run(ctx context.Context, g *globals, term terminal) error {
	project, err := g.project(nil)
	if err != nil {
		return err
	}
	if c.Format == "" {
		c.Format = "table"
		if g.JSON {
			c.Format = "json"
		}
	}
	client, err := node.Connect(ctx, project)
	if err == nil {
		return c.remote(ctx, client, term)
	}
	if !errors.Is(err, node.ErrNotRunning) {
		return err
	}
	o := node.Options{Project: project, Log: g.logger(term)}
	r, err := node.OpenReader(ctx, o)
	if err != nil {
		return sqlFailure(err)
	}
	res, err := r.Query(ctx, o, c.SQL, c.Format, term.raw)
	if err == nil && res.Truncated {
		sayCut(term, strconv.FormatInt(res.Rows, 10))
	}
	return errors.Join(sqlFailure(err), r.Close())
}

// remote asks the running node.
func (c sqlCmd) remote(ctx context.Context, client *node.Client, term terminal) error {
	body, err := json.Marshal(map[string]string{"sql": c.SQL, "format": c.Format})
	if err != nil {
		return err
	}
	res, err := client.Do(ctx, http.MethodPost, "/api/v1/sql", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return apiFailure(res)
	}
	if _, err := io.Copy(term.raw, res.Body); err != nil {
		return err
	}
	if res.Trailer.Get("Reedbed-Truncated") == "true" {
		sayCut(term, res.Trailer.Get("Reedbed-Rows"))
	}
	return nil
}

func sayCut(term terminal, rows string) {
	fmt.Fprintf(term.err, "the answer was cut after %s rows: narrow the SELECT, or raise query.rows or query.bytes\n", rows)
}

// apiFailure reads the error of an answer of the JSON API.
func apiFailure(res *http.Response) error {
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Line    int    `json:"line"`
			Column  int    `json:"column"`
			Fix     string `json:"fix"`
		} `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if json.Unmarshal(text, &body) != nil || body.Error.Code == "" {
		return fmt.Errorf("the running node answered %s: %s", res.Status, text)
	}
	f := &failure{Code: body.Error.Code, What: body.Error.Message, Fix: body.Error.Fix, exit: exitFailed}
	if body.Error.Line > 0 {
		f.At = fmt.Sprintf("line %d, column %d of the SQL", body.Error.Line, body.Error.Column)
	}
	return f
}

// sqlFailure words an error of a query for people, as the running node does.
func sqlFailure(err error) error {
	if e, ok := errors.AsType[*engine.SQLError](err); ok {
		f := &failure{Code: "sql_error", What: e.Message, Fix: cmp.Or(e.Hint, "correct the SQL at this place"), exit: exitFailed}
		if e.Line > 0 {
			f.At = fmt.Sprintf("line %d, column %d of the SQL", e.Line, e.Column)
		}
		return f
	}
	if e, ok := errors.AsType[*query.UnknownTable](err); ok {
		return &failure{
			Code: "unknown_dataset", What: fmt.Sprintf("there is no dataset %q", e.Name),
			Fix: "use one of " + strings.Join(e.Known, ", "), exit: exitFailed,
		}
	}
	for _, k := range []struct {
		is        error
		code, fix string
	}{
		{engine.ErrNotSelect, "not_select", "write exactly one SELECT statement"},
		{engine.ErrLimit, "limit_reached", "read less: fewer columns, a shorter time, or a LIMIT"},
		{engine.ErrDeadline, "deadline_passed", "read less, or raise query.deadline in reedbed.yaml"},
		{node.ErrNothingYet, "no_data", "send events with `reedbed up` running, or import files"},
	} {
		if errors.Is(err, k.is) {
			return &failure{Code: k.code, What: err.Error(), Fix: k.fix, exit: exitFailed}
		}
	}
	return err
}
