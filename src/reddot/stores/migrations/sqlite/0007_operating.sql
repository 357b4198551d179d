-- What operators ask.

-- The dead of one campaign, to be sent again.
CREATE INDEX delivery_dead_lane ON delivery (lane, id) WHERE state = 7;

-- When whom a campaign has reached is to be counted again; NULL: never.
ALTER TABLE campaign ADD COLUMN count_ms INTEGER;
CREATE INDEX campaign_count ON campaign (count_ms) WHERE count_ms IS NOT NULL;

-- Whom campaigns had reached at a time: a JSON array of [time_ms, delivered, seen, read], of a few
-- hundred at most.
CREATE TABLE figures (campaign INTEGER PRIMARY KEY, data TEXT NOT NULL);

-- When a person has clicked what a courier has brought.
ALTER TABLE delivery ADD COLUMN clicked_ms INTEGER;
