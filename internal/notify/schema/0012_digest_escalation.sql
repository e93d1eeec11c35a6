-- Alerts that wait for the digest of a policy. A row is deleted when the digest is made.
CREATE TABLE digest_item (
    policy_id  TEXT   NOT NULL,
    alert_key  TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    due_at     BIGINT NOT NULL,
    PRIMARY KEY (policy_id, alert_key)
);
CREATE INDEX digest_item_due ON digest_item (due_at);

-- One message about several alerts. alert_keys is JSON: the first of them; total counts
-- all.
CREATE TABLE digest (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    alert_type TEXT   NOT NULL,
    alert_keys TEXT   NOT NULL,
    total      BIGINT NOT NULL
);

-- Steps of escalations that are to come. A row is deleted when it is due.
CREATE TABLE escalation (
    alert_key  TEXT   NOT NULL, -- that opened the incident
    policy_id  TEXT   NOT NULL,
    step       BIGINT NOT NULL, -- from 0
    account_id TEXT   NOT NULL,
    due_at     BIGINT NOT NULL,
    PRIMARY KEY (alert_key, policy_id, step)
);
CREATE INDEX escalation_due ON escalation (due_at);
