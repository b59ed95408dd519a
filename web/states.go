package web

import (
	"slices"

	"github.com/reedbed/reedbed/dataset/sqlite"
)

// StateColumn is a column of the table of datasets: a figure of each.
type StateColumn struct {
	Name   string
	Counts []int64
}

// StateColumns are the figures of datasets that people are shown. A state in
// which nothing is has no column, but for those people look for.
func StateColumns(all []sqlite.DatasetStatus) []StateColumn {
	var out []StateColumn
	for _, c := range []struct {
		name   string
		always bool
		count  func(sqlite.DatasetStatus) int64
	}{
		{"rows", true, func(d sqlite.DatasetStatus) int64 { return d.Rows }},
		{"partitions", true, func(d sqlite.DatasetStatus) int64 { return d.Partitions }},
		{"open", true, func(d sqlite.DatasetStatus) int64 { return d.Open }},
		{"fresh", true, func(d sqlite.DatasetStatus) int64 { return d.Fresh }},
		{"stale", true, func(d sqlite.DatasetStatus) int64 { return d.Stale }},
		{"running", false, func(d sqlite.DatasetStatus) int64 { return d.Running }},
		{"deferred", false, func(d sqlite.DatasetStatus) int64 { return d.Deferred }},
		{"held", false, func(d sqlite.DatasetStatus) int64 { return d.Held }},
		{"waived", false, func(d sqlite.DatasetStatus) int64 { return d.Waived }},
		{"failed", true, func(d sqlite.DatasetStatus) int64 { return d.Failed }},
		{"erased", false, func(d sqlite.DatasetStatus) int64 { return d.Erased }},
		{"absent", false, func(d sqlite.DatasetStatus) int64 { return d.Absent }},
	} {
		column := StateColumn{Name: c.name}
		for _, d := range all {
			column.Counts = append(column.Counts, c.count(d))
		}
		if c.always || slices.ContainsFunc(column.Counts, func(n int64) bool { return n != 0 }) {
			out = append(out, column)
		}
	}
	return out
}
