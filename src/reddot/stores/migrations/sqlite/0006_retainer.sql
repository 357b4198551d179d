-- For whom a retained topic is counted: a user, '#' for all who have no name, '' for nobody.
ALTER TABLE retained ADD COLUMN retainer TEXT NOT NULL DEFAULT '';
