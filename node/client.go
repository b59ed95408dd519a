package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/web"
)

// ErrNotRunning says that no node runs on the project.
var ErrNotRunning = errors.New("nothing runs on this project")

// Client reaches the node that runs on a project through its control socket.
type Client struct{ http *http.Client }

// Connect returns a client, or ErrNotRunning.
func Connect(ctx context.Context, p config.Project) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		short, done, err := shortPath(p.ControlSocket())
		if err != nil {
			return nil, err
		}
		defer done()
		var d net.Dialer
		return d.DialContext(ctx, "unix", short)
	}
	conn, err := dial(ctx, "", "")
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("reach the running node: %w", err)
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}}}, conn.Close()
}

// Do sends a request to a path of the control socket; the caller closes the
// body of the answer.
func (c *Client) Do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return c.http.Do(r)
}

// call sends a request and decodes a JSON answer into out, if out is not nil.
func (c *Client) call(ctx context.Context, method, path string, body []byte, out any) error {
	res, err := c.Do(ctx, method, path, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		refusal := &dataset.Refusal{}
		if res.StatusCode == http.StatusConflict && json.Unmarshal(text, refusal) == nil {
			return refusal
		}
		if res.StatusCode == http.StatusServiceUnavailable {
			return fmt.Errorf("%w: %s", journal.ErrOverloaded, strings.TrimSpace(string(text)))
		}
		return errors.New(strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// Accept makes a batch durable in the running node.
func (c *Client) Accept(ctx context.Context, source string, b *event.Batch) error {
	if b.ReceivedAt.IsZero() {
		b.ReceivedAt = time.Now().UTC().Truncate(time.Microsecond)
	}
	return c.call(ctx, http.MethodPost, "/control/import/"+source, event.EncodeBatch(nil, b), nil)
}

// ImportProgress asks how far a file was imported.
func (c *Client) ImportProgress(ctx context.Context, key string) (p sqlite.ImportProgress, err error) {
	err = c.call(ctx, http.MethodGet, "/control/imports/"+key, nil, &p)
	return p, err
}

// SetImportProgress records how far a file was imported.
func (c *Client) SetImportProgress(ctx context.Context, key string, p sqlite.ImportProgress) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, "/control/imports/"+key, body, nil)
}

// Drain waits until the running node has loaded all that is durable.
func (c *Client) Drain(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/control/drain", nil, nil)
}

// Settle waits until the running node has loaded and computed everything.
func (c *Client) Settle(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/control/settle", nil, nil)
}

// Status asks the running node for its status.
func (c *Client) Status(ctx context.Context) (s web.Status, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
	return s, err
}
