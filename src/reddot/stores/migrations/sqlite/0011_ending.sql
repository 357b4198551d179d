-- Notifications that are dead, and of which more has come back from snoozes than dies in one step.

-- `origin`: only what was sent to this topic; 0: all. `state`: why, as `notification.state`.
-- `topic_id`, `pos`: the last row of `woken` that has died.
CREATE TABLE ending (
  num INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  state INTEGER NOT NULL,
  topic_id INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  PRIMARY KEY (num, origin)
) WITHOUT ROWID;
