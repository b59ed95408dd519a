package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/examples"
)

type initCmd struct {
	Folder   string `arg:"" name:"dir" help:"Folder to make; it must be empty or not exist."`
	Template string `default:"empty" enum:"plays,web,empty" help:"What to start from: plays, web or empty."`
}

//go:embed templates
var templates embed.FS

// ignoredFiles keeps what Reedbed writes out of version control. It is not in
// the templates because embedding leaves out dot files.
const ignoredFiles = "/.reedbed/\n"

// Run copies the template and says what to do next.
func (c initCmd) Run(g *globals, term terminal) error {
	folder := c.Folder
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(g.Dir, folder)
	}
	if err := requireEmpty(folder); err != nil {
		return err
	}
	template, err := c.source()
	if err != nil {
		return err
	}
	if err := copyInto(folder, template, g.logger(term)); err != nil {
		return fmt.Errorf("make project: %w", err)
	}
	if g.JSON {
		return json.NewEncoder(term.out).Encode(map[string]string{"dir": folder, "template": c.Template})
	}
	if !g.Quiet {
		c.sayNext(term, folder)
	}
	return nil
}

func (c initCmd) source() (fs.FS, error) {
	if c.Template == "empty" {
		return fs.Sub(templates, "templates/empty")
	}
	return fs.Sub(examples.FS, c.Template)
}

func (c initCmd) sayNext(term terminal, folder string) {
	fmt.Fprintf(term.err, `made %s from the template %s; try next:

  reedbed up -C %s
  curl -u demo: -d '{"name":"Hello"}' http://%s/v1/events

`, folder, c.Template, folder, config.Default().Listen)
}

// requireEmpty refuses a folder that holds anything.
func requireEmpty(folder string) error {
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return nil
	}
	f := &failure{
		Code: "not_empty", What: "the folder is not empty", At: folder,
		Fix: "name a folder that is empty or does not exist", exit: exitFailed,
	}
	if err != nil {
		f.Code, f.What, f.Why = "not_a_folder", "the folder cannot be read", err.Error()
	}
	return f
}

// copyInto writes the template's files; the configuration comes last, so a
// folder with one is a whole project.
func copyInto(folder string, template fs.FS, log *slog.Logger) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.WriteFile(".gitignore", []byte(ignoredFiles), 0o644); err != nil {
		return err
	}
	err = fs.WalkDir(template, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." || name == config.FileName {
			return err
		}
		if entry.IsDir() {
			return root.Mkdir(name, 0o755)
		}
		log.Debug("copy", "file", name)
		return copyFile(root, template, name)
	})
	if err != nil {
		return err
	}
	return copyFile(root, template, config.FileName)
}

func copyFile(root *os.Root, template fs.FS, name string) error {
	content, err := fs.ReadFile(template, path.Clean(name))
	if err != nil {
		return err
	}
	return root.WriteFile(name, content, 0o644)
}
