package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// closable are the partitions that may close at watermark ?1: those whose end
// and allowance it has passed, and which read nothing that is open or could
// still come to be as open.
const closable = `SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id
	WHERE p.closed_at IS NULL AND p.ends > 0 AND p.ends <= ?1 AND p.ends + d.allowance <= ?1 AND d.rejects_of IS NULL
	AND NOT EXISTS (SELECT 1 FROM edges e JOIN datasets i ON i.id = e.producer_id
		WHERE e.dataset_id = p.dataset_id AND e.kind = 'span' AND p.ends + e.hi + i.allowance > ?1)
	AND NOT EXISTS (SELECT 1 FROM edges e JOIN partitions q ON q.dataset_id = e.producer_id
		WHERE e.dataset_id = p.dataset_id AND e.kind = 'span' AND q.closed_at IS NULL AND q.ends > 0
		AND q.starts < p.ends + e.hi AND q.starts > p.starts + e.lo - 86400000000 AND q.ends > p.starts + e.lo)`

// closeRefused closes the refused rows of what was closed at ?1.
const closeRefused = `UPDATE partitions SET closed_at = ?1 WHERE closed_at IS NULL AND id IN (
	SELECT r.id FROM partitions p CROSS JOIN datasets d ON d.rejects_of = p.dataset_id
	CROSS JOIN partitions r ON r.dataset_id = d.id AND r.name = p.name WHERE p.closed_at = ?1)`

// ClosePartitions marks every partition as closed whose end and allowance the
// watermark has passed. What was postponed on them while they were open becomes
// due: a partition runs once more at its close. It returns how many it closed.
//
// A closed output never reads an open input: a partition stays open as long as
// one that it reads is open. Refused rows close with the stage that refused them.
func (c *Catalog) ClosePartitions(ctx context.Context, watermark time.Time) (closed int, err error) {
	mark := micros(watermark)
	var some bool
	err = c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, "SELECT EXISTS ("+closable+")", mark).Scan(&some)
	})
	if err != nil || !some {
		return 0, err
	}
	err = c.update(ctx, func(t *tx) error {
		if closed, err = t.closeAll(mark); err != nil {
			return err
		}
		if err := t.exec(closeRefused, t.now); err != nil {
			return err
		}
		if err := t.judgeClosed(); err != nil {
			return err
		}
		if err := t.judgeSettled(); err != nil {
			return err
		}
		return t.exec(`UPDATE dirty SET not_before = ?1 WHERE not_before > ?1 AND failed_key IS NULL AND (dataset_id, name) IN
			(SELECT dataset_id, name FROM partitions WHERE closed_at = ?1)`, t.now)
	})
	return closed, err
}

// judgeClosed makes due what closed now and is judged once more for that.
func (t *tx) judgeClosed() error {
	names, err := t.names(`SELECT DISTINCT d.name FROM partitions p JOIN datasets d ON d.id = p.dataset_id JOIN counts c ON c.dataset_id = d.id WHERE p.closed_at = ?
		AND (d.gate_closes = 1 OR d.compares_from > 0 AND c.rows >= d.compares_from) AND d.retired_at IS NULL AND d.paused = 0`, t.now)
	if err != nil {
		return err
	}
	for _, name := range names {
		d, err := t.dataset(name)
		if err != nil {
			return err
		}
		why, err := t.because(dataset.ByClose, dataset.Facts{Dataset: name}, nil)
		if err != nil {
			return err
		}
		if err := t.dirtyExisting(d, why, fmt.Sprintf("closed_at = %d", t.now)); err != nil {
			return err
		}
	}
	return nil
}

// closeAll closes what is closable until nothing more is: closing inputs may
// make outputs closable, so it takes as many rounds as the stages are deep.
func (t *tx) closeAll(mark int64) (closed int, err error) {
	for {
		res, err := t.ExecContext(t.ctx, "UPDATE partitions SET closed_at = ?2 WHERE id IN ("+closable+")", mark, t.now)
		if err != nil {
			return closed, err
		}
		n, err := res.RowsAffected()
		if err != nil || n == 0 {
			return closed, err
		}
		closed += int(n)
	}
}
