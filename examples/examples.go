// Package examples holds complete projects, one a folder, so that `reedbed
// init` can copy them. It knows nothing of what is in them.
package examples

import "embed"

// FS has one folder per example project. What a run leaves behind
// (dot folders) is not in it.
//
//go:embed plays web
var FS embed.FS
