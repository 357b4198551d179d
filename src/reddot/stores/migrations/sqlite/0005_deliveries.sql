-- Reaching people who are not there: what is to be delivered, by whom, where to.

-- Plans as they were when notifications went live, each text once.
CREATE TABLE plan (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- A notification that is to be delivered; written with it. `lane`: that of its campaign; NULL: `num`.
-- `place`: how far it has been worked out, in steps of its kind of receivers; NULL: it has.
-- `steps`: how many that took, so that they take turns.
CREATE TABLE outreach (
  num INTEGER PRIMARY KEY,
  plan INTEGER NOT NULL,
  lane INTEGER,
  place DEFAULT '',
  steps INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outreach_open ON outreach (steps, num) WHERE place IS NOT NULL;
CREATE INDEX outreach_lane ON outreach (lane) WHERE lane IS NOT NULL;

-- What is limited, paused and served in turn. `granted`: its deliveries that count as sent.
-- `plan`: 0 until its first delivery. `approved`: NULL, 0 or 1. `sweep`: deliveries have still to be moved because of what was said.
CREATE TABLE lane (
  id INTEGER PRIMARY KEY,
  plan INTEGER NOT NULL,
  granted INTEGER NOT NULL DEFAULT 0,
  paused INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0,
  approved INTEGER,
  sweep INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX lane_sweep ON lane (id) WHERE sweep = 1;

-- When a lane has something for a courier; NULL: nothing waits. `turn`: when it was served last.
CREATE TABLE lane_due (
  lane INTEGER NOT NULL,
  courier TEXT NOT NULL,
  ready_ms INTEGER,
  turn INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (lane, courier)
) WITHOUT ROWID;
CREATE INDEX lane_due_ready ON lane_due (courier, ready_ms, turn) WHERE ready_ms IS NOT NULL;

-- `topic_id`, `pos`: its row of the person's inbox. `state`: 0 pending, 1 leased, 2 held, 3 sent,
-- 4 skipped, 5 folded, 6 cancelled, 7 dead. `sent_ms`: it counts as sent, since then. `done`: JSON
-- array of slots that need no further attempt.
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  num INTEGER NOT NULL,
  user TEXT NOT NULL,
  courier TEXT NOT NULL,
  lane INTEGER NOT NULL,
  topic_id INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  lease_ms INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  sent_ms INTEGER,
  digest INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  done TEXT,
  UNIQUE (num, user, courier)
);
CREATE INDEX delivery_due ON delivery (lane, courier, due_ms) WHERE state = 0;
CREATE INDEX delivery_leased ON delivery (lease_ms) WHERE state = 1;
CREATE INDEX delivery_held ON delivery (lane) WHERE state = 2;
CREATE INDEX delivery_dead ON delivery (id) WHERE state = 7;
CREATE INDEX delivery_digest ON delivery (user, courier) WHERE digest = 1 AND state < 2;
CREATE INDEX delivery_user ON delivery (user, sent_ms);

CREATE TABLE address (
  user TEXT NOT NULL,
  courier TEXT NOT NULL,
  slot TEXT NOT NULL,
  value BLOB NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY (user, courier, slot)
) WITHOUT ROWID;

-- What is known of people: JSON objects.
CREATE TABLE attributes (user TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;

-- The table of plans that was put over HTTP, if one was.
CREATE TABLE plans (one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL);

-- `data`: JSON of the value. `look_ms`: when somebody has to look at it; NULL: never.
CREATE TABLE campaign (
  num INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  look_ms INTEGER,
  time_ms INTEGER NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX campaign_look ON campaign (look_ms) WHERE look_ms IS NOT NULL;

-- Members of a campaign's segment as they were when it started: a JSON array per part.
CREATE TABLE audience (
  campaign INTEGER NOT NULL,
  part INTEGER NOT NULL,
  users TEXT NOT NULL,
  PRIMARY KEY (campaign, part)
) WITHOUT ROWID;

-- Deliveries of campaigns by the minute in which they came into a state; -1: were made.
CREATE TABLE progress (
  lane INTEGER NOT NULL,
  minute INTEGER NOT NULL,
  courier TEXT NOT NULL,
  state INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (lane, minute, courier, state)
) WITHOUT ROWID;
