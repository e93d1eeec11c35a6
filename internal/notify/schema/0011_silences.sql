-- A time in which matching alerts are not sent. filters is JSON as it was written; the
-- empty policy_id and alert_type match all. resumed_at: when the alerts that it had
-- silenced and that still fired were evaluated again, after its end.
CREATE TABLE silence (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    policy_id   TEXT   NOT NULL,
    alert_type  TEXT   NOT NULL,
    filters     TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    created_by  TEXT   NOT NULL, -- name
    starts_at   BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL,
    resumed_at  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);
CREATE INDEX silence_account ON silence (account_id, ends_at, id);
CREATE INDEX silence_ended ON silence (ends_at) WHERE resumed_at = 0;

-- Rules of a policy beside filters and interval, as JSON: minimum severity, hours,
-- digest, escalation.
ALTER TABLE policy ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
