-- The last values of cumulative metrics, by what sends them (the resource of OTLP, job
-- and instance of Prometheus): a counter counts by its differences. A row that was not
-- used for two days is deleted; its series then begin again.
-- state: JSON, the series of the source.
CREATE TABLE source (
    account_id TEXT   NOT NULL,
    source     BYTEA  NOT NULL,
    state      BYTEA  NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account_id, source)
);
CREATE INDEX source_at ON source (at);
