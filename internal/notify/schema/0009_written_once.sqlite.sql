-- When the first message about an alert was delivered. It was a column of alert, the
-- widest table: noting it wrote the whole row and its indexes again.
CREATE TABLE notified (
    alert_key TEXT   PRIMARY KEY,
    at        BIGINT NOT NULL
);
INSERT INTO notified (alert_key, at) SELECT alert_key, told_at FROM alert WHERE told_at > 0;
ALTER TABLE alert DROP COLUMN told_at;

-- The later alerts of an incident; the alert that opened it is found by its key.
DROP INDEX alert_root;
CREATE INDEX alert_root ON alert (root_key, alert_key) WHERE state = 'part';

-- Lists of the alerts of a property; many alerts name none.
DROP INDEX alert_zone;
CREATE INDEX alert_zone ON alert (account_id, zone_id, occurred_at, alert_key) WHERE state <> 'part' AND zone_id <> '';
