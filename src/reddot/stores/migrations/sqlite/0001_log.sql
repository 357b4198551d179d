-- The log and what belongs to it. Runs in one transaction, once; never change a released file.

-- One row. `head` is a floor that trimming writes, so that positions are never used again.
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL,
  head INTEGER NOT NULL
);

-- Appending changes no row here once a topic exists: its newest offset is that of its last row in
-- `log`, or `trimmed_off` if none is left. `due_ms`: when its oldest row passes the age limit;
-- NULL: it has no rows.
CREATE TABLE topic (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  trimmed_pos INTEGER NOT NULL DEFAULT 0,
  trimmed_off INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER
);
CREATE INDEX topic_due ON topic (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX topic_trimmed ON topic (trimmed_pos) WHERE trimmed_pos > 0;

-- Clustered by position: an append goes to the end. `data` comes last, so that a scan of the other
-- columns does not walk its overflow pages. `event` NULL: the default one. `flags`: 1 retain,
-- 2 binary.
CREATE TABLE log (
  pos INTEGER PRIMARY KEY,
  topic_id INTEGER NOT NULL,
  off INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  id TEXT NOT NULL,
  event TEXT,
  flags INTEGER NOT NULL,
  data BLOB NOT NULL
);
-- An index entry ends with the row's primary key, so this is (topic_id, pos), which is also the
-- order of offsets within a topic.
CREATE INDEX log_topic ON log (topic_id);

-- Idempotency keys, only of drafts whose publisher chose the id.
CREATE TABLE idem (
  id TEXT PRIMARY KEY,
  digest BLOB NOT NULL,
  pos INTEGER NOT NULL,
  off INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idem_expires ON idem (expires_ms);

-- A copy, so that it outlives its row in `log`.
CREATE TABLE retained (
  pos INTEGER PRIMARY KEY,
  topic_id INTEGER NOT NULL UNIQUE,
  off INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  id TEXT NOT NULL,
  event TEXT,
  flags INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX retained_expires ON retained (expires_ms) WHERE expires_ms IS NOT NULL;
