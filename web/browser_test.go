package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/dataset/sqlite"
	"github.com/reedbed/reedbed/stage"
	"github.com/reedbed/reedbed/web"
)

// browser opens a tab of a real Chromium whose console is watched: whatever it
// says fails the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	ctx := unwatched(t)
	watchConsole(t, ctx)
	return ctx
}

// unwatched is a tab whose console may say what it likes.
func unwatched(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed, so the page is not tried in a real browser (apt-get install chromium)")
	}
	profile := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		closeTab()
		stop()
		cancel()
		emptied(profile)
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return ctx
}

// emptied waits for a browser that ended to let go of its profile.
func emptied(profile string) {
	for range 100 {
		if os.RemoveAll(profile) == nil {
			return
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // another process tells nobody when it is gone
	}
}

func watchConsole(t *testing.T, ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	said := chromedp.Console(ctx)
	watcher.Go(func() {
		for m, err := range said {
			if err != nil {
				return
			}
			t.Errorf("the browser's console says: %v", m)
		}
	})
	t.Cleanup(func() {
		cancel()
		watcher.Wait()
	})
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for something to become true in the page.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	var err error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); {
		_, err = chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(15*time.Second)))
		if err == nil || !strings.Contains(err.Error(), "Cannot find context") { // of a page that has just been left
			break
		}
	}
	if err != nil {
		t.Fatalf("never came true: %s: %v", expression, err)
	}
}

func open(t *testing.T, ctx context.Context, h http.Handler) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/")); err != nil {
		t.Fatal(err)
	}
}

// scheme makes the page light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	})
}

// pictures takes screenshots for a person to look at.
func pictures(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	for _, colours := range []string{"light", "dark"} {
		for form, width := range map[string]int64{"phone": 390, "desk": 1280} {
			if err := chromedp.Do(ctx, scheme(colours), chromedp.EmulateViewport(width, 900)); err != nil {
				t.Fatal(err)
			}
			if over := evaluate[int](t, ctx, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				t.Errorf("%s, %s: the page is %d pixels too wide", name, form, over)
			}
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.ArtifactDir(), name+"-"+form+"-"+colours+".png")
			if err := os.WriteFile(file, png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestPageInABrowser(t *testing.T) {
	boards, f := plays(t)
	ctx := browser(t)
	open(t, ctx, handler(t, f, with(boards)))

	if n := evaluate[int](t, ctx, "document.querySelectorAll('.card.ranked li:first-child').length"); n != 6 {
		t.Errorf("%d ranked cards with rows, want 6", n)
	}
	if n := evaluate[int](t, ctx, "document.querySelectorAll('.plot .bar').length"); n != 48 {
		t.Errorf("%d bars in the series, want 48", n)
	}
	if n := evaluate[int](t, ctx, "document.querySelectorAll('main img, main script, [onerror]').length"); n != 0 {
		t.Errorf("text of events became %d elements", n)
	}
	if shown := evaluate[string](t, ctx, "document.querySelectorAll('.ranked .label')[2].textContent"); shown != hostile {
		t.Errorf("a hostile name shows as %q", shown)
	}
	pictures(t, ctx, "busy")

	// A newer catalog shows by itself, and takes nothing away from the reader.
	if err := chromedp.Do(ctx, chromedp.Focus("summary"), chromedp.Click("summary")); err != nil {
		t.Fatal(err)
	}
	f.change(func() {
		f.status.Revision++
		f.status.Totals.Acknowledged = 31_415
		for _, c := range boards[0].Cards {
			if c.Kind == web.Ranked {
				d := f.cards[c.SQL]
				d.Rows = append([][]any{{"Kingfisher", 9999}}, d.Rows...)
				f.cards[c.SQL] = d
			}
		}
	})
	until(t, ctx, "document.querySelector('.totals dd').textContent === '31,415'")
	until(t, ctx, "document.querySelector('.ranked .label').textContent === 'Kingfisher'")
	if !evaluate[bool](t, ctx, "document.querySelector('details').open && document.activeElement.tagName === 'SUMMARY'") {
		t.Error("the update closed the table or took the focus")
	}
}

func TestPauseInABrowser(t *testing.T) {
	boards, f := plays(t)
	ctx := browser(t)
	open(t, ctx, handler(t, f, with(boards)))
	click := func() {
		if err := chromedp.Do(ctx, chromedp.Click("#live-button")); err != nil {
			t.Fatal(err)
		}
	}
	click()
	f.change(func() { f.status.Revision++; f.status.Totals.Loaded = 77_777 })
	// Longer than the page waits when it does not pause.
	if err := chromedp.Do(ctx, chromedp.Sleep(2500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	loaded := "document.querySelectorAll('.totals dd')[1].textContent === '77,777'"
	if evaluate[bool](t, ctx, loaded) {
		t.Error("a paused page changed")
	}
	click()
	until(t, ctx, loaded)
}

func TestTroubleInABrowser(t *testing.T) {
	boards, f := plays(t)
	f.status.Problems = []stage.Problem{
		{File: "stages/royalties.sql", Line: 14, What: "there is no dataset play_count", Fix: "did you mean play_counts?"},
		{File: "dashboards/stats.yaml", What: "two cards are called \"Apps\"", Fix: "give each card its own title"},
	}
	f.status.Failures = []sqlite.Failure{
		{Dataset: "royalties", Partition: "2026-11", Attempts: 3, Error: "line 9, column 4: Conversion Error: could not convert '" + hostile + "' to DOUBLE"},
	}
	f.status.Datasets[7].Failed, f.status.Datasets[7].Fresh = 1, 2
	f.status.Holds = []dataset.Hold{
		{
			Dataset: "plays_classified", Partition: "2026-11-22T09", For: "royalties", Version: 3, Reads: 2, Since: noon,
			Broken: []dataset.Broken{{Contract: "royalties", Owner: "finance", Rule: "measures.doubtful_rate", At: "contracts/royalties.yaml:6", What: "measure doubtful_rate is 0.42; expected: measure doubtful_rate is at most 5%"}},
		},
		{Dataset: "plays", Partition: "2026-11-22T10", Broken: []dataset.Broken{{What: "track_id is NULL in 12 of 300 rows " + hostile, At: "stages/plays.sql:9"}}},
	}
	delete(f.cards, boards[0].Cards[3].SQL)
	f.cards[boards[0].Cards[4].SQL] = web.CardData{Columns: []string{"label", "value"}, AsOf: noon}
	ctx := browser(t)
	open(t, ctx, handler(t, f, with(boards)))
	pictures(t, ctx, "trouble")
}

func TestEmptyProjectInABrowser(t *testing.T) {
	f := &fake{status: web.Status{Converged: true, Version: "1.2.3"}}
	ctx := browser(t)
	open(t, ctx, handler(t, f))
	pictures(t, ctx, "empty")
}
