package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows bars for long work when somebody watches a terminal.
type progress struct{ bars *mpb.Progress } // nil: nobody watches

func newProgress(g *globals, t terminal) *progress {
	f, ok := t.err.(*os.File)
	if !ok || g.Quiet || g.JSON {
		return &progress{}
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{bars: mpb.New(mpb.WithOutput(f), mpb.WithWidth(40))}
}

// track shows how much of a file was read.
func (p *progress) track(path string, size int64, r io.Reader) io.Reader {
	if p.bars == nil {
		return r
	}
	bar := p.bars.AddBar(size,
		mpb.PrependDecorators(decor.Name(filepath.Base(path)+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO)))
	return bar.ProxyReader(r)
}

func (p *progress) wait() {
	if p.bars != nil {
		p.bars.Shutdown()
	}
}
