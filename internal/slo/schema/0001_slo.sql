-- What is promised. kind: zone, origin, hostname or path_class; value names the
-- one of it ('' for zone); config is the rest as JSON.
CREATE TABLE objective (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    zone_id     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    value       TEXT   NOT NULL,
    sli         TEXT   NOT NULL,
    config      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    UNIQUE (account_id, name)
);
CREATE INDEX objective_account ON objective (account_id, id);

-- A partition of the topic of counts. revision: raised whenever an objective
-- changes; version: raised by every batch, so that an owner that was replaced
-- without noticing stores nothing; clock: end of the newest tick, Unix seconds.
CREATE TABLE shard (
    id       BIGINT PRIMARY KEY,
    revision BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    clock    BIGINT NOT NULL
);

-- What is counted apart, by dense ids. first_at: the tick of its first count.
CREATE TABLE line (
    shard      BIGINT NOT NULL,
    id         BIGINT NOT NULL,
    account_id TEXT   NOT NULL,
    zone_id    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    sli        TEXT   NOT NULL,
    first_at   BIGINT NOT NULL,
    PRIMARY KEY (shard, id)
);
CREATE INDEX line_zone ON line (account_id, zone_id);

-- What all lines counted in a stretch of time (column.go), in chunks by line.
CREATE TABLE slo_column (
    shard BIGINT NOT NULL,
    level BIGINT NOT NULL,
    start BIGINT NOT NULL,
    chunk BIGINT NOT NULL,
    data  BYTEA  NOT NULL,
    PRIMARY KEY (shard, level, start, chunk)
);

-- Batches that were counted, so that a repeat is not. at: by the bus, seconds.
CREATE TABLE seen (
    shard BIGINT NOT NULL,
    id    BYTEA  NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (shard, id)
);
CREATE INDEX seen_at ON seen (shard, at);

-- The sums of an objective's line as of the last batch that changed them.
CREATE TABLE reading (
    objective_id TEXT   PRIMARY KEY,
    shard        BIGINT NOT NULL,
    line         BIGINT NOT NULL,
    clock        BIGINT NOT NULL,
    data_at      BIGINT NOT NULL,
    sums         TEXT   NOT NULL
);

-- Pairs that fire, or are covered by a faster one that does.
CREATE TABLE standing (
    objective_id TEXT    NOT NULL,
    pair         TEXT    NOT NULL,
    shard        BIGINT  NOT NULL,
    state        BIGINT  NOT NULL,
    since        BIGINT  NOT NULL,
    began        BIGINT  NOT NULL,
    told         BOOLEAN NOT NULL,
    PRIMARY KEY (objective_id, pair)
);
CREATE INDEX standing_shard ON standing (shard);

-- What began and ended to fire, kept for a year.
CREATE TABLE transition (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    objective_id TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    detail       TEXT   NOT NULL
);
CREATE INDEX transition_objective ON transition (objective_id, at, id);
CREATE INDEX transition_account ON transition (account_id, at);
CREATE INDEX transition_at ON transition (at);
