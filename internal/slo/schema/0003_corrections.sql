-- Changes of objectives, in the order of their commits. A shard applies those past
-- the last one that it knows, instead of reading its whole state again.
CREATE TABLE objective_change (
    seq          BIGINT PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    zone_id      TEXT   NOT NULL,
    objective_id TEXT   NOT NULL
);

-- The newest seq: one row, locked by each change until its commit.
CREATE TABLE objective_seq (
    id  BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO objective_seq (id, seq) VALUES (1, 0);

-- Times whose counts are left out of budgets and burn rates. zone_id: the property
-- whose objectives it is for, or '' when objectives lists their ids (JSON). state:
-- pending (it waits for approval), active, rejected, removed. detail is the rest as
-- JSON: who asked, who decided, what it gives back.
CREATE TABLE correction (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    zone_id     TEXT   NOT NULL,
    objectives  TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    from_at     BIGINT NOT NULL,
    to_at       BIGINT NOT NULL,
    detail      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);
CREATE INDEX correction_account ON correction (account_id, id);

-- A correction of one objective. The counts in [from_at, to_at), in Unix seconds, are
-- also counted in a series of their own, which the engine subtracts: line of shard, or
-- -1 until the shard has made it.
CREATE TABLE exclusion (
    id            TEXT   PRIMARY KEY,
    account_id    TEXT   NOT NULL,
    zone_id       TEXT   NOT NULL,
    objective_id  TEXT   NOT NULL,
    correction_id TEXT   NOT NULL,
    from_at       BIGINT NOT NULL,
    to_at         BIGINT NOT NULL,
    shard         BIGINT NOT NULL,
    line          BIGINT NOT NULL
);
CREATE INDEX exclusion_account ON exclusion (account_id, objective_id);
CREATE INDEX exclusion_correction ON exclusion (correction_id);

-- What corrections leave out of the period, by correction: [["id", total, bad], ...]
-- as JSON, or ''.
ALTER TABLE reading ADD COLUMN excluded TEXT NOT NULL DEFAULT '';
