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
	if parsed.Name == "Trident" { // Internet Explorer 11 gives its engine's name only
		parsed.Name, parsed.VersionNo.Major = useragent.InternetExplorer, parsed.VersionNo.Major+4
	}
	out := UserAgent{
		Browser:      browserName(parsed.Name),
		BrowserMajor: max(0, parsed.VersionNo.Major),
		OS:           osName(parsed.OS, ua),
		Bot:          parsed.Bot || crawlers().match(ua),
	}
	if out.Browser == "" {
		out.BrowserMajor = 0
	}
	out.Device = device(parsed, ua, out)
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

// token maps a word in a user agent to what it means.
type token struct{ word, means string }

// sureOS name systems the parser takes for the one they are built on.
var sureOS = [...]token{
	{"AppleTV", "tvOS"},
	{"tvOS", "tvOS"},
	{"Tizen", "Tizen"},
	{"Web0S", "webOS"},
	{"webOS", "webOS"},
	{"PlayStation", "PlayStation"},
	{"Nintendo", "Nintendo"},
	{"Windows Phone", "Windows Phone"},
}

// likelyOS is asked, in order, where the parser has no answer: apps write
// their user agents in every shape.
var likelyOS = [...]token{
	{"iPhone", "iOS"},
	{"iPad", "iOS"},
	{"iPod", "iOS"},
	{"iOS", "iOS"},
	{"Android", "Android"},
	{"Windows", "Windows"},
	{"Mac OS X", "macOS"},
	{"macOS", "macOS"},
	{"CrOS", "ChromeOS"},
	{"FreeBSD", "FreeBSD"},
	{"Linux", "Linux"},
	{"BB10", "BlackBerry"},
}

func osName(parsed, ua string) string {
	if os := firstMeaning(ua, sureOS[:]); os != "" {
		return os
	}
	if parsed != "" {
		return parsed
	}
	if os := firstMeaning(ua, likelyOS[:]); os != "" {
		return os
	}
	return darwinOS(ua)
}

// darwinOS reads what Apple's network library sends for an app that sets no
// user agent. Older Macs name their processor; newer ones cannot be told from
// phones and count as phones.
func darwinOS(ua string) string {
	switch {
	case !strings.Contains(ua, "CFNetwork/"):
		return ""
	case strings.Contains(ua, "x86_64"), strings.Contains(ua, "i386"):
		return "macOS"
	default:
		return "iOS"
	}
}

func firstMeaning(ua string, tokens []token) string {
	for _, t := range tokens {
		if strings.Contains(ua, t.word) {
			return t.means
		}
	}
	return ""
}

// tvTokens mark televisions and the boxes under them.
var tvTokens = [...]string{
	"SmartTV", "SMART-TV", "Smart-TV", "Smart TV", "AppleTV", "tvOS", "GoogleTV", "Android TV", "HbbTV",
	"CrKey", "BRAVIA", "Web0S", "Roku", "NetCast", " TV ", "TV Safari", "AFTB", "AFTM", "AFTS", "AFTT",
}

func device(parsed useragent.UserAgent, ua string, out UserAgent) string {
	switch {
	case out.Bot:
		return Bot
	case containsAny(ua, tvTokens[:]):
		return TV
	case parsed.Tablet, strings.Contains(ua, "iPad"), isAndroidTablet(parsed, ua):
		return Tablet
	case parsed.Mobile, out.OS == "iOS", out.OS == "Android":
		return Mobile
	case parsed.Desktop, out.OS == "macOS", out.OS == "Windows":
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
