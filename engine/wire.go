package engine

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/fingerprint"
)

// maxMessage bounds one message, so that neither side can be made to allocate
// without bound by the other.
const maxMessage = 32 << 20

// Kinds of request.
const (
	KindParse    = "parse"
	KindDescribe = "describe"
	KindBuild    = "build"
	KindCompact  = "compact"
	KindQuery    = "query"
	KindReport   = "report"
	KindSurvey   = "survey"
)

// ExitCPU is the exit code of a worker that used up its CPU time.
const ExitCPU = 75

// Names of the files a worker leaves in its out/ folder. They are fixed so that
// the pool never opens a path a worker made up.
const (
	RowsFile     = "rows.parquet"
	RejectedFile = "rejected.parquet"
	ResultFile   = "result"
)

// Request is one job as a worker gets it. Files of Tables are base names of
// files in its in/ folder.
type Request struct {
	Kind    string         `json:"kind"`
	SQL     string         `json:"sql,omitempty"`
	Tables  []Table        `json:"tables,omitempty"`
	Start   time.Time      `json:"start,omitzero"`
	End     time.Time      `json:"end,omitzero"`
	Rejects string         `json:"rejects,omitempty"`
	OrderBy []string       `json:"order_by,omitempty"`
	Key     []string       `json:"key,omitempty"`
	Equal   map[string]int `json:"equal,omitempty"`
	Survey  *Survey        `json:"survey,omitempty"`
	Format  string         `json:"format,omitempty"`
	Limits  Limits         `json:"limits"`
}

// Reply is a worker's answer. The outputs have no Path: it is one of the fixed
// names. The first message a worker sends, unasked, is a Reply as well: it says
// that the worker is warm and which Landlock ABI confines it.
type Reply struct {
	Failure  *Failure         `json:"failure,omitempty"`
	Parsed   *Parsed          `json:"parsed,omitempty"`
	Columns  []dataset.Column `json:"columns,omitempty"`
	Output   *Output          `json:"output,omitempty"`
	Rejected *Output          `json:"rejected,omitempty"`
	// Fingerprint is what a survey of stored rows found.
	Fingerprint *fingerprint.Fingerprint `json:"fingerprint,omitempty"`
	Rows        int64                    `json:"rows,omitempty"`
	Truncated   bool                     `json:"truncated,omitempty"`
	CPU         time.Duration            `json:"cpu,omitempty"`
	SQL         time.Duration            `json:"sql,omitempty"`
	Landlock    int                      `json:"landlock,omitempty"`
}

// WriteMessage writes v as JSON behind its length in four bytes, big endian.
func WriteMessage(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode engine message: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("engine message of %d bytes is over the limit of %d", len(body), maxMessage)
	}
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

// ReadMessage reads what WriteMessage wrote. It returns io.EOF only between
// messages.
func ReadMessage(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return fmt.Errorf("engine message of %d bytes is over the limit of %d", n, maxMessage)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("engine message cut short: %w", err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode engine message: %w", err)
	}
	return nil
}
