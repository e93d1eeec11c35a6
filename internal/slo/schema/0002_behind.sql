-- 1: the shard has more series with objectives than it writes readings for in a
-- batch, so that some readings are older than the counts: readers add up the
-- blocks instead.
ALTER TABLE shard ADD COLUMN behind BIGINT NOT NULL DEFAULT 0;
