package sidecar

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
)

// Merge writes the union of files to w and checks every entry's checksum on
// the way. Its memory does not grow with the files.
func Merge(w *Writer, files []*File) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault, ok := recover().(runtime.Error); ok {
			err = fmt.Errorf("read the pages of a sidecar to merge: %w", fault)
		}
	}()
	var open []*cursor
	for _, f := range files {
		c := &cursor{f: f, section: -1}
		ok, err := c.next()
		if err != nil {
			return err
		}
		if ok {
			open = append(open, c)
		}
	}
	return mergeInto(w, open)
}

// mergeInto takes the least of the open cursors' keys again and again. There
// are few cursors, so looking at each beats keeping a heap.
func mergeInto(w *Writer, open []*cursor) error {
	var last Key
	for first := true; len(open) > 0; first = false {
		least := 0
		for i := 1; i < len(open); i++ {
			if open[i].key.Compare(open[least].key) < 0 {
				least = i
			}
		}
		c := open[least]
		if first || c.key != last {
			if err := w.Add(c.key); err != nil {
				return err
			}
			last = c.key
		}
		ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			open = slices.Delete(open, least, least+1)
		}
	}
	return nil
}

// cursor walks one file's entries in order.
type cursor struct {
	f       *File
	section int
	rest    []byte
	key     Key
}

func (c *cursor) next() (bool, error) {
	if len(c.rest) == 0 {
		if c.section++; c.section >= len(c.f.sections) {
			return false, nil
		}
		if err := c.f.verify(c.section); err != nil {
			return false, err
		}
		c.rest = c.f.bytesOf(c.f.sections[c.section])
	}
	if len(c.rest)%residentBytes < entrySize {
		c.f.touched = true
		c.f.Forget()
	}
	c.key = readEntry(c.rest, c.f.sections[c.section].route)
	c.rest = c.rest[entrySize:]
	return true, nil
}
