package load

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/load/flat"
)

// joinRows is how many rows a row group must have to be worth keeping as it
// is. Smaller ones are rewritten by the engine.
const joinRows = 4_000

// joinSegments writes segments as one file by copying their row groups, which
// costs a hundredth of a rewrite. Each row group of the result is sorted, the
// file as a whole is not. done is false, and nothing is written, if the
// segments are not the loader's own or their row groups are too small.
func (l *Loader) joinSegments(name string, paths []string, write func(func(io.Writer) error) error) (done bool, err error) {
	w, err := builtinWriter(name)
	if w == nil || err != nil {
		return false, err
	}
	files, err := openParquet(paths)
	defer func() { err = errors.Join(err, files.close()) }()
	if err != nil || !joinable(w, files) {
		return false, err
	}
	return true, write(func(out io.Writer) error { return w.Join(out, files.parquet) })
}

func builtinWriter(name string) (*flat.Writer, error) {
	switch name {
	case dataset.Raw:
		return rawTable().file()
	case dataset.Quarantine:
		return quarantineTable().file()
	}
	return nil, nil
}

func joinable(w *flat.Writer, files parquetFiles) bool {
	var rows, groups int64
	for _, f := range files.parquet {
		if !w.Joins(f) {
			return false
		}
		rows += f.NumRows()
		groups += int64(len(f.RowGroups()))
	}
	return rows >= groups*joinRows
}

// parquetFiles are open files and their metadata.
type parquetFiles struct {
	open    []*os.File
	parquet []*parquet.File
}

func openParquet(paths []string) (p parquetFiles, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return p, err
		}
		p.open = append(p.open, f)
		info, err := f.Stat()
		if err != nil {
			return p, err
		}
		file, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		if err != nil {
			return p, fmt.Errorf("read %s: %w", path, err)
		}
		p.parquet = append(p.parquet, file)
	}
	return p, nil
}

func (p parquetFiles) close() error {
	var errs []error
	for _, f := range p.open {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
