-- Lists of the deliveries of one destination, and of the alerts of one property,
-- the newest first.
CREATE INDEX delivery_destination_id ON delivery (destination, id);
CREATE INDEX alert_zone ON alert (account_id, zone_id, occurred_at, alert_key) WHERE state <> 'part';
