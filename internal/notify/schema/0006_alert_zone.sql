-- The alerts of one property, the newest first.
CREATE INDEX alert_zone ON alert (account_id, zone_id, occurred_at, alert_key) WHERE state <> 'part';
