-- Times are microseconds since 1970; 0 means never. What is called a user
-- outside is a person here (user is a reserved word). Secrets are kept as SHA-256.

CREATE TABLE account (
    id          TEXT   PRIMARY KEY,
    name        TEXT   NOT NULL,
    external_id TEXT   UNIQUE,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);

-- home: the account whose members made this person and may make sign-in links
-- for it; empty for those that the operators vouch for.
CREATE TABLE person (
    id           TEXT    PRIMARY KEY,
    email        TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    password     TEXT    NOT NULL,
    staff        BOOLEAN NOT NULL,
    home         TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    signed_in_at BIGINT  NOT NULL
);

CREATE TABLE member (
    account_id TEXT   NOT NULL REFERENCES account (id),
    person_id  TEXT   NOT NULL REFERENCES person (id),
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, person_id)
);
CREATE INDEX member_person ON member (person_id, account_id);

-- permissions and ip_allow (CIDRs) are separated by spaces.
CREATE TABLE api_token (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL REFERENCES account (id),
    name         TEXT   NOT NULL,
    hash         BYTEA  NOT NULL UNIQUE,
    permissions  TEXT   NOT NULL,
    ip_allow     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL
);
CREATE INDEX api_token_account ON api_token (account_id, id);

CREATE TABLE zone (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL REFERENCES account (id),
    name        TEXT   NOT NULL,
    environment TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);
CREATE INDEX zone_account ON zone (account_id, id);

-- The folded name (position 0) and the aliases of a zone, unique in the account
-- together: a reference means one zone.
CREATE TABLE zone_ref (
    account_id TEXT   NOT NULL,
    ref        TEXT   NOT NULL,
    zone_id    TEXT   NOT NULL REFERENCES zone (id),
    position   BIGINT NOT NULL,
    PRIMARY KEY (account_id, ref)
);
CREATE INDEX zone_ref_zone ON zone_ref (zone_id, position);

-- One-time links. portal: JSON of what a customers' session may do; empty for a
-- person's sign-in.
CREATE TABLE link (
    hash       BYTEA  PRIMARY KEY,
    person_id  TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    portal     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX link_person ON link (person_id);
CREATE INDEX link_expires ON link (expires_at);

CREATE TABLE session (
    hash       BYTEA  PRIMARY KEY,
    id         TEXT   NOT NULL UNIQUE,
    person_id  TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    portal     TEXT   NOT NULL,
    via_link   BOOLEAN NOT NULL,
    ip         TEXT   NOT NULL,
    user_agent TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_person ON session (person_id, id);
CREATE INDEX session_expires ON session (expires_at);
