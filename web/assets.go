package web

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/zeebo/xxh3"
)

//go:embed static
var staticFiles embed.FS

// assets are the static files under names that hold a hash of their content,
// so that a browser may keep them for ever. Never changed once made.
type assets struct {
	names  map[string]string // file name to path with hash
	bodies map[string]asset  // path with hash to content
}

type asset struct {
	contentType string
	body        []byte
}

func newAssets() (*assets, error) {
	a := &assets{names: map[string]string{}, bodies: map[string]asset{}}
	files, err := fs.Glob(staticFiles, "static/*")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		body, err := staticFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := path.Base(file)
		ext := path.Ext(name)
		hashed := fmt.Sprintf("/static/%s-%016x%s", strings.TrimSuffix(name, ext), xxh3.Hash(body), ext)
		a.names[name] = hashed
		a.bodies[hashed] = asset{contentType: assetType(ext), body: body}
	}
	return a, nil
}

func assetType(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	default:
		return "image/svg+xml"
	}
}

// path of a file, for templates.
func (a *assets) path(name string) (string, error) {
	if p, ok := a.names[name]; ok {
		return p, nil
	}
	return "", fmt.Errorf("there is no static file %s", name)
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := a.bodies[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", found.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(found.body) // the reader left: nobody to tell
}
