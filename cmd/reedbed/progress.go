package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows bars for long work when somebody watches a terminal.
type progress struct{ bars *mpb.Progress } // nil: nobody watches

func newProgress(g *globals, t terminal) *progress {
	f, ok := t.err.(*os.File)
	if !ok || g.Quiet || g.JSON || !cwriter.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	options := []mpb.ContainerOption{mpb.WithOutput(f), mpb.WithWidth(40)}
	if width, _, err := cwriter.GetSize(int(f.Fd())); err != nil || width == 0 {
		// A terminal that does not know its size, as under script(1): taken for
		// a plain writer it gets the usual 80 columns instead of none.
		options = []mpb.ContainerOption{mpb.WithOutput(struct{ io.Writer }{f}), mpb.WithWidth(80), mpb.WithAutoRefresh()}
	}
	return &progress{bars: mpb.New(options...)}
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
