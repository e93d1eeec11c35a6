-- request is the hash of what was asked for, where the newest answer replaces
-- earlier ones of the same principal; '' = every job is kept.
ALTER TABLE job ADD COLUMN request TEXT NOT NULL DEFAULT '';
