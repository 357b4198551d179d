-- Inboxes: what was sent, where it is shown, and what people have done with it.

-- What was sent, once, however many it was sent to. `num` is the position of its first
-- publication; the others follow without a hole, in the order of `topics`, which is one topic id
-- or a JSON array of them. Rows of `log` that belong to it have `num` in place of their data.
-- `state`: 0 live, 1 expired, 2 retracted, 3 replaced. `data` comes last, as in `log`.
CREATE TABLE notification (
  num INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  category INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  keep_ms INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  topics NOT NULL,
  collapse_key TEXT,
  data BLOB NOT NULL
);
CREATE INDEX notification_id ON notification (id);
CREATE INDEX notification_keep ON notification (keep_ms);
CREATE INDEX notification_due ON notification (expires_ms)
  WHERE expires_ms IS NOT NULL AND state = 0;

-- One thin row per notification and topic. `dead`: as `notification.state`.
CREATE TABLE note (
  topic_id INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  num INTEGER NOT NULL,
  category INTEGER NOT NULL,
  expires_ms INTEGER,
  dead INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (topic_id, pos)
) WITHOUT ROWID;

-- Only of topics that have lost a notification. `base`: everything up to this seq is deleted.
-- `died_pos`: when one died last.
CREATE TABLE inbox_topic (
  topic_id INTEGER PRIMARY KEY,
  base INTEGER NOT NULL DEFAULT 0,
  died_pos INTEGER NOT NULL DEFAULT 0
);

-- The live notification of each collapse key.
CREATE TABLE collapse (
  topic_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  pos INTEGER NOT NULL,
  PRIMARY KEY (topic_id, name)
) WITHOUT ROWID;

CREATE TABLE category (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

CREATE TABLE person (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  rev INTEGER NOT NULL,
  preferences TEXT
);

-- Bits are little-endian; see `inbox.Marks`. NULL: none.
CREATE TABLE marks (
  person_id INTEGER NOT NULL,
  topic_id INTEGER NOT NULL,
  join_seq INTEGER NOT NULL,
  read_upto INTEGER NOT NULL,
  read BLOB,
  archived BLOB,
  deleted BLOB,
  seen_upto INTEGER NOT NULL,
  followed INTEGER NOT NULL,
  PRIMARY KEY (person_id, topic_id)
) WITHOUT ROWID;
CREATE INDEX marks_topic ON marks (topic_id);

-- Not live yet. `schedule` is the request, as JSON.
CREATE TABLE scheduled (
  id TEXT PRIMARY KEY,
  publish_ms INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  schedule TEXT NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX scheduled_publish ON scheduled (publish_ms);

-- Titles and texts, without keeping them twice. Filled behind the log, up to `indexed`.
CREATE VIRTUAL TABLE notification_text USING fts5 (title, text, content = '');
CREATE TABLE inbox_meta (one INTEGER PRIMARY KEY CHECK (one = 1), indexed INTEGER NOT NULL);
INSERT INTO inbox_meta VALUES (1, 0);
