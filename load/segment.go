package load

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/load/sidecar"
	"github.com/reedbed/reedbed/store"
)

// Ext is how the store names Parquet objects.
const Ext = "parquet"

// BuiltinOrder gives the columns the built-in datasets are sorted by.
func BuiltinOrder(name string) []string {
	switch name {
	case dataset.Raw:
		return []string{"source", "name", "occurred_at", "event_id"}
	case dataset.Quarantine:
		return []string{"source", "code", "received_at", "quarantine_id"}
	}
	return nil
}

// segments writes the Parquet objects of a cycle, one a partition. One
// goroutine uses it at a time.
type segments struct {
	store      Store
	raw        *table[row]
	quarantine *table[refused]
	order      []place
	sorted     []*row
}

// place is what a row is sorted by: rows of one partition lie together, in the
// dataset's order within it.
type place struct {
	hour     int64
	label    int32 // rank of source and name
	occurred int64
	row      *row
}

func newSegments(s Store) segments {
	return segments{store: s, raw: rawTable(), quarantine: quarantineTable()}
}

// write writes what dedup kept and returns the objects, in the order of their
// partitions. It sorts the verdicts' slices.
func (s *segments) write(v *verdicts, names *labels) ([]dataset.NewSegment, error) {
	s.sort(v.rows, names)
	raw, err := writeSegments(s.store, s.raw, dataset.Raw, s.sorted, func(r *row) (int64, dataset.ContentHash) { return r.occurred, r.hash })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(v.refused, compareRefused)
	quarantine, err := writeSegments(s.store, s.quarantine, dataset.Quarantine, v.refused, func(r *refused) (int64, dataset.ContentHash) { return r.received, r.hash })
	return append(raw, quarantine...), err
}

// sort fills s.sorted. There are few distinct names, so they are ranked first
// and the rows compared by numbers; only those of one moment are compared by
// their ids.
func (s *segments) sort(rows []*row, names *labels) {
	ranks := names.ranks()
	s.order = s.order[:0]
	for _, r := range rows {
		s.order = append(s.order, place{hourOf(r.occurred), ranks[r.label], r.occurred, r})
	}
	slices.SortFunc(s.order, comparePlaces)
	for start := 0; start < len(s.order); {
		end := start + 1
		for end < len(s.order) && comparePlaces(s.order[start], s.order[end]) == 0 {
			end++
		}
		slices.SortFunc(s.order[start:end], compareIDs)
		start = end
	}
	s.sorted = s.sorted[:0]
	for i := range s.order {
		s.sorted = append(s.sorted, s.order[i].row)
	}
}

func comparePlaces(a, b place) int {
	if a.hour != b.hour {
		return cmp.Compare(a.hour, b.hour)
	}
	if a.label != b.label {
		return cmp.Compare(a.label, b.label)
	}
	return cmp.Compare(a.occurred, b.occurred)
}

func compareIDs(a, b place) int {
	if c := strings.Compare(a.row.id, b.row.id); c != 0 {
		return c
	}
	return cmp.Compare(a.row.payload, b.row.payload)
}

func compareRefused(a, b *refused) int {
	return cmp.Or(cmp.Compare(hourOf(a.received), hourOf(b.received)), strings.Compare(a.source, b.source),
		strings.Compare(a.code, b.code), cmp.Compare(a.received, b.received), strings.Compare(a.id, b.id))
}

const hourMicros = int64(time.Hour / time.Microsecond)

// hourOf numbers the hours since 1970; no time before it is placed in raw.
func hourOf(micros int64) int64 { return micros / hourMicros }

// writeSegments writes rows, sorted by hour, as one segment a partition. of
// gives a row's time and hash.
func writeSegments[R any](s Store, t *table[R], name string, rows []*R, of func(*R) (int64, dataset.ContentHash)) ([]dataset.NewSegment, error) {
	hour := func(r *R) int64 {
		at, _ := of(r)
		return hourOf(at)
	}
	var out []dataset.NewSegment
	for start, end := 0, 0; start < len(rows); start = end {
		for end < len(rows) && hour(rows[end]) == hour(rows[start]) {
			end++
		}
		segment, err := writeSegment(s, t, name, rows[start:end], of)
		if err != nil {
			return nil, err
		}
		out = append(out, segment)
	}
	return out, nil
}

// writeSegment writes one partition's rows and makes the object durable.
func writeSegment[R any](s Store, t *table[R], name string, rows []*R, of func(*R) (int64, dataset.ContentHash)) (dataset.NewSegment, error) {
	object, err := adopt(s, Ext, func(w io.Writer) error { return t.write(w, rows) })
	if err != nil {
		return dataset.NewSegment{}, fmt.Errorf("write a segment of %s: %w", name, err)
	}
	segment := dataset.NewSegment{Dataset: name, Object: object.ID, Bytes: object.Bytes, Rows: int64(len(rows))}
	least, _ := of(rows[0])
	most := least
	for _, r := range rows {
		at, hash := of(r)
		least, most = min(least, at), max(most, at)
		segment.Hash = segment.Hash.Add(hash)
	}
	segment.MinTime, segment.MaxTime = time.UnixMicro(least).UTC(), time.UnixMicro(most).UTC()
	segment.Partition = dataset.PartitionAt(dataset.Hour, segment.MinTime)
	return segment, nil
}

// writeSidecar writes the cycle's new ids; nil if there are none.
func writeSidecar(s Store, keys []sidecar.Key) (*dataset.NewSidecar, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	object, err := adopt(s, sidecar.Ext, func(w io.Writer) error {
		out := sidecar.NewWriter(w)
		for _, k := range keys {
			if err := out.Add(k); err != nil {
				return err
			}
		}
		return out.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("write the id sidecar: %w", err)
	}
	return &dataset.NewSidecar{Object: object.ID, Bytes: object.Bytes, Entries: int64(len(keys))}, nil
}

// adopt writes a new object and makes it durable. A crash on the way leaves a
// temporary file or an object nobody refers to.
func adopt(s Store, ext string, write func(io.Writer) error) (store.Object, error) {
	f, err := s.Temp()
	if err != nil {
		return store.Object{}, err
	}
	if err := fill(f, write); err != nil {
		_ = os.Remove(f.Name())
		return store.Object{}, err
	}
	return s.Adopt(f.Name(), ext)
}

// fill writes a file through a buffer and closes it.
func fill(f *os.File, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(f, 64<<10)
	err := write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	return errors.Join(err, f.Close())
}
