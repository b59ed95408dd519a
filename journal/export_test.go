package journal

import (
	"hash/crc32"

	"github.com/reedbed/reedbed/internal/faultdisk"
)

// WriteVersion makes a segment look as if another program version wrote it.
func WriteVersion(fsys *faultdisk.FS, name string, version uint32) {
	b := fsys.Contents(name)
	for _, head := range [][]byte{b[:headerBytes], b[secondCopy : secondCopy+headerBytes]} {
		le.PutUint32(head[8:], version)
		le.PutUint32(head[headerBytes-4:], crc32.Checksum(head[:headerBytes-4], castagnoli))
	}
	fsys.Replace(name, b)
}
