-- Times are microseconds since 1970 UTC. Hashes are 32 bytes: four lanes, big endian.

CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('revision', 1);

CREATE TABLE datasets (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  kind        TEXT NOT NULL,           -- builtin, stage, rejected, side
  grain       TEXT NOT NULL,           -- hour, day, none
  owner       TEXT NOT NULL DEFAULT '',
  columns     TEXT NOT NULL DEFAULT '[]',
  hash_scheme TEXT NOT NULL DEFAULT '',
  definition  INTEGER,                 -- the deployed revision, for stages
  allowance   INTEGER NOT NULL,        -- how long after its end a partition stays open
  interval    INTEGER NOT NULL DEFAULT 0, -- least time between two runs on one partition
  row_wise    INTEGER NOT NULL DEFAULT 0,
  depth       INTEGER NOT NULL DEFAULT 0, -- longest path from a built-in dataset
  rejects_of  INTEGER REFERENCES datasets(id), -- the stage whose refused rows these are
  gate        BLOB,                    -- what judges its versions: a change judges them again; NULL: nothing
  gate_closes INTEGER NOT NULL DEFAULT 0, -- 1: a partition is judged once more when it closes
  paused      INTEGER NOT NULL DEFAULT 0, -- the project's file is broken: readable, not computed
  retired_at  INTEGER
);
CREATE INDEX datasets_refused ON datasets (rejects_of) WHERE rejects_of IS NOT NULL;

CREATE TABLE definitions (
  id            INTEGER PRIMARY KEY,
  dataset_id    INTEGER NOT NULL REFERENCES datasets(id),
  revision      INTEGER NOT NULL,
  code_identity BLOB NOT NULL,
  sql           TEXT NOT NULL,
  header        TEXT NOT NULL,
  file          TEXT NOT NULL,
  columns       TEXT NOT NULL,
  git_revision  TEXT NOT NULL DEFAULT '',
  previous      INTEGER REFERENCES definitions(id), -- what was deployed before it, to roll back to
  differs       TEXT NOT NULL DEFAULT '', -- where computing it again gave other rows, as verify found it
  deployed_at   INTEGER NOT NULL,
  UNIQUE (dataset_id, revision)
);

-- Every change of what is deployed, and with it the whole set that was in force
-- from then on. The last row is what is deployed now.
CREATE TABLE applies (
  id           INTEGER PRIMARY KEY,
  at           INTEGER NOT NULL,
  action       TEXT NOT NULL,          -- first, apply, rollback, upgrade
  actor        TEXT NOT NULL,
  git_revision TEXT NOT NULL DEFAULT '',
  previous     INTEGER REFERENCES applies(id), -- whose set to go back to
  restores     INTEGER REFERENCES applies(id), -- whose set this one put back
  stages       TEXT NOT NULL,          -- {name: definition id}
  sides        TEXT NOT NULL,          -- {name: {version, digest, columns, files}}
  contracts    TEXT NOT NULL,          -- {file: text}
  changes      TEXT NOT NULL,          -- [{file, changes}] in words
  predicted    TEXT NOT NULL           -- {dataset: {partitions, rows, bytes, cpu, wall}}
);

-- What an apply has brought about so far, for each dataset.
CREATE TABLE outcomes (
  apply_id   INTEGER NOT NULL REFERENCES applies(id),
  dataset_id INTEGER NOT NULL REFERENCES datasets(id),
  answered   INTEGER NOT NULL DEFAULT 0, -- partitions looked at
  executions INTEGER NOT NULL DEFAULT 0, -- of which were computed
  rows       INTEGER NOT NULL DEFAULT 0,
  bytes      INTEGER NOT NULL DEFAULT 0,
  cpu        INTEGER NOT NULL DEFAULT 0,
  wall       INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (apply_id, dataset_id)
) WITHOUT ROWID;

-- What a deployed stage reads: one row per input. The producer is whose runs
-- change it: the input itself, or the stage whose refused rows it holds.
CREATE TABLE edges (
  dataset_id INTEGER NOT NULL REFERENCES datasets(id),
  input_id   INTEGER NOT NULL REFERENCES datasets(id),
  producer_id INTEGER NOT NULL REFERENCES datasets(id),
  kind       TEXT NOT NULL,            -- span, all, latest, as-of
  lo         INTEGER NOT NULL,
  hi         INTEGER NOT NULL,
  since      TEXT NOT NULL DEFAULT '', -- the day from which on a latest input is followed
  frozen     INTEGER NOT NULL DEFAULT 0, -- 1: reader and input are not of one release group
  PRIMARY KEY (dataset_id, input_id)
) WITHOUT ROWID;
CREATE INDEX edges_by_input ON edges (input_id);

-- Every stage whose runs can come to change what a stage reads, however far up:
-- through windows over time, with the windows of the way added up, and through
-- something on the way that is read whole.
CREATE TABLE ancestors (
  dataset_id  INTEGER NOT NULL REFERENCES datasets(id),
  producer_id INTEGER NOT NULL REFERENCES datasets(id),
  whole       INTEGER NOT NULL,
  lo          INTEGER NOT NULL,        -- 0 when whole
  hi          INTEGER NOT NULL,
  PRIMARY KEY (dataset_id, whole, producer_id)
) WITHOUT ROWID;

CREATE TABLE partitions (
  id           INTEGER PRIMARY KEY,
  dataset_id   INTEGER NOT NULL REFERENCES datasets(id),
  name         TEXT NOT NULL,
  starts       INTEGER NOT NULL,
  ends         INTEGER NOT NULL,       -- 0 when the dataset is not cut
  last_version INTEGER NOT NULL DEFAULT 0,
  closed_at    INTEGER,
  last_run     INTEGER NOT NULL DEFAULT 0,
  last_cpu     INTEGER NOT NULL DEFAULT 0,
  outcome      TEXT NOT NULL DEFAULT '', -- of the last time it was looked at: dataset.Outcome
  outcome_at   INTEGER NOT NULL DEFAULT 0,
  outcome_cause INTEGER,
  UNIQUE (dataset_id, name)
);
CREATE INDEX partitions_by_start ON partitions (dataset_id, starts);
CREATE INDEX partitions_open ON partitions (ends) WHERE closed_at IS NULL;
CREATE INDEX partitions_closed ON partitions (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE versions (
  partition_id INTEGER NOT NULL REFERENCES partitions(id),
  number       INTEGER NOT NULL,
  rows         INTEGER NOT NULL,
  bytes        INTEGER NOT NULL,
  hash         BLOB NOT NULL,
  keyed        BLOB,                   -- dataset.ColumnHashes; empty: the key was found not to be unique
  origin       TEXT NOT NULL,          -- load, build, append, side, compact
  trace_key    BLOB,
  definition   INTEGER,
  fingerprint  BLOB,
  git_revision TEXT NOT NULL DEFAULT '',
  cpu          INTEGER NOT NULL DEFAULT 0,
  wall         INTEGER NOT NULL DEFAULT 0,
  cause_id     INTEGER,                -- why readers were last sent to it
  erased_at    INTEGER,
  freed_at     INTEGER,                -- its files went by retention, or are about to
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (partition_id, number)
) WITHOUT ROWID;
CREATE INDEX versions_by_cause ON versions (cause_id) WHERE cause_id IS NOT NULL;

-- A version's content is the segments with added_in <= number < removed_in.
CREATE TABLE segments (
  id           INTEGER PRIMARY KEY,
  partition_id INTEGER NOT NULL REFERENCES partitions(id),
  object       TEXT NOT NULL,
  rows         INTEGER NOT NULL,
  bytes        INTEGER NOT NULL,
  hash         BLOB NOT NULL,
  min_time     INTEGER NOT NULL DEFAULT 0,
  max_time     INTEGER NOT NULL DEFAULT 0,
  origin       TEXT NOT NULL,          -- load, build, append, side, compact
  added_in     INTEGER NOT NULL,
  removed_in   INTEGER,
  removed_at   INTEGER,
  removed_rev  INTEGER,                -- catalog revision of the removal, for leases
  held         INTEGER NOT NULL DEFAULT 0 -- 1: it has ended, and garbage collection found that a version still has its rows
);
CREATE INDEX segments_by_partition ON segments (partition_id, added_in);
CREATE INDEX segments_live ON segments (partition_id) WHERE removed_in IS NULL;
CREATE INDEX segments_removed ON segments (removed_at) WHERE removed_in IS NOT NULL AND held = 0;
CREATE INDEX segments_held ON segments (partition_id) WHERE held = 1;
CREATE INDEX segments_by_object ON segments (object);

-- What a version held is looked at again when it goes or its files do.
CREATE TRIGGER unhold_version AFTER DELETE ON versions BEGIN
  UPDATE segments SET held = 0 WHERE partition_id = OLD.partition_id AND held = 1 AND added_in <= OLD.number AND removed_in > OLD.number;
END;

CREATE TRIGGER unhold_freed AFTER UPDATE OF freed_at ON versions BEGIN
  UPDATE segments SET held = 0 WHERE partition_id = OLD.partition_id AND held = 1 AND added_in <= OLD.number AND removed_in > OLD.number;
END;

CREATE TABLE traces (
  partition_id     INTEGER NOT NULL REFERENCES partitions(id),
  trace_key        BLOB NOT NULL,
  version          INTEGER NOT NULL,   -- of this partition
  rejected_version INTEGER,            -- of the same partition of <dataset>_rejected
  created_at       INTEGER NOT NULL,
  PRIMARY KEY (partition_id, trace_key)
) WITHOUT ROWID;

-- What the promoted version of a partition read.
CREATE TABLE reads (
  partition_id INTEGER NOT NULL REFERENCES partitions(id),
  input_id     INTEGER NOT NULL REFERENCES datasets(id),
  input_name   TEXT NOT NULL,
  version      INTEGER NOT NULL,
  rows         INTEGER NOT NULL,
  hash         BLOB NOT NULL,
  PRIMARY KEY (partition_id, input_id, input_name)
) WITHOUT ROWID;

CREATE TABLE pointers (
  partition_id INTEGER NOT NULL REFERENCES partitions(id),
  view         TEXT NOT NULL DEFAULT 'main', -- or release: staged by a release group, 0 for ABSENT
  version      INTEGER NOT NULL,
  generation   INTEGER NOT NULL,
  promoted_at  INTEGER NOT NULL,
  PRIMARY KEY (partition_id, view)
) WITHOUT ROWID;
CREATE INDEX pointers_staged ON pointers (partition_id) WHERE view = 'release';

-- The durable work queue of convergence: partitions whose trace key may have moved.
CREATE TABLE dirty (
  dataset_id INTEGER NOT NULL REFERENCES datasets(id),
  name       TEXT NOT NULL,
  starts     INTEGER NOT NULL,
  ends       INTEGER NOT NULL,         -- 0 when the dataset is not cut
  since      INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  generation INTEGER NOT NULL,         -- the newest cause: a build answers exactly one
  cause_id   INTEGER,
  urgent     INTEGER NOT NULL DEFAULT 0, -- 1: a person brought it about
  attempts   INTEGER NOT NULL DEFAULT 0,
  failed_key BLOB,
  error      TEXT,
  waits      INTEGER NOT NULL DEFAULT 0, -- 1: for the next pointer vector of its release group
  again      INTEGER NOT NULL DEFAULT 0, -- the cause to run for once more with the next vector; 0: none
  PRIMARY KEY (dataset_id, name)
) WITHOUT ROWID;
CREATE INDEX dirty_due ON dirty (not_before);
CREATE INDEX dirty_by_start ON dirty (dataset_id, starts);
CREATE INDEX dirty_by_end ON dirty (ends);
CREATE INDEX dirty_newest ON dirty (dataset_id, ends);
CREATE INDEX dirty_urgent ON dirty (dataset_id) WHERE urgent = 1;
CREATE INDEX dirty_failed ON dirty (since) WHERE failed_key IS NOT NULL;

CREATE TABLE causes (
  id     INTEGER PRIMARY KEY,
  kind   TEXT NOT NULL,                -- load, definition, side, promotion, waiver, pin
  detail TEXT NOT NULL,
  parent INTEGER,
  apply_id INTEGER,                    -- the change of definitions at the root of it
  at     INTEGER NOT NULL,
  facts  TEXT NOT NULL DEFAULT '{}'    -- dataset.Facts: what detail says, for programs
);
CREATE INDEX causes_by_parent ON causes (parent) WHERE parent IS NOT NULL;

CREATE TABLE cursors (
  name        TEXT PRIMARY KEY,
  record      INTEGER NOT NULL DEFAULT 0,
  event       INTEGER NOT NULL DEFAULT 0,
  received_to INTEGER NOT NULL DEFAULT 0,
  loaded      INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0,
  repeats     INTEGER NOT NULL DEFAULT 0,
  lost        INTEGER NOT NULL DEFAULT 0,
  retries     INTEGER NOT NULL DEFAULT 0 -- of quarantine, each of which moves rows from quarantined to loaded or repeats
) WITHOUT ROWID;
INSERT INTO cursors (name) VALUES ('load');

CREATE TABLE sidecars (
  id         INTEGER PRIMARY KEY,
  object     TEXT NOT NULL,
  bytes      INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  removed_at INTEGER
);

-- Progress of resumable imports, by file identity.
CREATE TABLE imports (
  key     TEXT PRIMARY KEY,
  offset  INTEGER NOT NULL,
  lines   INTEGER NOT NULL,
  done    INTEGER NOT NULL DEFAULT 0,
  updated INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE leases (
  id       TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,           -- the oldest catalog revision the holder may still read
  expires  INTEGER NOT NULL
) WITHOUT ROWID;

-- A stage reads a pinned input not as everybody does, but through a view of its
-- own in pointers, named 'pin ' and the pin's id. name is a partition of the
-- input, or empty: all of it, and then what the view does not hold is ABSENT.
CREATE TABLE pins (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  stage_id   INTEGER NOT NULL REFERENCES datasets(id),
  input_id   INTEGER NOT NULL REFERENCES datasets(id),
  name       TEXT NOT NULL,
  reason     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  automatic  INTEGER NOT NULL DEFAULT 0, -- 1: the stage's own contract keeps it from a version, until one is good for it
  UNIQUE (stage_id, input_id, name)
);
CREATE INDEX pins_by_input ON pins (input_id);

-- Recorded consent that partitions of a stage stay as they are although stale:
-- those that start in starts <= start < ends. version is where `promote` sent
-- readers, 0 for waivers of another kind.
CREATE TABLE waivers (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  dataset_id INTEGER NOT NULL REFERENCES datasets(id),
  first      TEXT NOT NULL,            -- empty: from the beginning
  last       TEXT NOT NULL,
  starts     INTEGER NOT NULL,
  ends       INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  actor      TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX waivers_by_dataset ON waivers (dataset_id, ends);

-- The work that waivers hold back: what would be in dirty without them.
CREATE TABLE waived (
  dataset_id INTEGER NOT NULL REFERENCES datasets(id),
  name       TEXT NOT NULL,
  starts     INTEGER NOT NULL,
  since      INTEGER NOT NULL,
  cause_id   INTEGER,
  PRIMARY KEY (dataset_id, name)
) WITHOUT ROWID;
CREATE INDEX waived_by_start ON waived (dataset_id, starts);

CREATE TRIGGER waive_dirty BEFORE INSERT ON dirty
WHEN EXISTS (SELECT 1 FROM waivers w WHERE w.dataset_id = NEW.dataset_id AND w.ends > NEW.starts AND w.starts <= NEW.starts) BEGIN
  INSERT INTO waived (dataset_id, name, starts, since, cause_id) VALUES (NEW.dataset_id, NEW.name, NEW.starts, NEW.since, NEW.cause_id)
    ON CONFLICT (dataset_id, name) DO UPDATE SET cause_id = excluded.cause_id;
  SELECT RAISE(IGNORE);
END;

-- What a gate said last of a version. Version 0 says what a partition waits for
-- of which nothing can be computed, because inputs are held. A held version is
-- what the view 'held' in pointers points at, and nobody reads it.
CREATE TABLE verdicts (
  partition_id INTEGER NOT NULL REFERENCES partitions(id),
  version      INTEGER NOT NULL,
  judged_by    BLOB,                   -- the contracts it was judged by
  detail       TEXT NOT NULL,          -- dataset.Verdict
  judged_at    INTEGER NOT NULL,
  PRIMARY KEY (partition_id, version)
) WITHOUT ROWID;
CREATE INDEX pointers_held ON pointers (partition_id) WHERE view = 'held';

CREATE TRIGGER forget_verdict AFTER DELETE ON versions BEGIN
  DELETE FROM verdicts WHERE partition_id = OLD.partition_id AND version = OLD.number;
END;

-- Release groups: their members, and what they read from outside as it was when
-- they took their pointer vector, where it has moved since (0: there was none).
CREATE TABLE groups (
  dataset_id INTEGER PRIMARY KEY REFERENCES datasets(id),
  name       TEXT NOT NULL
);
CREATE TABLE release_inputs (
  release      TEXT NOT NULL,
  partition_id INTEGER NOT NULL REFERENCES partitions(id),
  version      INTEGER NOT NULL,
  PRIMARY KEY (release, partition_id)
) WITHOUT ROWID;
CREATE INDEX release_inputs_by_partition ON release_inputs (partition_id);

CREATE TABLE audit (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  actor  TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL
);

-- What status tells of each dataset, kept by the triggers below, so that nobody
-- counts partitions to know how they are. due counts dirty entries: due_new those
-- whose partition is not on record yet, due_promoted those that have a promoted
-- version. waived does the same for what waivers hold back.
CREATE TABLE counts (
  dataset_id   INTEGER PRIMARY KEY REFERENCES datasets(id),
  partitions   INTEGER NOT NULL DEFAULT 0,
  open         INTEGER NOT NULL DEFAULT 0,
  promoted     INTEGER NOT NULL DEFAULT 0,
  rows         INTEGER NOT NULL DEFAULT 0, -- of promoted versions
  due          INTEGER NOT NULL DEFAULT 0,
  due_new      INTEGER NOT NULL DEFAULT 0,
  due_promoted INTEGER NOT NULL DEFAULT 0,
  failed       INTEGER NOT NULL DEFAULT 0,
  waived       INTEGER NOT NULL DEFAULT 0,
  waived_new   INTEGER NOT NULL DEFAULT 0,
  waived_promoted INTEGER NOT NULL DEFAULT 0
);

CREATE TRIGGER count_dataset AFTER INSERT ON datasets BEGIN
  INSERT INTO counts (dataset_id) VALUES (NEW.id);
END;

CREATE TRIGGER count_partition AFTER INSERT ON partitions BEGIN
  UPDATE counts SET partitions = partitions + 1, open = open + (NEW.closed_at IS NULL AND NEW.ends > 0),
    due_new = due_new - EXISTS (SELECT 1 FROM dirty WHERE dataset_id = NEW.dataset_id AND name = NEW.name),
    waived_new = waived_new - EXISTS (SELECT 1 FROM waived WHERE dataset_id = NEW.dataset_id AND name = NEW.name)
  WHERE dataset_id = NEW.dataset_id;
END;

CREATE TRIGGER count_closing AFTER UPDATE OF closed_at ON partitions
WHEN NEW.ends > 0 AND (OLD.closed_at IS NULL) <> (NEW.closed_at IS NULL) BEGIN
  UPDATE counts SET open = open + (NEW.closed_at IS NULL) - (OLD.closed_at IS NULL) WHERE dataset_id = NEW.dataset_id;
END;

CREATE TRIGGER count_pointer AFTER INSERT ON pointers WHEN NEW.view = 'main' BEGIN
  UPDATE counts SET promoted = promoted + 1,
    rows = rows + COALESCE((SELECT rows FROM versions WHERE partition_id = NEW.partition_id AND number = NEW.version), 0),
    due_promoted = due_promoted + EXISTS (SELECT 1 FROM partitions p JOIN dirty w ON w.dataset_id = p.dataset_id AND w.name = p.name WHERE p.id = NEW.partition_id),
    waived_promoted = waived_promoted + EXISTS (SELECT 1 FROM partitions p JOIN waived w ON w.dataset_id = p.dataset_id AND w.name = p.name WHERE p.id = NEW.partition_id)
  WHERE dataset_id = (SELECT dataset_id FROM partitions WHERE id = NEW.partition_id);
END;

CREATE TRIGGER count_pointer_move AFTER UPDATE OF version ON pointers WHEN NEW.view = 'main' BEGIN
  UPDATE counts SET rows = rows
    - COALESCE((SELECT rows FROM versions WHERE partition_id = OLD.partition_id AND number = OLD.version), 0)
    + COALESCE((SELECT rows FROM versions WHERE partition_id = NEW.partition_id AND number = NEW.version), 0)
  WHERE dataset_id = (SELECT dataset_id FROM partitions WHERE id = NEW.partition_id);
END;

CREATE TRIGGER count_pointer_end AFTER DELETE ON pointers WHEN OLD.view = 'main' BEGIN
  UPDATE counts SET promoted = promoted - 1,
    rows = rows - COALESCE((SELECT rows FROM versions WHERE partition_id = OLD.partition_id AND number = OLD.version), 0),
    due_promoted = due_promoted - EXISTS (SELECT 1 FROM partitions p JOIN dirty w ON w.dataset_id = p.dataset_id AND w.name = p.name WHERE p.id = OLD.partition_id),
    waived_promoted = waived_promoted - EXISTS (SELECT 1 FROM partitions p JOIN waived w ON w.dataset_id = p.dataset_id AND w.name = p.name WHERE p.id = OLD.partition_id)
  WHERE dataset_id = (SELECT dataset_id FROM partitions WHERE id = OLD.partition_id);
END;

CREATE TRIGGER count_waived AFTER INSERT ON waived BEGIN
  UPDATE counts SET waived = waived + 1,
    waived_new = waived_new + NOT EXISTS (SELECT 1 FROM partitions WHERE dataset_id = NEW.dataset_id AND name = NEW.name),
    waived_promoted = waived_promoted + EXISTS (SELECT 1 FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
      WHERE p.dataset_id = NEW.dataset_id AND p.name = NEW.name)
  WHERE dataset_id = NEW.dataset_id;
END;

CREATE TRIGGER count_unwaived AFTER DELETE ON waived BEGIN
  UPDATE counts SET waived = waived - 1,
    waived_new = waived_new - NOT EXISTS (SELECT 1 FROM partitions WHERE dataset_id = OLD.dataset_id AND name = OLD.name),
    waived_promoted = waived_promoted - EXISTS (SELECT 1 FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
      WHERE p.dataset_id = OLD.dataset_id AND p.name = OLD.name)
  WHERE dataset_id = OLD.dataset_id;
END;

CREATE TRIGGER count_due AFTER INSERT ON dirty BEGIN
  UPDATE counts SET due = due + 1, failed = failed + (NEW.failed_key IS NOT NULL),
    due_new = due_new + NOT EXISTS (SELECT 1 FROM partitions WHERE dataset_id = NEW.dataset_id AND name = NEW.name),
    due_promoted = due_promoted + EXISTS (SELECT 1 FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
      WHERE p.dataset_id = NEW.dataset_id AND p.name = NEW.name)
  WHERE dataset_id = NEW.dataset_id;
END;

CREATE TRIGGER count_failure AFTER UPDATE OF failed_key ON dirty WHEN (OLD.failed_key IS NULL) <> (NEW.failed_key IS NULL) BEGIN
  UPDATE counts SET failed = failed + (NEW.failed_key IS NOT NULL) - (OLD.failed_key IS NOT NULL) WHERE dataset_id = NEW.dataset_id;
END;

CREATE TRIGGER count_done AFTER DELETE ON dirty BEGIN
  UPDATE counts SET due = due - 1, failed = failed - (OLD.failed_key IS NOT NULL),
    due_new = due_new - NOT EXISTS (SELECT 1 FROM partitions WHERE dataset_id = OLD.dataset_id AND name = OLD.name),
    due_promoted = due_promoted - EXISTS (SELECT 1 FROM partitions p JOIN pointers x ON x.partition_id = p.id AND x.view = 'main'
      WHERE p.dataset_id = OLD.dataset_id AND p.name = OLD.name)
  WHERE dataset_id = OLD.dataset_id;
END;

-- Sums of the leaves of what is promoted, dataset by dataset, over whole days
-- (level 1; of datasets cut by hour), months (2) and years (3), so that the trace
-- key of a window costs what its edges hold, however long it is. What moves
-- pointers leaves a note in moved; it is worked into sums before the transaction
-- ends.
CREATE TABLE sums (
  dataset_id INTEGER NOT NULL REFERENCES datasets(id),
  level      INTEGER NOT NULL,
  starts     INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  leaves     BLOB NOT NULL,            -- 32 bytes, big endian
  PRIMARY KEY (dataset_id, level, starts)
) WITHOUT ROWID;

CREATE TABLE moved (
  id           INTEGER PRIMARY KEY,
  partition_id INTEGER NOT NULL,
  added        INTEGER NOT NULL,       -- 1: promoted now, 0: was promoted
  rows         INTEGER NOT NULL,
  hash         BLOB NOT NULL
);

CREATE TRIGGER sum_pointer AFTER INSERT ON pointers WHEN NEW.view = 'main' BEGIN
  INSERT INTO moved (partition_id, added, rows, hash)
    SELECT partition_id, 1, rows, hash FROM versions WHERE partition_id = NEW.partition_id AND number = NEW.version;
END;

CREATE TRIGGER sum_pointer_move AFTER UPDATE OF version ON pointers WHEN NEW.view = 'main' AND NEW.version <> OLD.version BEGIN
  INSERT INTO moved (partition_id, added, rows, hash)
    SELECT partition_id, number = NEW.version, rows, hash FROM versions WHERE partition_id = NEW.partition_id AND number IN (OLD.version, NEW.version);
END;

CREATE TRIGGER sum_pointer_end AFTER DELETE ON pointers WHEN OLD.view = 'main' BEGIN
  INSERT INTO moved (partition_id, added, rows, hash)
    SELECT partition_id, 0, rows, hash FROM versions WHERE partition_id = OLD.partition_id AND number = OLD.version;
END;

-- With which decoder and limits a segment of quarantine was last tried: what it
-- holds does not decode by those.
CREATE TABLE tried (
  segment_id INTEGER PRIMARY KEY,
  identity   BLOB NOT NULL
);

CREATE TRIGGER forget_tried AFTER DELETE ON segments BEGIN
  DELETE FROM tried WHERE segment_id = OLD.id;
END;

-- Verdicts that say anything at all, which is seldom.
CREATE INDEX verdicts_spoken ON verdicts (partition_id, version) WHERE detail <> '{}';

-- What is or was wrong, one row for each time of each cause, and what webhooks
-- are told of it.
CREATE TABLE alerts (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  key         TEXT NOT NULL,
  said        TEXT NOT NULL,           -- alert.Alert
  told        INTEGER NOT NULL,        -- the count that was told last
  resolved_at INTEGER
);
CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_key ON alerts (key);
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE TABLE deliveries (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  alert_id   INTEGER NOT NULL REFERENCES alerts(id),
  hook       TEXT NOT NULL,            -- a name, not the address
  message    TEXT NOT NULL,            -- the webhook-id
  kind       TEXT NOT NULL,
  body       BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  tries      INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER NOT NULL,
  ended_at   INTEGER,                  -- NULL: it waits
  result     TEXT NOT NULL DEFAULT 'waiting',
  error      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX deliveries_waiting ON deliveries (hook, next_at) WHERE ended_at IS NULL;
CREATE INDEX deliveries_by_alert ON deliveries (alert_id);
CREATE INDEX deliveries_in_order ON deliveries (alert_id, hook) WHERE ended_at IS NULL;
