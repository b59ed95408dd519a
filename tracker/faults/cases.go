package main

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
)

// faultCase is something that happens to pages.
type faultCase struct {
	letter string
	what   string
	sent   int // events that count
	play   func(*visit) error
}

func cases() []faultCase {
	return []faultCase{
		{"A", "20 events in one tick, leave at once", 20, func(v *visit) error {
			return v.steps(v.open(""), v.do("many(name, 0, 20); location.href = '/elsewhere'"), wait(4))
		}},
		{"E", "20 events 60 ms apart, leave 50 ms later", 20, func(v *visit) error {
			return v.steps(v.open(""), v.tell(0, 20, 60), chromedp.Sleep(50*time.Millisecond), v.leave(), wait(4))
		}},
		{"B", "503 for 1.5 s while 20 events happen, then 25 s without one", 20, func(v *visit) error {
			return v.steps(v.open(""), v.is(busy), v.tell(0, 20, 55), chromedp.Sleep(400*time.Millisecond), v.is(fine), wait(25))
		}},
		{"C", "connections cut during a visit of 20 events; back after 3 s with one more", 21, func(v *visit) error {
			return v.steps(v.open(""), v.is(cut), v.tell(0, 20, 60), v.leave(), wait(3), v.is(fine), v.open(""), v.tell(20, 21, 0), wait(10))
		}},
		{"D", "two tabs, 503, both leave; one new page", 11, twoTabs},
		{"W", "offline for a week with full storage", weekEvents, week},
	}
}

func twoTabs(v *visit) error {
	if err := v.steps(v.open("")); err != nil {
		return err
	}
	other, closeTab := v.another()
	defer closeTab()
	return v.steps(other.open(""), v.is(busy), v.tell(0, 5, 60), other.tell(5, 10, 60), v.leave(), other.leave(),
		wait(1), v.is(fine), v.open(""), v.tell(10, 11, 0), wait(15))
}

const (
	weekVisit  = 60 // events
	weekEvents = 14*weekVisit + 1
)

// week is two visits on each of seven days without a way to the collector.
// After the first day the site's own data fills the storage.
func week(v *visit) error {
	at := 0
	for half := range 14 {
		day := fmt.Sprintf("?day=%d", half/2-7)
		if err := v.steps(v.is(cut), v.open(day), v.tell(at, at+weekVisit, 2), wait(1)); err != nil {
			return err
		}
		if half == 1 {
			if err := v.steps(v.do("fill()")); err != nil {
				return err
			}
		}
		if err := v.steps(v.leave(), wait(1)); err != nil { // browsers let a page end after the next has begun
			return err
		}
		at += weekVisit
	}
	return v.steps(v.is(fine), v.open(""), v.tell(at, at+1, 0), wait(20))
}

// visit is a person at one tab.
type visit struct {
	lab *lab
	run string
	ctx context.Context //nolint:containedctx // it is the tab
}

// tried is a case that a tracker was put into.
type tried struct {
	tracker tracker
	faultCase
	run string
}

func runName(t tracker, c faultCase) string { return t.name + "-" + string(c.letter[0]+'a'-'A') }

func (l *lab) tryOne(browser context.Context, t tracker, c faultCase) error {
	tab, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer closeTab()
	v := &visit{l, runName(t, c), tab}
	if err := c.play(v); err != nil {
		return fmt.Errorf("%s, case %s: %w", t.name, c.letter, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried = append(l.tried, tried{t, c, v.run})
	return nil
}

// another opens a second tab of the same person, who has opened one before.
func (v *visit) another() (*visit, context.CancelFunc) {
	tab, closeTab := chromedp.NewContext(v.ctx)
	return &visit{v.lab, v.run, tab}, closeTab
}

type step = chromedp.Action[chromedp.Void]

func (v *visit) steps(steps ...step) error { return chromedp.Do(v.ctx, steps...) }

// here makes a step of another tab one of any.
func (v *visit) here(steps ...step) step {
	return chromedp.Func(func(context.Context, *chromedp.Target) error { return chromedp.Do(v.ctx, steps...) })
}

func (v *visit) open(query string) step {
	return v.here(chromedp.Navigate(v.lab.origin(v.run) + "/" + query))
}

// leave goes to a page of another site.
func (v *visit) leave() step {
	return v.here(chromedp.Navigate(fmt.Sprintf("http://127.0.0.1:%d/", v.lab.sitePort)))
}

func (v *visit) do(script string) step {
	return v.here(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any](fmt.Sprintf("{const name = %q; %s; null}", v.run, script)))
		return err
	}))
}

// tell tells of events and returns when all of them have happened.
func (v *visit) tell(from, to, pause int) step {
	return v.here(v.do(fmt.Sprintf("done = false; many(name, %d, %d, %d)", from, to, pause)),
		chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Run(ctx, chromedp.Poll[bool]("done"))
			return err
		}))
}

func (v *visit) is(f fault) step {
	return chromedp.Func(func(context.Context, *chromedp.Target) error {
		v.lab.set(v.run, f)
		return nil
	})
}

func wait(seconds int) step { return chromedp.Sleep(time.Duration(seconds) * time.Second) }
