-- What happened to the alerts of one type and property, gathered: a row counts
-- until until_at, and then becomes one audit event and is deleted. action:
-- start, end, deliver. n counts all events of the window, the first of which are
-- recorded one by one; further counts the rest, and the columns after it say
-- which alerts these were. alert_ids is JSON: the first of them.
CREATE TABLE gathered (
    account_id TEXT   NOT NULL,
    zone_id    TEXT   NOT NULL,
    alert_type TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    zone_name  TEXT   NOT NULL,
    until_at   BIGINT NOT NULL,
    n          BIGINT NOT NULL,
    further    BIGINT NOT NULL,
    alert_ids  TEXT   NOT NULL,
    last_id    TEXT   NOT NULL,
    from_at    BIGINT NOT NULL,
    to_at      BIGINT NOT NULL,
    PRIMARY KEY (account_id, zone_id, alert_type, action)
);
CREATE INDEX gathered_until ON gathered (until_at);
