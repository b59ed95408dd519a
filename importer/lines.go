package importer

import (
	"bufio"
	"bytes"
	"io"
)

// maxLine bounds one line, and one record of several lines. A longer line
// arrives in pieces, each of which is refused and kept.
const maxLine = 4 << 20

// lines reads a file line by line.
type lines struct {
	r       *bufio.Reader
	line    []byte // as in the file, with its end; valid until the next call
	cut     bool   // line is a piece of one that is too long
	within  bool   // line does not end where a line of the file ends
	at      int64  // position in the file after line
	pending []byte // lines given back
}

func newLines(r io.Reader) lines {
	l := lines{r: bufio.NewReaderSize(r, 1<<16)}
	bom := []byte("\xef\xbb\xbf")
	if head, _ := l.r.Peek(len(bom)); bytes.Equal(head, bom) {
		n, _ := l.r.Discard(len(bom)) // peeked: cannot fail
		l.at = int64(n)
	}
	return l
}

// next reads the next line. io.EOF ends the file; after any other error the
// line that could not be read to its end is not given out, so that it is whole
// when the import goes on.
func (l *lines) next() error {
	if len(l.pending) > 0 {
		n := bytes.IndexByte(l.pending, '\n') + 1
		if n == 0 {
			n = len(l.pending)
		}
		l.line, l.pending, l.cut = append(l.line[:0], l.pending[:n]...), l.pending[n:], false
		l.at += int64(n)
		return nil
	}
	l.line = l.line[:0]
	continued, err := l.within, l.read()
	if err != nil && err != io.EOF || len(l.line) == 0 { //nolint:errorlint // readers return io.EOF itself
		return err
	}
	l.within = err == nil && l.line[len(l.line)-1] != '\n'
	l.cut = continued || l.within
	l.at += int64(len(l.line))
	return nil
}

func (l *lines) read() error {
	for len(l.line) < maxLine {
		part, err := l.r.ReadSlice('\n')
		l.line = append(l.line, part...)
		if err != bufio.ErrBufferFull { //nolint:errorlint // ReadSlice returns it itself
			return err
		}
	}
	return nil
}

// unread gives back whole lines, of which line is the last, to be read again.
func (l *lines) unread(whole []byte) {
	l.pending = append(bytes.Clone(whole), l.pending...)
	l.at -= int64(len(whole))
}

// full reads the next line that is not empty and returns it without its end.
func (l *lines) full() ([]byte, error) {
	for {
		if err := l.next(); err != nil {
			return nil, err
		}
		if l.cut {
			return l.line, nil
		}
		if line := trimEnd(l.line); len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
	}
}

func (l *lines) offset() int64 { return l.at }
func (l *lines) tooLong() bool { return l.cut }

// trimEnd takes the end of a line off.
func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}
