-- How many rows of a dataset must be on record before the close of a partition
-- compares it with others; 0: it never does.
ALTER TABLE datasets ADD COLUMN compares_from INTEGER NOT NULL DEFAULT 0;

-- Versions whose statistics are still to be taken.
CREATE INDEX versions_unsurveyed ON versions (partition_id, number) WHERE fingerprint IS NULL;

-- 1: a stage's gate judges by how much arrived: what the dataset completeness says of
-- closed partitions judges them once more.
ALTER TABLE datasets ADD COLUMN gate_completes INTEGER NOT NULL DEFAULT 0;
