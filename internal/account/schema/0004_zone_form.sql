-- norm: the one form of a reference by which it is compared (account.ZoneKey).
-- Empty for references from before there was one: those are found by their
-- spellings, and get it when their zone is changed.
ALTER TABLE zone_ref ADD COLUMN norm TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX zone_ref_norm ON zone_ref (account_id, norm) WHERE norm <> '';

-- seen: the zone was made because traffic showed its name, and nothing has
-- confirmed it since.
ALTER TABLE zone ADD COLUMN seen BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX zone_seen ON zone (account_id, created_at) WHERE seen;

-- The event of a seen zone: one an hour and account. told_at: when the last one
-- was recorded; untold: how many zones were made since without one.
CREATE TABLE zone_seen_report (
    account_id TEXT   PRIMARY KEY,
    told_at    BIGINT NOT NULL,
    untold     BIGINT NOT NULL
);
