-- Alerts that are firing in another system, which repeats them: Prometheus, Alertmanager,
-- Grafana. fingerprint is a hash of the labels; alert_id is the alert that was stored for
-- the start. An alert that is not repeated before until_at ends; 0 = it waits for its end.
CREATE TABLE reported (
    account_id  TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    alert_id    TEXT   NOT NULL,
    until_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, fingerprint)
);
CREATE INDEX reported_until ON reported (until_at) WHERE until_at > 0;
