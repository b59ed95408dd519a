package enrich

import (
	"strings"

	"github.com/mileusna/useragent"
)

// maxAgent is how many bytes of a user agent are considered. Browsers send
// 100 to 250; what comes after this is ignored.
const maxAgent = 512

// Device classes.
const (
	Desktop     = "desktop"
	Mobile      = "mobile"
	Tablet      = "tablet"
	TV          = "tv"
	Bot         = "bot"
	OtherDevice = "other"
)

// UserAgent is what a user agent string claims. Nothing in it is proven: any
// client can send any string.
type UserAgent struct {
	Browser      string // Chrome, Firefox, Safari, an app's own name; "" when unknown
	BrowserMajor int    // 0 when unknown
	OS           string // Windows, macOS, iOS, Android, Linux, ...; "" when unknown
	Device       string // one of the device classes
	Bot          bool   // a crawler, a monitor or a plain HTTP library
}

// Agent reads a user agent string. It costs a few microseconds; use an
// [AgentCache] where the same strings come again.
func Agent(ua string) UserAgent {
	ua = clip(ua, maxAgent)
	parsed := useragent.Parse(ua)
	out := UserAgent{
		Browser:      browserName(parsed.Name),
		BrowserMajor: max(0, parsed.VersionNo.Major),
		OS:           osName(parsed.OS, ua),
		Bot:          parsed.Bot || crawlers().match(ua),
	}
	if out.Browser == "" {
		out.BrowserMajor = 0
	}
	out.Device = device(parsed, ua, out.Bot)
	return out
}

// browserName keeps a name people can read. The parser answers the whole
// string when it recognises nothing; as a browser that would be noise.
func browserName(name string) string {
	if len(name) == 0 || len(name) > 40 || !isLetter(name[0]) {
		return ""
	}
	for i := range len(name) {
		if c := name[i]; !isLetter(c) && !isDigit(c) && !strings.ContainsRune(" ._-", rune(c)) {
			return ""
		}
	}
	return strings.Clone(name)
}

// osTokens name systems the parser does not know, most specific first.
var osTokens = [...]struct{ token, os string }{
	{"AppleTV", "tvOS"},
	{"tvOS", "tvOS"},
	{"Tizen", "Tizen"},
	{"Web0S", "webOS"},
	{"webOS", "webOS"},
	{"PlayStation", "PlayStation"},
	{"Nintendo", "Nintendo"},
}

func osName(parsed, ua string) string {
	for _, t := range osTokens {
		if strings.Contains(ua, t.token) {
			return t.os
		}
	}
	return parsed
}

// tvTokens mark televisions and the boxes under them.
var tvTokens = [...]string{
	"SmartTV", "SMART-TV", "Smart-TV", "Smart TV", "AppleTV", "tvOS", "GoogleTV", "Android TV", "HbbTV",
	"CrKey", "BRAVIA", "Web0S", "Roku", "NetCast", " TV ", "TV Safari", "AFTB", "AFTM", "AFTS", "AFTT",
}

func device(parsed useragent.UserAgent, ua string, bot bool) string {
	switch {
	case bot:
		return Bot
	case containsAny(ua, tvTokens[:]):
		return TV
	case parsed.Tablet, isAndroidTablet(parsed, ua):
		return Tablet
	case parsed.Mobile:
		return Mobile
	case parsed.Desktop:
		return Desktop
	default:
		return OtherDevice
	}
}

// isAndroidTablet applies the rule Android's browsers follow: phones say
// "Mobile", tablets do not. Apps follow no rule and are taken for phones.
func isAndroidTablet(parsed useragent.UserAgent, ua string) bool {
	return parsed.IsAndroid() && strings.Contains(ua, "AppleWebKit") && !strings.Contains(ua, "Mobile")
}

func containsAny(s string, tokens []string) bool {
	for _, t := range tokens {
		if strings.Contains(s, t) {
			return true
		}
	}
	return false
}

func clip(s string, n int) string {
	return s[:min(len(s), n)]
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
