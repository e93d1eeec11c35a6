-- Belfry's own alerts have ids and correlation ids of their own: their ids can
-- be computed from outside, and a team's alert with the same id must neither
-- take the place of one nor open its cause. own is true for an alert of a type
-- that Belfry itself raises.
ALTER TABLE alert ADD COLUMN own BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE alert SET own = TRUE WHERE type = 'belfry_budget_burn';
DROP INDEX alert_id;
CREATE UNIQUE INDEX alert_id ON alert (account_id, id, own);

CREATE TABLE cause_by_owner (
    account_id     TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    own            BOOLEAN NOT NULL,
    open_key       TEXT    NOT NULL,
    last_key       TEXT    NOT NULL,
    started_at     BIGINT  NOT NULL,
    PRIMARY KEY (account_id, correlation_id, own)
);
INSERT INTO cause_by_owner (account_id, correlation_id, own, open_key, last_key, started_at)
SELECT c.account_id, c.correlation_id, COALESCE(a.own, FALSE), c.open_key, c.last_key, c.started_at
FROM cause c LEFT JOIN alert a ON a.alert_key = CASE WHEN c.open_key <> '' THEN c.open_key ELSE c.last_key END;
DROP TABLE cause;
ALTER TABLE cause_by_owner RENAME TO cause;
