-- Settings of a destination that are no secrets, as JSON: an explicit type, the
-- template of the body, the fallback.
ALTER TABLE destination ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
