package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/event"
	"github.com/reedbed/reedbed/journal"
	"github.com/reedbed/reedbed/web"
)

// The control socket is how other processes of the same user reach a running
// node: the JSON API, and what changes something. Its folder's permissions say
// who may.

// maxControlBody bounds one imported batch.
const maxControlBody = 16 << 20

// serveControl answers the control socket until ctx ends.
func (n *Node) serveControl(ctx context.Context) error {
	listener, err := n.listenControl(ctx)
	if err != nil {
		return err
	}
	api, err := web.New(web.Options{Backend: backend{n}, Collect: n.door.Handler(), Loopback: true, Plan: n.planOwn, Alerts: n.catalog.AlertLog, Log: n.log.With("part", "control")})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.HandleFunc("POST /control/import/{source}", n.controlImport)
	mux.HandleFunc("GET /control/imports/{key}", n.controlProgress)
	mux.HandleFunc("PUT /control/imports/{key}", n.controlSetProgress)
	mux.HandleFunc("POST /control/drain", func(w http.ResponseWriter, r *http.Request) { answer(w, n.Drain(r.Context())) })
	mux.HandleFunc("POST /control/settle", func(w http.ResponseWriter, r *http.Request) { answer(w, n.Settle(r.Context())) })
	n.keepRoutes(mux)
	n.reviseRoutes(mux)
	n.quarantineRoutes(mux)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: drainTime}
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if server.Shutdown(drain) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listenControl replaces a dead node's socket: we hold the project's lock.
func (n *Node) listenControl(ctx context.Context) (net.Listener, error) {
	path := n.project.ControlSocket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it would remove the short name
	return l, os.Chmod(path, 0o600)
}

// shortPath gives a name of a socket that fits the kernel's limit of about 100
// bytes, valid until done: its folder by descriptor instead of by name.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) < 100 {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { _ = dir.Close() }, nil
}

func (n *Node) controlImport(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
	if err != nil {
		answer(w, err)
		return
	}
	b, err := event.DecodeBatch(body)
	if err == nil {
		err = n.Accept(r.Context(), r.PathValue("source"), &b)
	}
	answer(w, err)
}

// Accept makes a batch that did not come by HTTP durable.
func (n *Node) Accept(ctx context.Context, source string, b *event.Batch) error {
	return n.door.Accept(ctx, source, b)
}

// ImportProgress and SetImportProgress keep how far a file was imported.
func (n *Node) ImportProgress(ctx context.Context, key string) (sqlite.ImportProgress, error) {
	return n.catalog.ImportProgress(ctx, key)
}

// SetImportProgress records how far a file was imported.
func (n *Node) SetImportProgress(ctx context.Context, key string, p sqlite.ImportProgress) error {
	return n.catalog.SetImportProgress(ctx, key, p)
}

// Status is the node's status as `reedbed status` shows it.
func (n *Node) Status(ctx context.Context) (web.Status, error) { return backend{n}.Status(ctx) }

func (n *Node) controlProgress(w http.ResponseWriter, r *http.Request) {
	p, err := n.catalog.ImportProgress(r.Context(), r.PathValue("key"))
	if err != nil {
		answer(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p)
}

func (n *Node) controlSetProgress(w http.ResponseWriter, r *http.Request) {
	var p sqlite.ImportProgress
	err := json.NewDecoder(r.Body).Decode(&p)
	if err == nil {
		err = n.catalog.SetImportProgress(r.Context(), r.PathValue("key"), p)
	}
	answer(w, err)
}

// answer is 204, 503 for "try again shortly", or 500 with the reason.
func answer(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, journal.ErrOverloaded), errors.Is(err, journal.ErrFull):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
