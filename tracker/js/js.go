// Package js holds the tracker for browsers, as it is served. It knows the
// built scripts and nothing of who serves them. Their source is src; what they
// must do is in docs/guides/tracker.md.
package js

import _ "embed"

//go:generate go run ./build

// Full is the script with page views, clicks and vitals, Core the one without.
var (
	//go:embed dist/t.js
	Full []byte
	//go:embed dist/core.js
	Core []byte
)
