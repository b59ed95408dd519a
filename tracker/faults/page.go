package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// longest is how long the tracker should keep a page busy at a stretch, in
// milliseconds, on a processor slowed down four times and with nothing else to
// do. It is said and not judged: nobody knows what else a machine does.
const longest = 5

// visits is how often the page is looked at: whatever else the machine does
// makes a stretch longer, and nothing makes it shorter.
const visits = 5

// verdict is what a page that carries the tracker is like.
type verdict struct {
	early    int       // requests for events and keys stored before somebody agreed
	console  []string  // what the browser objects to, such as breaches of the page's policy
	axe      []string  // rules of axe that the page breaks
	busy     []float64 // the longest stretch of the tracker's in each visit, in milliseconds
	requests int       // after the clicks of the last visit
}

// page looks at /try, which reedbed serves under a strict policy.
func (l *lab) page(browser context.Context) (verdict, error) {
	tab, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer closeTab()
	var v verdict
	if err := chromedp.Do(tab); err != nil {
		return v, err
	}
	said := v.listen(tab)
	slow := emulation.SetCPUThrottlingRateParams{Rate: 4}
	_, err := chromedp.Call(tab, emulation.SetCPUThrottlingRate, slow)
	for range visits {
		if err == nil {
			var busy float64
			busy, err = traced(tab, func() error { return v.use(tab, l.server.String()+"/try") })
			v.busy = append(v.busy, busy)
		}
	}
	if err == nil && l.modules != "" {
		v.axe, err = violations(tab, l.modules)
	}
	closeTab()
	<-said
	return v, err
}

// listen collects what the console says until the tab is closed.
func (v *verdict) listen(tab context.Context) <-chan struct{} {
	messages, done := chromedp.Console(tab), make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			v.console = append(v.console, fmt.Sprint(m))
		}
	}()
	return done
}

// forget makes the next visit the first.
func forget() step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("localStorage.clear(); null"))
		return err
	})
}

const told = `performance.getEntriesByType("resource").filter(r => r.name.includes("/t/e")).length`

// use is what a person does there: nothing at first, then agree and click.
func (v *verdict) use(tab context.Context, at string) error {
	if err := chromedp.Do(tab, chromedp.Navigate(at), wait(2)); err != nil {
		return err
	}
	early, err := chromedp.Run(tab, chromedp.Evaluate[int](told+" + localStorage.length"))
	if err != nil {
		return err
	}
	v.early += early
	click := func(id string, times int) step {
		return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			for range times {
				if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(id))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := chromedp.Do(tab, click("#agree", 1), click("[data-ev]", 20), click("#turn", 5), wait(3)); err != nil {
		return err
	}
	if v.requests, err = chromedp.Run(tab, chromedp.Evaluate[int](told)); err != nil {
		return err
	}
	return chromedp.Do(tab, click("#withdraw", 1), forget())
}

// violations are the rules of axe that the page breaks.
func violations(tab context.Context, modules string) ([]string, error) {
	axe, err := os.ReadFile(filepath.Join(modules, "axe-core", "axe.min.js"))
	if err != nil {
		return nil, err
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[any](string(axe)+"; null")); err != nil {
		return nil, err
	}
	return chromedp.Run(tab, chromedp.Evaluate[[]string](
		"axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target)))", chromedp.EvalAwaitPromise))
}

// traced says how long the tracker's script ran at a stretch while act did.
func traced(tab context.Context, act func() error) (busy float64, err error) {
	complete := make(chan struct{})
	listening, stop := context.WithCancel(tab)
	defer stop()
	err = chromedp.Listen(listening, func(e any) {
		switch e := e.(type) {
		case *tracing.EventDataCollected:
			for _, raw := range e.Value {
				busy = max(busy, stretch(raw))
			}
		case *tracing.EventTracingComplete:
			close(complete)
		}
	})
	if err != nil {
		return 0, err
	}
	what := &tracing.TraceConfig{IncludedCategories: []string{"devtools.timeline", "v8"}, ExcludedCategories: []string{"*"}}
	if _, err := chromedp.Call(tab, tracing.Start, tracing.StartParams{TraceConfig: what}); err != nil {
		return 0, err
	}
	if err := act(); err != nil {
		return 0, err
	}
	if _, err := chromedp.Call(tab, tracing.End, cdp.Empty{}); err != nil {
		return 0, err
	}
	select {
	case <-complete:
		return busy, nil
	case <-tab.Done():
		return 0, tab.Err()
	}
}

// stretch is how long a trace event kept the processor with the tracker's
// script, in milliseconds; 0 for others.
func stretch(raw []byte) float64 {
	var e struct {
		Name string  `json:"name"`
		CPU  float64 `json:"tdur"`
		Args struct {
			Data struct {
				URL string `json:"url"`
			} `json:"data"`
		} `json:"args"`
	}
	if json.Unmarshal(raw, &e) != nil || !strings.Contains(e.Args.Data.URL, "/t/t-") {
		return 0
	}
	return e.CPU / 1000
}

// print says what was found, and whether it is what is promised.
func (v verdict) print(axe bool) error {
	fmt.Printf("\nthe page /try, %d visits on a processor slowed down four times\n"+
		"  requests and stored keys before anybody agreed   %d\n  requests after 26 events                         %d\n"+
		"  longest stretch of the tracker, the least        %.1f ms of %.1f; should be %d where nothing else runs\n  objections of the browser, such as to its policy %d %q\n",
		visits, v.early, v.requests, slices.Min(v.busy), v.busy, longest, len(v.console), v.console)
	if axe {
		fmt.Printf("  rules of axe that it breaks                      %d %q\n", len(v.axe), v.axe)
	}
	if v.early > 0 || v.requests == 0 || slices.Min(v.busy) == 0 || len(v.console)+len(v.axe) > 0 {
		return errors.New("the page /try is not what it should be")
	}
	return nil
}
