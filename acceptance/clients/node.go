package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// nodeDrivers are the programs for Node and the versions of what they call.
//
//go:embed drivers/node/*.mjs drivers/node/package.json drivers/node/package-lock.json
var nodeDrivers embed.FS

// longestInstall is when a registry is taken not to be there.
const longestInstall = 4 * time.Minute

// install puts the programs for Node and the packages they are pinned to into
// the user's cache, the packages once, and returns their folder. Nothing of
// the packages' own scripts is run. One package that none of the clients is
// made of and that is native code for other systems, msgpackr-extract, is held
// at a version whose files registries have in full, or npm ci refuses.
func install(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	files, err := fs.Sub(nodeDrivers, "drivers/node")
	if err != nil {
		return "", err
	}
	lock, err := fs.ReadFile(files, "package-lock.json")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "reedbed-acceptance-clients", fmt.Sprintf("%x", sha256.Sum256(lock))[:16])
	if err := write(files, dir); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil {
		return dir, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longestInstall)
	defer cancel()
	c := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci (Debian: apt-get install npm): %w\n%s", err, out)
	}
	return dir, nil
}

// write puts files into a folder, over those of an earlier version.
func write(files fs.FS, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), text, 0o644)
	})
}
