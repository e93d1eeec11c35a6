-- One row for each Idempotency-Key of a principal. While the first request
-- runs, answer is NULL and expires is the end of its lease; afterwards answer is
-- the sealed answer and expires is 24 hours after it.
CREATE TABLE idempotency (
  principal TEXT   NOT NULL,
  idem_key  TEXT   NOT NULL,
  hash      BYTEA  NOT NULL,
  owner     TEXT   NOT NULL,
  expires   BIGINT NOT NULL,
  answer    BYTEA,
  PRIMARY KEY (principal, idem_key)
);
CREATE INDEX idempotency_expires ON idempotency (expires);
