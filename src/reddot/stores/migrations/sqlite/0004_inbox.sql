-- A notification is found by topic through its row in `note` alone. A second entry in an index of
-- `log` would be one more page to write for each, all over the file.

-- What retention of inboxes has taken from `note` gets data of its own.
UPDATE log SET
  data = ifnull((SELECT n.data FROM notification AS n WHERE n.num = log.data AND n.state <> 2), x'6e756c6c'),
  expires_ms = CASE WHEN EXISTS (SELECT 1 FROM notification AS n WHERE n.num = log.data AND n.state <> 2)
    THEN expires_ms ELSE 0 END
WHERE typeof(data) = 'integer'
  AND NOT EXISTS (SELECT 1 FROM note WHERE note.topic_id = log.topic_id AND note.pos = log.pos);

DROP INDEX log_topic;
CREATE INDEX log_topic ON log (topic_id) WHERE typeof(data) <> 'integer';

-- The log by topic. Rows of `note` outlive those of `log`, so ask with a `pos` above
-- `topic.trimmed_pos`; and select what is ordered by, else SQLite does not merge the two halves.
CREATE VIEW topic_log AS
  SELECT topic_id, pos, off, time_ms, expires_ms, id, event, flags, data, mqtt FROM log
  WHERE typeof(data) <> 'integer'
UNION ALL
  SELECT note.topic_id, note.pos, off, time_ms, log.expires_ms, id, event, flags, data, mqtt
  FROM note CROSS JOIN log ON log.pos = note.pos;

-- Since when somebody is a user: what went to everyone before is not in their inbox.
ALTER TABLE person ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;

-- How many people a notification has reached live; written behind it, many at once.
CREATE TABLE reached (
  num INTEGER PRIMARY KEY,
  people INTEGER NOT NULL
);
