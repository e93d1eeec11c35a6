-- What lists of refused events are filtered by: the field of the first fault, with * for indexes of arrays, and the team
-- of the product. Rows of before have ''; they are gone after 30 days.
ALTER TABLE reject ADD COLUMN pointer TEXT NOT NULL DEFAULT '';
ALTER TABLE reject ADD COLUMN team TEXT NOT NULL DEFAULT '';
