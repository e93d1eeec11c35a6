-- Times are microseconds since 1970; 0 means never. IF NOT EXISTS: the database
-- of notifications has these tables already, in this shape, from its own
-- migrations 0001 to 0006.

-- One message to one destination. state: waiting, delivered, failed, superseded
-- (overtaken in its lane), not_sent, kept. attempts counts all of them, failures
-- those that move the schedule on. subject, payload and labels belong to the
-- feature.
CREATE TABLE IF NOT EXISTS delivery (
    id          TEXT   PRIMARY KEY, -- the same over all attempts
    tenant      TEXT   NOT NULL,
    shard       BIGINT NOT NULL,    -- of the destination
    destination TEXT   NOT NULL,
    kind        TEXT   NOT NULL,    -- of channel
    lane        TEXT   NOT NULL,    -- key of the order within the destination; '' = a lane of its own
    subject     TEXT   NOT NULL,    -- what deliveries are grouped by
    payload     TEXT   NOT NULL,    -- reference to what is sent
    labels      TEXT   NOT NULL,
    replay_of   TEXT   NOT NULL,
    fallback_of TEXT   NOT NULL,    -- the failed delivery whose place it takes
    state       TEXT   NOT NULL,
    why         TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    hold_until  BIGINT NOT NULL,    -- not sent before
    next_at     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS delivery_tenant ON delivery (tenant, id);
CREATE INDEX IF NOT EXISTS delivery_subject ON delivery (subject, id) WHERE subject <> '';
CREATE INDEX IF NOT EXISTS delivery_waiting ON delivery (shard, destination, id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS delivery_failed ON delivery (tenant, ended_at) WHERE state = 'failed';

-- Every attempt, as it went over the wire; secrets are masked.
CREATE TABLE IF NOT EXISTS attempt (
    delivery_id TEXT   NOT NULL,
    n           BIGINT NOT NULL, -- from 1
    tenant      TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    took        BIGINT NOT NULL, -- microseconds
    status      BIGINT NOT NULL, -- HTTP or SMTP; 0 = there was no answer
    outcome     TEXT   NOT NULL, -- delivered, retry, failed, kept
    error       TEXT   NOT NULL,
    request     BYTEA  NOT NULL, -- JSON of headers
    body        BYTEA  NOT NULL,
    response    BYTEA  NOT NULL, -- JSON of headers
    answer      BYTEA  NOT NULL, -- at most 16 KiB of it
    PRIMARY KEY (delivery_id, n)
);

-- With several processes: which one owns the deliveries of a shard, and which
-- processes there are.
CREATE TABLE IF NOT EXISTS shard_owner (
    shard  BIGINT PRIMARY KEY,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS node (
    holder TEXT   PRIMARY KEY,
    until  BIGINT NOT NULL
);

-- How far a replay of a range has come: written with the deliveries that it made,
-- so that a replay that is interrupted continues and repeats none.
CREATE TABLE IF NOT EXISTS replay_progress (
    key      TEXT   PRIMARY KEY,
    until    TEXT   NOT NULL, -- ids before this are replayed
    after    TEXT   NOT NULL, -- id of the last one that was
    replayed BIGINT NOT NULL
);
