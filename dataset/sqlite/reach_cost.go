package sqlite

import (
	"database/sql"
	"time"

	"github.com/reedbed/reedbed/dataset"
)

// cost adds up what the reached partitions of a stage took when they were last
// built, with the dataset's average for those of which nothing is known. What a
// row-wise stage appended is scaled to whole partitions.
func (r *reach) cost(s Planned, id int64, out *Reached) error {
	var first, last sql.NullInt64
	var known, timed int64
	err := r.QueryRowContext(r.ctx, `SELECT COUNT(*), MIN(x.starts), MAX(x.starts), COUNT(v.number), COALESCE(SUM(v.rows), 0), COALESCE(SUM(v.bytes), 0),
			COUNT(CASE WHEN v.origin = 'build' THEN 1 END),
			COALESCE(SUM(CASE WHEN v.origin = 'build' THEN v.cpu END), 0) / 1e6, COALESCE(SUM(CASE WHEN v.origin = 'build' THEN v.wall END), 0) / 1e6,
			COUNT(CASE WHEN EXISTS (SELECT 1 FROM versions o JOIN definitions f ON f.id = o.definition WHERE o.partition_id = p.id AND f.code_identity = ?3) THEN 1 END)
		FROM reach x LEFT JOIN partitions p ON p.dataset_id = ?2 AND p.starts = x.starts
		LEFT JOIN pointers y ON y.partition_id = p.id AND y.view = 'main'
		LEFT JOIN versions v ON v.partition_id = p.id AND v.number = y.version
		WHERE x.name = ?1`, s.Name, id, s.Identity).
		Scan(&out.Cost.Partitions, &first, &last, &known, &out.Cost.Rows, &out.Cost.Bytes, &timed, &out.Cost.CPU, &out.Cost.Wall, &out.Recorded)
	if err != nil || out.Cost.Partitions == 0 {
		return err
	}
	if !s.Changed {
		out.Recorded = 0 // its present versions are of this code, and say nothing
	}
	out.First, out.Last = dataset.PartitionAt(s.Grain, fromMicros(first.Int64)), dataset.PartitionAt(s.Grain, fromMicros(last.Int64))
	if s.Grain != dataset.None && first.Int64 == 0 {
		out.First = dataset.PartitionAt(s.Grain, time.UnixMicro(0))
	}
	mean, some, err := r.average(id)
	if err != nil {
		return err
	}
	out.Unknown, out.Guessless = out.Cost.Partitions-known, !some
	missing, untimed := float64(out.Unknown), float64(out.Cost.Partitions-timed)
	out.Cost.Rows += int64(missing * mean.rows)
	out.Cost.Bytes += int64(missing * mean.bytes)
	out.Cost.CPU += untimed * mean.cpu
	out.Cost.Wall += untimed * mean.wall
	return nil
}

// average is what one partition of a dataset takes.
type average struct{ rows, bytes, cpu, wall float64 }

func (r *reach) average(id int64) (m average, some bool, err error) {
	var n, built int64
	var share float64 // of rows of grown versions that their last run computed
	err = r.QueryRowContext(r.ctx, `SELECT COUNT(*), COALESCE(AVG(v.rows), 0), COALESCE(AVG(v.bytes), 0), COUNT(CASE WHEN v.origin = 'build' THEN 1 END),
			COALESCE(AVG(CASE WHEN v.origin = 'build' THEN v.cpu END), AVG(v.cpu), 0) / 1e6, COALESCE(AVG(CASE WHEN v.origin = 'build' THEN v.wall END), AVG(v.wall), 0) / 1e6,
			COALESCE(CAST(SUM((SELECT SUM(rows) FROM segments g WHERE g.partition_id = v.partition_id AND g.added_in = v.number)) AS REAL) / NULLIF(SUM(v.rows), 0), 1)
		FROM partitions p JOIN pointers y ON y.partition_id = p.id AND y.view = 'main'
		JOIN versions v ON v.partition_id = p.id AND v.number = y.version WHERE p.dataset_id = ?`, id).
		Scan(&n, &m.rows, &m.bytes, &built, &m.cpu, &m.wall, &share)
	if built == 0 && share > 0 {
		m.cpu, m.wall = m.cpu/share, m.wall/share
	}
	return m, n > 0, err
}

// sample names partitions that are reached and promoted.
func (r *reach) sample(s Planned, id int64) (out []dataset.Partition, err error) {
	err = r.each(`SELECT name FROM (SELECT p.name, p.starts, row_number() OVER (ORDER BY p.starts) AS i, count(*) OVER () AS n
		FROM reach x JOIN partitions p ON p.dataset_id = ?1 AND p.starts = x.starts
		JOIN pointers y ON y.partition_id = p.id AND y.view = 'main' WHERE x.name = ?2)
		WHERE i * ?3 / n > (i - 1) * ?3 / n ORDER BY starts`, []any{id, s.Name, s.Sample}, func(scan func(...any) error) error {
		var p dataset.Partition
		err := scan(&p)
		out = append(out, p)
		return err
	})
	return out, err
}
