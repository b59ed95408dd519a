package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/evanw/esbuild/pkg/api"
)

// browser is a Chromium and the site whose pages carry the clients.
type browser struct {
	tabs    context.Context //nolint:containedctx // it is the browser
	stop    func()
	site    *httptest.Server
	modules string
}

// An event every betweenEvents is what posthog-js lets through without
// limiting itself; quiet without a request is longer than any client's pause.
const (
	betweenEvents = 60 * time.Millisecond
	quiet         = 25 * time.Second
)

func newBrowser(ctx context.Context, modules, dir string) (*browser, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("%w (Debian: apt-get install chromium)", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.Headless, chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, closeAll := chromedp.NewContext(ctx)
	b := &browser{modules: modules, tabs: ctx, stop: func() { closeAll(); stop() }}
	b.site = httptest.NewServer(http.HandlerFunc(b.page))
	b.site.Config.ErrorLog = log.New(io.Discard, "", 0)
	if err := chromedp.Do(ctx); err != nil {
		b.close()
		return nil, fmt.Errorf("start chromium: %w", err)
	}
	return b, nil
}

// origin is where its pages come from.
func (b *browser) origin() string {
	if b == nil {
		return "http://127.0.0.1" // nobody's
	}
	return b.site.URL
}

func (b *browser) close() {
	if b == nil {
		return
	}
	b.stop()
	b.site.Close()
}

// page is the page of a client, or its script.
func (b *browser) page(w http.ResponseWriter, r *http.Request) {
	client, isScript := strings.CutSuffix(strings.Trim(r.URL.Path, "/"), ".js")
	if !isScript {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><title>A page</title><script>
const asked = new URLSearchParams(location.search)
window.collector = asked.get("way"); window.key = asked.get("key")
</script><script src="/%s.js"></script>`, client)
		return
	}
	script, err := b.bundle(client)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write(script)
}

func (b *browser) bundle(client string) ([]byte, error) {
	built := api.Build(api.BuildOptions{
		EntryPoints: []string{filepath.Join(drivers, "web", client+".ts")}, Bundle: true, Format: api.FormatIIFE,
		Target: api.ES2021, Platform: api.PlatformBrowser, NodePaths: []string{filepath.Join(b.modules, "node_modules")},
		Define: map[string]string{"process.env.NODE_ENV": `"production"`}, LogOverride: map[string]api.LogLevel{"": api.LogLevelError},
	})
	if len(built.Errors) > 0 {
		return nil, errors.New(api.FormatMessages(built.Errors, api.FormatMessagesOptions{})[0])
	}
	return built.OutputFiles[0].Contents, nil
}

// send is what a page does: the marks one after the other, then what is kept,
// again and again. done is how many were told.
const send = `window.done = 0; const next = () => {
	if (done < %d) { tell(%q + "#" + done++ + ";"); setTimeout(next, %d) }
	else if (window.flush) { flush(); setTimeout(next, 500) }
}; next(); null`

// drive has a client on a page send events, and waits until all have reached
// the server or nothing more is tried.
func (b *browser) drive(ctx context.Context, c client, way, key string, events int, l *ledger) (told, error) {
	tab, closeTab := chromedp.NewContext(b.tabs, chromedp.WithNewBrowserContext())
	defer closeTab()
	if err := chromedp.Do(tab, chromedp.Navigate(fmt.Sprintf("%s/%s?way=%s&key=%s", b.site.URL, c.name, way, key))); err != nil {
		return told{}, err
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[any](fmt.Sprintf(send, events, key, betweenEvents.Milliseconds()))); err != nil {
		return told{}, err
	}
	seen, since := -1, time.Now()
	for l.arrived() < events && time.Since(since) < quiet {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return told{}, ctx.Err()
		}
		if n := l.tries(); n != seen {
			seen, since = n, time.Now()
		}
	}
	sent, err := chromedp.Run(tab, chromedp.Evaluate[int]("done"))
	return told{Sent: sent}, err
}
