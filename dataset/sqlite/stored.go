package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/reedbed/reedbed/dataset"
)

// What no stage computes is on record before anybody looks at it: what the loader
// writes, side inputs, and the rows that stages refuse. Its statistics are taken
// and judged afterwards, once a partition is closed; nobody is kept from it.

const (
	storedColumns = `SELECT d.name, p.name, v.number, v.rows, v.hash, v.fingerprint FROM `
	storedWhere   = ` AND d.kind <> 'stage' AND d.retired_at IS NULL AND (p.closed_at IS NOT NULL OR p.ends = 0) `
)

// Unsurveyed lists promoted versions of what no stage computes that have no
// statistics yet, limit of them at most, and first those that are there longest.
func (c *Catalog) Unsurveyed(ctx context.Context, limit int) ([]dataset.Judgement, error) {
	return c.stored(ctx, storedColumns+`versions v INDEXED BY versions_unsurveyed
		JOIN pointers x ON x.partition_id = v.partition_id AND x.view = 'main' AND x.version = v.number
		JOIN partitions p ON p.id = v.partition_id JOIN datasets d ON d.id = p.dataset_id
		WHERE v.fingerprint IS NULL`+storedWhere+`ORDER BY v.created_at LIMIT ?`, limit)
}

// Unjudged lists promoted versions of a dataset that no stage computes which have
// statistics, and were not judged by by, limit of them at most.
func (c *Catalog) Unjudged(ctx context.Context, name string, by []byte, limit int) ([]dataset.Judgement, error) {
	return c.stored(ctx, storedColumns+`datasets d JOIN partitions p ON p.dataset_id = d.id
		JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' JOIN versions v ON v.partition_id = p.id AND v.number = x.version
		LEFT JOIN verdicts w ON w.partition_id = p.id AND w.version = v.number
		WHERE d.name = ? AND v.fingerprint IS NOT NULL AND w.judged_by IS NOT ?`+storedWhere+`LIMIT ?`, name, by, limit)
}

func (c *Catalog) stored(ctx context.Context, query string, args ...any) (out []dataset.Judgement, err error) {
	err = c.view(ctx, func(t *tx) error {
		return t.each(query, args, func(scan func(...any) error) error {
			var j dataset.Judgement
			var hash []byte
			err := scan(&j.Dataset, &j.Partition, &j.Version, &j.Rows, &hash, &j.Fingerprint)
			j.Hash = dataset.HashFromBytes(hash)
			out = append(out, j)
			return err
		})
	})
	return out, err
}

// Characterise records the statistics of a version that no stage computed, and, if
// it was judged, the verdict. It does nothing if other content is promoted now.
func (c *Catalog) Characterise(ctx context.Context, j dataset.Judgement) error {
	return c.update(ctx, func(t *tx) error {
		var id, number int64
		err := t.QueryRowContext(ctx, `SELECT p.id, v.number FROM datasets d JOIN partitions p ON p.dataset_id = d.id
			JOIN pointers x ON x.partition_id = p.id AND x.view = 'main' JOIN versions v ON v.partition_id = p.id AND v.number = x.version
			WHERE d.name = ? AND p.name = ? AND v.rows = ? AND v.hash = ?`, j.Dataset, j.Partition, j.Rows, j.Hash.Bytes()).Scan(&id, &number)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.fingerprinted(id, number, j.Fingerprint); err != nil || !j.Judged {
			return err
		}
		return t.writeVerdict(id, number, j.Verdict)
	})
}

// forgetStored takes back what verdicts said, but of the datasets in a JSON list.
const forgetStored = `DELETE FROM verdicts AS w INDEXED BY verdicts_told WHERE ` + spoke + ` AND (SELECT d.kind <> 'stage' AND d.name NOT IN (SELECT value FROM json_each(?1))
	FROM partitions p JOIN datasets d ON d.id = p.dataset_id WHERE p.id = w.partition_id)`

// KeepVerdicts takes back what was said of what no stage computes, but of the
// datasets that are judged.
func (c *Catalog) KeepVerdicts(ctx context.Context, judged []string) error {
	names, err := json.Marshal(append([]string{}, judged...))
	if err != nil {
		return err
	}
	return c.update(ctx, func(t *tx) error {
		return t.exec(forgetStored, string(names))
	})
}
