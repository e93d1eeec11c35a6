-- The time zone of an account, a name of the IANA database; '' = not chosen: UTC in mails and reports, and the zone of
-- the browser on pages.
ALTER TABLE account ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
