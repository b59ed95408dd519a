package load

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/reedbed/reedbed/collect/protocol"
	"github.com/reedbed/reedbed/dataset"
	"github.com/reedbed/reedbed/event"
)

// rereadRows is how many rows of a segment are in memory at once, beside the
// pages they are on.
const rereadRows = 32

// reread yields the rows of a segment of quarantine, whoever wrote it, in the
// order of the file. A row and what it refers to are gone at the next one.
func reread(path string, each func(*refused) error) (err error) {
	files, err := openParquet([]string{path})
	defer func() { err = errors.Join(err, files.close()) }()
	if err != nil {
		return err
	}
	if err := holdsRefused(files.parquet[0]); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	for _, group := range files.parquet[0].RowGroups() {
		if err := rereadGroup(group.Rows(), each); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	return nil
}

// holdsRefused checks that a file has the columns of quarantine, in their order:
// compaction keeps it.
func holdsRefused(f *parquet.File) error {
	var got, want []string
	for _, c := range f.Schema().Columns() {
		got = append(got, c[0])
	}
	for _, c := range quarantineTable().columns {
		want = append(want, c.name)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("it has the columns %v; those of quarantine are %v", got, want)
	}
	return nil
}

func rereadGroup(rows parquet.Rows, each func(*refused) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, rereadRows)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			q := refusedOf(row)
			if err := each(&q); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func refusedOf(v parquet.Row) refused {
	text := func(i int) string { return alias(v[i].ByteArray()) }
	q := refused{
		id: text(0), source: text(1), protocol: text(2), received: v[3].Int64(), code: text(4), reason: text(5),
		body: v[6].ByteArray(), historical: v[8].Boolean(), ip: text(9), agent: text(10),
	}
	if !v[7].IsNull() {
		q.shared = v[7].ByteArray()
	}
	return q
}

// judge says what the batch's decoder makes of a row today: a zero Refusal is
// that it decodes. What was refused as something else than an event stays as it
// is.
func (b *batch) judge(q *refused) (event.Refusal, error) {
	if !protocol.OfEvent(q.code) {
		return event.Refusal{Code: q.code, Reason: q.reason}, nil
	}
	decoder, err := b.decoder(q.protocol)
	if err != nil {
		return event.Refusal{}, err
	}
	decoder.Begin(q.shared)
	return refusalBy(decoder.Decode(q.body)), nil
}

// refusalBy is what a decoder's answer says against an event.
func refusalBy(_ event.Envelope, err error) event.Refusal {
	if err == nil {
		return event.Refusal{}
	}
	if refusal, ok := errors.AsType[event.Refusal](err); ok {
		return refusal
	}
	return event.Refusal{Code: "undecodable", Reason: err.Error()}
}

// readmit adds a row of quarantine that decodes now as the event it is, received
// when it first was.
func (b *batch) readmit(q *refused) error {
	decoder, err := b.decoder(q.protocol)
	if err != nil {
		return err
	}
	request := event.Batch{
		Source: q.source, Protocol: q.protocol, ReceivedAt: timeOf(q.received), ClientIP: q.ip, UserAgent: q.agent,
		Historical: q.historical, Shared: q.shared,
	}
	b.received.Include(request.ReceivedAt)
	b.sources[q.source] = struct{}{}
	decoder.Begin(q.shared)
	if why := b.accept(decoder, &request, &event.Item{Raw: q.body}, b.policy(q.source)); why.Code != "" {
		return fmt.Errorf("event %s of %s decoded a moment ago, and now: %w", q.id, dataset.Quarantine, why)
	}
	return nil
}
