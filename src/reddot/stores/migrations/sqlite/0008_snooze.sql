-- Notifications that somebody does not want to see for a while.

-- `snoozed`: a JSON array of [seq, pos, until_ms]; see `inbox.Snoozed`. NULL: none.
-- `wake_ms`: the earliest `until_ms` of it.
ALTER TABLE marks ADD COLUMN snoozed TEXT;
ALTER TABLE marks ADD COLUMN wake_ms INTEGER;
CREATE INDEX marks_wake ON marks (wake_ms) WHERE wake_ms IS NOT NULL;

-- Rows of `note` of those that have come back: in the topic of the user who had snoozed them.
-- `num`: the notification. `origin`: the topic that it was sent to.
CREATE TABLE woken (
  topic_id INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  num INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  PRIMARY KEY (topic_id, pos)
) WITHOUT ROWID;
CREATE INDEX woken_num ON woken (num);
