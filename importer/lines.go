package importer

import (
	"bufio"
	"bytes"
	"io"
)

// maxLine bounds one line; a longer one is cut into pieces, each of which is
// refused and kept.
const maxLine = 4 << 20

// lines reads lines without their ends and skips empty ones.
type lines struct {
	r    *bufio.Reader
	at   int64
	line []byte
}

func newLines(r io.Reader) lines { return lines{r: bufio.NewReaderSize(r, 1<<16)} }

func (l *lines) next() ([]byte, error) {
	for {
		l.line = l.line[:0]
		err := l.read()
		line := bytes.TrimSuffix(bytes.TrimSuffix(l.line, []byte("\n")), []byte("\r"))
		if len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (l *lines) read() error {
	for len(l.line) < maxLine {
		part, err := l.r.ReadSlice('\n')
		l.line = append(l.line, part...)
		l.at += int64(len(part))
		if err != bufio.ErrBufferFull { //nolint:errorlint // ReadSlice returns it itself
			return err
		}
	}
	return nil
}

func (l *lines) offset() int64 { return l.at }
