-- Origins that answered, for passive monitoring: those that no objective counts on
-- their own. at: a time of an answer other than a failure, at most an hour older than
-- the newest one; Unix seconds.
CREATE TABLE origin_answer (
    shard      BIGINT NOT NULL,
    account_id TEXT   NOT NULL,
    zone_id    TEXT   NOT NULL,
    origin     TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (shard, account_id, zone_id, origin)
);
CREATE INDEX origin_answer_at ON origin_answer (shard, at);

-- Origins that could not be reached lately, or whose last alert is younger than a day.
-- detail is JSON.
CREATE TABLE origin_outage (
    shard      BIGINT NOT NULL,
    account_id TEXT   NOT NULL,
    zone_id    TEXT   NOT NULL,
    origin     TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    PRIMARY KEY (shard, account_id, zone_id, origin)
);
CREATE INDEX origin_outage_zone ON origin_outage (account_id, zone_id);

-- Objectives without data. data_at: end of their newest tick with a request, Unix
-- seconds. told: an alert was sent, so its end is sent too.
CREATE TABLE no_data (
    objective_id TEXT    PRIMARY KEY,
    account_id   TEXT    NOT NULL,
    data_at      BIGINT  NOT NULL,
    told         BOOLEAN NOT NULL
);

-- When an objective has no data, unless a request is counted before; Unix seconds, 0 =
-- silence is not reported.
ALTER TABLE reading ADD COLUMN silent_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX reading_silent ON reading (silent_at);

-- The alert type whose policies an objective exists for; '' = a member created it.
ALTER TABLE objective ADD COLUMN alert_type TEXT NOT NULL DEFAULT '';
CREATE INDEX objective_alert_type ON objective (alert_type);
