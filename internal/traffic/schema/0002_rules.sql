-- The rules of an account by which requests are good, bad or unreachable. An account
-- without a row has the default rules.
-- document: JSON, as get-traffic-rules shows it.
CREATE TABLE rules (
    account_id  TEXT   NOT NULL PRIMARY KEY,
    document    TEXT   NOT NULL,
    modified_at BIGINT NOT NULL
);
