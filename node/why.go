package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/reedbed/reedbed/converge"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
)

// Why accounts for a partition, as the running node does, or from the catalog
// when none runs. What does not exist is a *dataset.Refusal.
func Why(ctx context.Context, o Options, r dataset.Reference) (a sqlite.Account, err error) {
	path := fmt.Sprintf("/api/v1/datasets/%s/%s?version=%d", url.PathEscape(r.Dataset), r.Partition, r.Version)
	return ask(ctx, o, path, func(reader *Reader) (sqlite.Account, error) { return account(ctx, reader.catalog, r) })
}

// Why accounts for a partition, with what runs at this moment.
func (b backend) Why(ctx context.Context, r dataset.Reference) (sqlite.Account, error) {
	a, err := account(ctx, b.n.catalog, r)
	if err == nil && a.Due != nil && b.n.converger.Runs(r.Dataset, r.Partition) {
		a.State = sqlite.Running
	}
	return a, err
}

// account is what the catalog says of a partition, and how much of what was sent in
// its time arrived.
func account(ctx context.Context, catalog *sqlite.Catalog, r dataset.Reference) (a sqlite.Account, err error) {
	if a, err = catalog.Why(ctx, r); err == nil {
		a.Completeness, err = converge.Measured(ctx, catalog, a.Partition)
	}
	return a, err
}

// ask gets the JSON at a path from the running node, or has answer do it when
// none runs.
func ask[Out any](ctx context.Context, o Options, path string, answer func(*Reader) (Out, error)) (out Out, err error) {
	client, err := Connect(ctx, o.Project)
	if err == nil {
		return out, client.get(ctx, path, &out)
	}
	if !errors.Is(err, ErrNotRunning) {
		return out, err
	}
	r, err := OpenReader(ctx, o)
	if errors.Is(err, ErrNothingYet) {
		return out, &dataset.Refusal{Code: "no_data", What: err.Error(), Fix: "send events with `reedbed up` running, or import files"}
	}
	if err != nil {
		return out, err
	}
	out, err = answer(r)
	return out, errors.Join(err, r.Close())
}

// get reads JSON from the API. What the API refuses comes back as a
// *dataset.Refusal.
func (c *Client) get(ctx context.Context, path string, out any) error {
	res, err := c.Do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return json.NewDecoder(res.Body).Decode(out)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return err
	}
	var problem struct {
		Error struct{ Code, Message, Fix string }
	}
	if json.Unmarshal(text, &problem) != nil || problem.Error.Code == "" {
		return fmt.Errorf("the running node answered %s: %s", res.Status, text)
	}
	return &dataset.Refusal{Code: problem.Error.Code, What: problem.Error.Message, Fix: problem.Error.Fix}
}
