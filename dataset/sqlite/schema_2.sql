-- How many rows of a dataset must be on record before the close of a partition
-- compares it with others; 0: it never does.
ALTER TABLE datasets ADD COLUMN compares_from INTEGER NOT NULL DEFAULT 0;

-- Verdicts that told something, and those that told how far a version is from what it
-- was before somebody changed it. Of these there may be as many as there are versions,
-- and nobody wants to hear of them for long.
CREATE INDEX verdicts_told ON verdicts (partition_id, version) WHERE instr(detail, '"broken":[') > 0 OR instr(detail, '"for":{') > 0;
CREATE INDEX verdicts_moved ON verdicts (judged_at) WHERE instr(detail, '"moved":{') > 0;
DROP INDEX verdicts_spoken;

-- Versions whose statistics are still to be taken.
CREATE INDEX versions_unsurveyed ON versions (partition_id, number) WHERE fingerprint IS NULL;

-- 1: a stage's gate judges by how much arrived: what the dataset completeness says of
-- closed partitions judges them once more.
ALTER TABLE datasets ADD COLUMN gate_completes INTEGER NOT NULL DEFAULT 0;

-- What the events of an hour were like, for the judgement of later hours.
CREATE TABLE watched (
  starts    INTEGER PRIMARY KEY,
  rows      INTEGER NOT NULL,          -- of raw, as they were looked at
  judged    INTEGER NOT NULL,          -- 1: at its close, and never again
  looked_at INTEGER NOT NULL,
  observed  BLOB NOT NULL              -- anomaly.Hour
);

CREATE TABLE anomalies (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  said   TEXT NOT NULL,                -- anomaly.Anomaly
  until  INTEGER                       -- NULL: it lasts
);
CREATE INDEX anomalies_ended ON anomalies (until);
