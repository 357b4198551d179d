-- What MQTT needs: what goes with a publication, and what its clients leave behind.

-- JSON `[qos, properties, source]`; NULL: as a publication that came another way.
ALTER TABLE log ADD COLUMN mqtt TEXT;
ALTER TABLE retained ADD COLUMN mqtt TEXT;

-- One row per client that may come back. `wake_ms`: when somebody has to look at it; negative
-- while the client is attached.
CREATE TABLE client (
  number INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  wake_ms INTEGER NOT NULL,
  state BLOB NOT NULL,
  UNIQUE (owner, name)
);
CREATE INDEX client_wake ON client (wake_ms);
