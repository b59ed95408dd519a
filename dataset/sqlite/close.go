package sqlite

import (
	"context"
	"time"
)

// Close marks every partition as closed whose end and allowance the watermark
// has passed. What was postponed on them while they were open becomes due: a
// partition runs once more at its close. It returns how many it closed.
//
// A closed output never reads an open input: a partition stays open as long as
// one that it reads is open.
func (c *Catalog) ClosePartitions(ctx context.Context, watermark time.Time) (closed int, err error) {
	mark := micros(watermark)
	var ready int
	err = c.view(ctx, func(t *tx) error {
		return t.QueryRowContext(ctx, `SELECT COUNT(*) FROM partitions p JOIN datasets d ON d.id = p.dataset_id
			WHERE p.closed_at IS NULL AND p.ends > 0 AND p.ends + d.allowance <= ?`, mark).Scan(&ready)
	})
	if err != nil || ready == 0 {
		return 0, err
	}
	err = c.update(ctx, func(t *tx) error {
		var depth int
		if err := t.QueryRowContext(ctx, "SELECT COALESCE(MAX(depth), 0) FROM datasets").Scan(&depth); err != nil {
			return err
		}
		for level := 0; level <= depth; level++ {
			n, err := t.closeLevel(level, mark)
			if err != nil {
				return err
			}
			closed += n
		}
		return t.exec(`UPDATE dirty SET not_before = ? WHERE not_before > ? AND failed_key IS NULL AND (dataset_id, name) IN
			(SELECT dataset_id, name FROM partitions WHERE closed_at = ?)`, t.now, t.now, t.now)
	})
	return closed, err
}

func (t *tx) closeLevel(depth int, mark int64) (int, error) {
	res, err := t.ExecContext(t.ctx, `UPDATE partitions SET closed_at = ?1 WHERE closed_at IS NULL AND ends > 0 AND id IN (
		SELECT p.id FROM partitions p JOIN datasets d ON d.id = p.dataset_id
		WHERE d.depth = ?2 AND p.closed_at IS NULL AND p.ends > 0 AND p.ends + d.allowance <= ?3
		AND NOT EXISTS (SELECT 1 FROM edges e JOIN partitions q ON q.dataset_id = e.input_id
			WHERE e.dataset_id = p.dataset_id AND e.kind = 'span' AND q.closed_at IS NULL AND q.ends > 0
			AND q.starts < p.ends + e.hi AND q.ends > p.starts + e.lo))`, t.now, depth, mark)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}
