// Command faults tries trackers in a real Chromium against the real server
// while the way between them fails, and prints what arrived of what each was
// told: ours, and others in the versions of package-lock.json. The guide
// docs/guides/tracker.md says what the cases are.
//
// It needs chromium, and npm for the others; without them it says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/chromedp"
)

// longestRun ends a run that hangs.
const longestRun = 20 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longestRun)
	defer cancel()
	only := flag.String("only", "", "trackers to try, with commas; all if empty")
	cases := flag.String("cases", "", "letters of the cases to try; all if empty")
	atOnce := flag.Int("at-once", 3, "trackers tried at the same time")
	flag.Parse()
	if err := run(ctx, *only, *cases, *atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		cancel()
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, only, letters string, atOnce int) error {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Println("SKIPPED: chromium is not installed (Debian: apt-get install chromium)")
		return nil
	}
	dir, err := os.MkdirTemp("", "reedbed-faults-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	trackers, modules, err := load(ctx, only)
	if err != nil {
		return err
	}
	l, err := newLab(ctx, dir, modules, trackers)
	if err != nil {
		return err
	}
	browser, stop := start(ctx, chromium, dir)
	defer stop()
	if err := chromedp.Do(browser); err != nil {
		return errors.Join(fmt.Errorf("start chromium: %w", err), l.close())
	}
	page, err := l.page(browser)
	if err == nil {
		err = l.try(browser, letters, atOnce)
	}
	if err == nil {
		err = errors.Join(l.report(ctx), page.print(modules != ""))
	}
	return errors.Join(err, l.close())
}

// try puts every tracker into every case. The cases of one tracker follow each
// other, in an origin of their own each.
func (l *lab) try(browser context.Context, letters string, atOnce int) error {
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	failed := make([]error, len(l.trackers))
	for i, t := range l.trackers {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			for _, c := range cases() {
				if letters == "" || strings.Contains(letters, c.letter) {
					failed[i] = errors.Join(failed[i], l.tryOne(browser, t, c))
				}
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

func start(ctx context.Context, chromium, dir string) (context.Context, func()) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.UserDataDir(dir+"/profile"), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, closeAll := chromedp.NewContext(ctx)
	return ctx, func() {
		closeAll()
		stop()
	}
}
