package enrich

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
	safariPhone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	googlebot     = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
)

func TestAgent(t *testing.T) {
	for _, c := range []struct {
		ua   string
		want UserAgent
	}{
		{chromeWindows, UserAgent{"Chrome", 141, "Windows", Desktop, false}},
		{safariPhone, UserAgent{"Safari", 18, "iOS", Mobile, false}},
		{googlebot, UserAgent{"Googlebot", 2, "", Bot, true}},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", UserAgent{"Firefox", 143, "Linux", Desktop, false}},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", UserAgent{"Safari", 18, "macOS", Desktop, false}},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", UserAgent{"Edge", 141, "Windows", Desktop, false}},
		{"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36", UserAgent{"Chrome", 141, "Android", Mobile, false}},
		{"Mozilla/5.0 (Linux; Android 14; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", UserAgent{"Chrome", 141, "Android", Tablet, false}},
		{"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", UserAgent{"Safari", 17, "iOS", Tablet, false}},
		{"Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/5.0 Chrome/94.0 TV Safari/537.36", UserAgent{"Samsung Browser", 5, "Tizen", TV, false}},
		{"curl/8.5.0", UserAgent{"curl", 8, "", Bot, true}},
		{"okhttp/4.12.0", UserAgent{"okhttp", 4, "", Bot, true}},
		{"Plays/3.2 CFNetwork/1496.0.7 Darwin/23.5.0", UserAgent{"Plays", 3, "iOS", Mobile, false}},
		{"Plays/3.2 (iPad; iPadOS 18.1)", UserAgent{"Plays", 3, "iOS", Tablet, false}},
		{"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", UserAgent{"Internet Explorer", 11, "Windows", Desktop, false}},
		{"", UserAgent{Device: OtherDevice}},
		{"-", UserAgent{Device: OtherDevice}},
		{"\x00\xff<script>", UserAgent{Device: OtherDevice}},
		{strings.Repeat("A", 10_000), UserAgent{Device: OtherDevice}},
	} {
		if diff := cmp.Diff(c.want, Agent(c.ua)); diff != "" {
			t.Errorf("Agent(%.120q) (-want +got):\n%s", c.ua, diff)
		}
	}
}

// Every pattern must be found by the index exactly where trying every pattern
// finds it.
func TestCrawlerIndexAgreesWithTryingEveryPattern(t *testing.T) {
	patterns := []string{"Googlebot\\/", "[wW]get", "^curl", "Chirp|gotosocial", "Spider[\\s\\S]*spider\\.com", "(^| )sentry\\/", "AdsBot-Google([^-]|$)", "dbot\\)"}
	index, err := newCrawlerIndex(patterns)
	if err != nil {
		t.Fatal(err)
	}
	oracle := compileAll(t, patterns)
	parts := []string{"Googlebot/", "Googlebot", "Wget", "wget", "get", "curl", " ", "Chirp", "gotosocial", "Spider", "spider.com", "sentry/", "AdsBot-Google", "-", "dbot)", "x", "é", "\n"}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 6).Draw(t, "parts"), "")
		if got, want := index.match(s), oracle(s); got != want {
			t.Fatalf("match(%q) = %v, want %v", s, got, want)
		}
	})
}

func TestCrawlerIndexRefusesPatternsWithoutLiteral(t *testing.T) {
	for _, p := range []string{"a.b", "[a-z]+", "(?i)googlebot", "bot|x", "("} {
		if _, err := newCrawlerIndex([]string{p}); err == nil {
			t.Errorf("newCrawlerIndex(%q) succeeded; a pattern without a literal would never be found", p)
		}
	}
}

func TestAgentCacheAnswersAsAgent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cache := NewAgentCache(rapid.IntRange(0, 6).Draw(t, "size"))
		for range rapid.IntRange(0, 30).Draw(t, "calls") {
			ua := rapid.SampledFrom([]string{chromeWindows, safariPhone, googlebot, "", "curl/8", "x", "y", "z"}).Draw(t, "ua")
			if diff := cmp.Diff(Agent(ua), cache.Agent(ua)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestAgentCacheIsBounded(t *testing.T) {
	const size = 100
	cache := NewAgentCache(size)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2_000 {
				cache.Agent(fmt.Sprintf("attack/%d.%d %s", w, i, strings.Repeat("z", 10_000)))
				cache.Agent(chromeWindows)
			}
		})
	}
	wg.Wait()
	if n := cache.len(); n > size {
		t.Errorf("the cache holds %d entries, want at most %d", n, size)
	}
	for ua := range cache.young {
		if len(ua) > maxAgent {
			t.Fatalf("the cache holds a key of %d bytes", len(ua))
		}
	}
}

func TestAgentCacheDoesNotHoldTheCallersMemory(t *testing.T) {
	cache := NewAgentCache(10)
	long := strings.Repeat("curl/8.5.0 ", 1000)
	cache.Agent(long)
	for key := range cache.young {
		if unsafe.StringData(key) == unsafe.StringData(long) {
			t.Error("the key is a part of the caller's string and keeps all of it alive")
		}
	}
}

func FuzzAgent(f *testing.F) {
	for _, s := range []string{chromeWindows, safariPhone, googlebot, "", "a/", "(;", "http://", "Android"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ua string) {
		got := Agent(ua)
		if len(got.Browser) > 40 || got.BrowserMajor < 0 || got.Device == "" || got.Bot != (got.Device == Bot) {
			t.Errorf("Agent(%q) = %+v", ua, got)
		}
	})
}

func BenchmarkAgent(b *testing.B) {
	for name, ua := range map[string]string{"browser": chromeWindows, "bot": googlebot, "longest": strings.Repeat("Goo", 200)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Agent(ua)
			}
		})
	}
	b.Run("crawlers only", func(b *testing.B) {
		for b.Loop() {
			crawlers().match(chromeWindows)
		}
	})
	b.Run("cached", func(b *testing.B) {
		cache := NewAgentCache(AgentCacheSize)
		b.ReportAllocs()
		for b.Loop() {
			cache.Agent(chromeWindows)
		}
	})
	b.Run("unique", func(b *testing.B) {
		cache := NewAgentCache(AgentCacheSize)
		agents := make([]string, 100_000)
		for i := range agents {
			agents[i] = fmt.Sprintf("%s Reed/%d", chromeWindows, i)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			cache.Agent(agents[i%len(agents)])
		}
	})
}
