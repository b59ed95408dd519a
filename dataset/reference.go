package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// Reference is how people name a version: DATASET@PARTITION/VERSION. Version 0,
// left out, is the promoted one.
type Reference struct {
	Dataset   string
	Partition Partition
	Version   int64
}

// ParseReference reads DATASET@PARTITION or DATASET@PARTITION/VERSION.
func ParseReference(s string) (Reference, error) {
	name, rest, found := strings.Cut(s, "@")
	if !found || name == "" {
		return Reference{}, fmt.Errorf("%q names no partition: write DATASET@PARTITION, such as plays@2026-11-22T03", s)
	}
	return ParseVersionOf(name, rest)
}

// ParseVersionOf reads PARTITION or PARTITION/VERSION of a dataset.
func ParseVersionOf(name, s string) (Reference, error) {
	r := Reference{Dataset: name}
	partition, version, slash := strings.Cut(s, "/")
	var err error
	if r.Partition, err = ParsePartition(partition); err != nil {
		return r, err
	}
	if !slash {
		return r, nil
	}
	if r.Version, err = strconv.ParseInt(version, 10, 64); err != nil || r.Version < 1 {
		return r, fmt.Errorf("%q is not the number of a version: they are counted from 1", version)
	}
	return r, nil
}

// String is what ParseReference reads.
func (r Reference) String() string {
	s := r.Dataset + "@" + string(r.Partition)
	if r.Version != 0 {
		s += fmt.Sprintf("/%d", r.Version)
	}
	return s
}
