-- Times are microseconds since 1970; 0 means never.

-- A deleted team stays as a row, so that the record's ids keep a name.
CREATE TABLE team (
    id            TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL,
    contact_email TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    modified_at   BIGINT NOT NULL,
    deleted_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL -- of its catalogue; 0 = none applied yet
);
CREATE UNIQUE INDEX team_name ON team (name) WHERE deleted_at = 0;

-- hash is the SHA-256 of the value; ip_allow (CIDRs) is separated by spaces.
CREATE TABLE token (
    id           TEXT   PRIMARY KEY,
    team_id      TEXT   NOT NULL REFERENCES team (id),
    name         TEXT   NOT NULL,
    hash         BYTEA  NOT NULL UNIQUE,
    ip_allow     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX token_team ON token (team_id, id);

-- Every version of a team's catalogue, as it was written.
CREATE TABLE catalogue (
    team_id    TEXT   NOT NULL REFERENCES team (id),
    version    BIGINT NOT NULL,
    format     TEXT   NOT NULL,
    content    BYTEA  NOT NULL,
    applied_at BIGINT NOT NULL,
    by_type    TEXT   NOT NULL,
    by_id      TEXT   NOT NULL,
    by_name    TEXT   NOT NULL,
    PRIMARY KEY (team_id, version)
);

-- Which team has a name now: products, alert types and topics are one of their
-- kind in the installation.
CREATE TABLE owned (
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    team_id TEXT NOT NULL REFERENCES team (id),
    PRIMARY KEY (kind, name)
);
CREATE INDEX owned_team ON owned (team_id, kind, name);

-- Pointers that were personal in any version. Nothing leaves this table: the
-- record's format adds committed fields and never removes one.
CREATE TABLE personal (
    product  TEXT NOT NULL,
    resource TEXT NOT NULL,
    pointer  TEXT NOT NULL,
    PRIMARY KEY (product, resource, pointer)
);

-- One row, raised by every change of a catalogue: what the processes poll, and
-- what two changes at the same time wait for.
CREATE TABLE clock (
    id BIGINT PRIMARY KEY,
    n  BIGINT NOT NULL
);
INSERT INTO clock (id, n) VALUES (1, 0);

-- Refused events, once for each that may see them. scope: producer, account, or
-- operators (owner empty) for those without a valid account.
CREATE TABLE reject (
    scope   TEXT   NOT NULL,
    owner   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    id      TEXT   NOT NULL,
    code    BIGINT NOT NULL, -- of the first fault
    product TEXT   NOT NULL,
    content BYTEA  NOT NULL, -- event.Reject as JSON
    PRIMARY KEY (scope, owner, at, id)
);
CREATE INDEX reject_at ON reject (at);

-- Faults by hour, for summaries: a stream of rejects is longer than what is kept.
CREATE TABLE fault (
    scope   TEXT   NOT NULL,
    owner   TEXT   NOT NULL,
    hour    BIGINT NOT NULL, -- since 1970
    code    BIGINT NOT NULL, -- 0 = rejected events, whatever their faults
    pointer TEXT   NOT NULL,
    product TEXT   NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (scope, owner, hour, code, pointer, product)
);
CREATE INDEX fault_hour ON fault (hour);
