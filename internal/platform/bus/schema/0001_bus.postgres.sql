-- The position of a consumer group, kept in the database of the feature that
-- consumes, so that it moves in the transaction of the rows it produced.
-- next: offset of the first record that is not stored yet.
-- epoch: raised by every claim; an owner with an older one is fenced.
-- crc: CRC-32C of the record at next - 1; NULL when nothing was stored since a restart.
CREATE TABLE bus_offset (
    grp        TEXT   NOT NULL,
    topic      TEXT   NOT NULL,
    partition  BIGINT NOT NULL,
    next       BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    crc        BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (grp, topic, partition)
);

-- Messages that were decided in a transaction and are not published yet.
CREATE TABLE outbox (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      TEXT   NOT NULL,
    partition  BIGINT,
    msg_key    BYTEA,
    value      BYTEA,
    headers    BYTEA,
    at         BIGINT NOT NULL
);

-- The one relay that may drain the outbox, until its lease ends.
CREATE TABLE outbox_lease (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);
