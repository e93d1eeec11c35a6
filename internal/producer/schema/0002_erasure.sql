-- The account that a refused event names, so that an erasure finds it. Rows of
-- before have ''; they are gone after 30 days.
ALTER TABLE reject ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE INDEX reject_account ON reject (account);

-- When values of an account's events were erased last: what was refused before
-- and is read from the bus later is kept without its payload.
CREATE TABLE erasure (
    account TEXT   PRIMARY KEY,
    at      BIGINT NOT NULL
);
