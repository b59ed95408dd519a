package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reedbed/reedbed/web"
)

const slowSQL, quickSQL = "SELECT slow", "SELECT quick"

// pair is a dashboard with a card that takes its time and one that does not.
func pair() []web.Dashboard {
	return []web.Dashboard{{Title: "Two", Cards: []web.Card{
		{Title: "Slow", Kind: web.Number, SQL: slowSQL}, {Title: "Quick", Kind: web.Number, SQL: quickSQL},
	}}}
}

// taking makes the slow card take as long as d says.
func taking(f *fake, d *time.Duration) {
	f.card = func(ctx context.Context, sql string) (web.CardData, error) {
		data := web.CardData{Columns: []string{"value"}, Rows: [][]any{{41}}, AsOf: time.Now()}
		if sql == quickSQL {
			return data, nil
		}
		select {
		case <-time.After(*d):
			return data, nil
		case <-ctx.Done():
			return web.CardData{}, ctx.Err()
		}
	}
}

func inBubble(o *web.Options) { o.Now = time.Now }

func TestManyReadersCostAsMuchAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy()}
		taking(f, new(100*time.Millisecond))
		h := handler(t, f, with(pair()), inBubble)
		var readers sync.WaitGroup
		for range 50 {
			readers.Go(func() {
				if body := text(t, ask(h, "GET", "/fragment", "")); strings.Count(body, `class="figure"`) != 2 {
					t.Errorf("a reader saw no numbers: %s", body)
				}
			})
		}
		readers.Wait()
		if f.runs() != 2 || f.statuses != 1 {
			t.Errorf("50 readers made %d cards run and asked the status %d times, want 2 and 1", f.runs(), f.statuses)
		}
		time.Sleep(time.Minute)
		if f.runs() != 2 {
			t.Errorf("cards ran while nobody looked")
		}
		ask(h, "GET", "/fragment", "")
		if f.runs() != 2 {
			t.Errorf("cards ran again though nothing had changed")
		}
	})
}

func TestSlowCardSaysSoAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy()}
		taking(f, new(time.Hour))
		h := handler(t, f, with(pair()), inBubble)
		began := time.Now()
		body := text(t, ask(h, "GET", "/", ""))
		if took := time.Since(began); took > time.Second {
			t.Errorf("the page took %v", took)
		}
		if !strings.Contains(body, "Computing…") || strings.Count(body, `class="figure"`) != 1 {
			t.Errorf("want one number and one card under way: %s", body)
		}
		time.Sleep(5 * time.Second)
		if body = text(t, ask(h, "GET", "/fragment", "")); !strings.Contains(body, "Computing for 5s") {
			t.Errorf("a slow card does not say for how long: %s", body)
		}
		time.Sleep(20 * time.Second)
		if body = text(t, ask(h, "GET", "/fragment", "")); !strings.Contains(body, "This card failed: it took longer than 15s") {
			t.Errorf("a card past its deadline does not say so: %s", body)
		}
	})
}

func TestCardsRestAfterTheyRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy()}
		taking(f, new(500*time.Millisecond))
		h := handler(t, f, with(pair()[:1]), inBubble)
		for range 60 { // a minute of a catalog that changes all the time
			f.change(func() { f.status.Revision++ })
			ask(h, "GET", "/fragment", "")
			time.Sleep(time.Second)
		}
		slow := f.runs() - 60 // the quick card takes no time, so it need not rest
		if slow < 9 || slow > 12 {
			t.Errorf("a card of half a second ran %d times a minute, want about one in 5.5 s", slow)
		}
	})
}

func TestCardOutlivesTheReaderWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy()}
		taking(f, new(3*time.Second))
		h := handler(t, f, with(pair()), inBubble)
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			time.Sleep(100 * time.Millisecond)
			leave()
		}()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
		time.Sleep(5 * time.Second)
		if body := text(t, ask(h, "GET", "/fragment", "")); strings.Count(body, `class="figure"`) != 2 {
			t.Errorf("what a reader who left had asked for is not there: %s", body)
		}
	})
}

func TestFailingCardKeepsItsLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy()}
		taking(f, new(time.Duration(0)))
		h := handler(t, f, with(pair()), inBubble)
		ask(h, "GET", "/", "")
		f.card = func(context.Context, string) (web.CardData, error) { return web.CardData{}, errors.New("worker died") }
		f.change(func() { f.status.Revision++ })
		time.Sleep(2 * time.Second)
		ask(h, "GET", "/fragment", "") // starts the runs
		synctest.Wait()
		body := text(t, ask(h, "GET", "/fragment", ""))
		if strings.Count(body, "This card failed: worker died") != 2 || strings.Count(body, `class="figure"`) != 2 {
			t.Errorf("want the error and the last answer: %s", body)
		}
	})
}
