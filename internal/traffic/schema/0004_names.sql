-- The origins, hostnames and path classes in an account's traffic, which are limited: every one may become a series of
-- objectives. A name that was not seen for two days is deleted.
-- kind: origin, hostname or path_class.
-- seen: hours since 1970.
CREATE TABLE traffic_name (
    account_id TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    seen       BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind, name)
);
CREATE INDEX traffic_name_seen ON traffic_name (seen);
-- Since when, and for how many requests, an account had more names of a kind than it may have.
-- example: one of the names that were left out.
-- recorded_at: of the last audit event about it.
CREATE TABLE traffic_names_over (
    account_id  TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    requests    BIGINT NOT NULL,
    example     TEXT   NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind)
);
