package load

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/dataset"
)

// joinRows is how many rows a row group must have to be worth keeping as it
// is. Smaller ones are rewritten by the engine.
const joinRows = 4_000

// joinable reports whether segments can be joined into one file by copying
// their row groups: all are the loader's own, and their row groups are large
// enough. Nothing is decoded, so it costs a hundredth of a rewrite; each row
// group of the result is sorted, the file as a whole is not.
func joinable(c dataset.CompactionCandidate, paths []string) (bool, error) {
	if c.Dataset != dataset.Raw && c.Dataset != dataset.Quarantine {
		return false, nil
	}
	var rows, groups int64
	for _, path := range paths {
		err := withParquet(path, func(f *parquet.File) error {
			if f.Metadata().CreatedBy != createdBy() {
				groups += f.NumRows() // somebody else's: rewrite
			}
			rows += f.NumRows()
			groups += int64(len(f.RowGroups()))
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return rows >= groups*joinRows, nil
}

// join copies the row groups of files to w, in order.
func join(w io.Writer, name string, paths []string) error {
	options := rawTable().options()
	if name == dataset.Quarantine {
		options = quarantineTable().options()
	}
	out := parquet.NewWriter(w, options...)
	for _, path := range paths {
		err := withParquet(path, func(f *parquet.File) error {
			for _, group := range f.RowGroups() {
				if _, err := out.WriteRowGroup(group); err != nil {
					return fmt.Errorf("copy a row group of %s: %w", path, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return out.Close()
}

func withParquet(path string, do func(*parquet.File) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = readParquet(f, do)
	return errors.Join(err, f.Close())
}

func readParquet(f *os.File, do func(*parquet.File) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return do(file)
}
