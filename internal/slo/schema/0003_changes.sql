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
