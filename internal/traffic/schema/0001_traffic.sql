-- Requests with an Idempotency-Key whose counts were accepted: a repetition is
-- answered as the first one was, and counts nothing.
-- scope: the account's id, or producer:<id> for counts of many accounts.
-- hash: SHA-256 of the request; another request under the same key is refused.
CREATE TABLE accepted (
    scope     TEXT   NOT NULL,
    idem_key  TEXT   NOT NULL,
    hash      BYTEA  NOT NULL,
    answer    BYTEA  NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (scope, idem_key)
);
CREATE INDEX accepted_at ON accepted (at);
