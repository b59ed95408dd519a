package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/reedbed/reedbed/config"
	"github.com/reedbed/reedbed/stage"
)

// lookAtSources is how often reedbed.yaml is looked at: a key that is taken out of it
// is refused within that time.
const lookAtSources = time.Second

// watchSources puts the sources of reedbed.yaml to work when the file changes, keys,
// origins and limits included: a new key beside the old one, and later without it,
// exchanges a key without a gap. What else the file sets holds from the next start. A
// file with problems changes nothing, and says so where problems are shown.
func (n *Node) watchSources(ctx context.Context) error {
	if n.reload == nil {
		return nil
	}
	path := filepath.Join(n.project.Dir, config.FileName)
	every := time.NewTicker(lookAtSources)
	defer every.Stop()
	var have []byte // nothing: the file may have changed since it was read for the start
	unread := 0     // times in a row
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			have = nil
			if unread++; unread == 2 { // once, it is being replaced
				n.reloadSources() // which says why
			}
			continue
		}
		unread = 0
		if !bytes.Equal(text, have) {
			have = text
			n.reloadSources()
		}
	}
}

func (n *Node) reloadSources() {
	project, err := n.reload()
	if err == nil {
		err = n.door.SetSources(sources(project.Config))
	}
	n.problems.set("configuration", problemsOf(err))
	if err != nil {
		n.log.Warn("the sources stay as they were", "err", err)
		return
	}
	n.reloaded.Store(&project.Config.Sources)
	n.log.Debug("the sources are as reedbed.yaml has them", "sources", len(project.Config.Sources))
}

// configured are the sources as they are at work.
func (n *Node) configured() []config.Source {
	if now := n.reloaded.Load(); now != nil {
		return *now
	}
	return n.project.Config.Sources
}

// firstKey is a write key for people who try the node out; "" if there is none.
func (n *Node) firstKey() string {
	if s := n.configured(); len(s) > 0 && len(s[0].Keys) > 0 {
		return string(s[0].Keys[0])
	}
	return ""
}

// problemsOf words what is wrong with reedbed.yaml as other files' problems are.
func problemsOf(err error) (out []stage.Problem) {
	wrong, ok := errors.AsType[*config.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return []stage.Problem{{File: config.FileName, What: err.Error(), Fix: "the sources stay as they were until it is right"}}
	}
	for _, p := range wrong.Problems {
		out = append(out, stage.Problem{File: config.FileName, What: p.String(), Fix: "the sources stay as they were until it is right"})
	}
	return out
}
