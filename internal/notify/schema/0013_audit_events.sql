-- How far the audit log of an account was read for its policies on audit events. The row
-- is written with the alerts, so that each event becomes one alert.
CREATE TABLE audit_cursor (
    account_id TEXT   PRIMARY KEY,
    next       BIGINT NOT NULL -- position in the log
);
CREATE INDEX policy_audit_events ON policy (account_id) WHERE alert_type = 'belfry_audit_event';
