-- Mutes that end.

-- When the first of a person's mutes ends; NULL: none does.
ALTER TABLE person ADD COLUMN mute_ms INTEGER;
CREATE INDEX person_mute ON person (mute_ms) WHERE mute_ms IS NOT NULL;
