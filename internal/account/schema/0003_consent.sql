-- An address belongs to one person in each home: the person that an account
-- invites is that account's own, and stands in nobody's way elsewhere.
CREATE TABLE person_by_home (
    id           TEXT    PRIMARY KEY,
    email        TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    password     TEXT    NOT NULL,
    staff        BOOLEAN NOT NULL,
    home         TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    signed_in_at BIGINT  NOT NULL,
    UNIQUE (email, home)
);
INSERT INTO person_by_home (id, email, name, password, staff, home, created_at, signed_in_at)
    SELECT id, email, name, password, staff, home, created_at, signed_in_at FROM person;

-- accepted_at: when the person agreed to belong to the account; 0 = not yet.
-- Memberships from before this was asked stay.
-- entered_at: when a session of the person entered the account last; 0 = never.
CREATE TABLE member_by_consent (
    account_id  TEXT   NOT NULL REFERENCES account (id),
    person_id   TEXT   NOT NULL REFERENCES person_by_home (id),
    role        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    entered_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, person_id)
);
INSERT INTO member_by_consent (account_id, person_id, role, created_at, accepted_at, entered_at)
    SELECT account_id, person_id, role, created_at, created_at, 0 FROM member;
DROP TABLE member;
DROP TABLE person;
ALTER TABLE person_by_home RENAME TO person;
ALTER TABLE member_by_consent RENAME TO member;
CREATE INDEX member_person ON member (person_id, account_id);

-- The accounts that a session has entered: their records have its sign-in.
CREATE TABLE session_account (
    session_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    PRIMARY KEY (session_id, account_id)
);

-- The networks from which a person has signed in, for the throttle.
CREATE TABLE known_network (
    person_id TEXT   NOT NULL,
    network   TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (person_id, network)
);

-- Who made a customers' session or its link ("token ID", "user ID", ...; empty =
-- not known), until when it may last (0 = no bound) and from which networks it
-- may be used (CIDRs separated by spaces; empty = anywhere).
ALTER TABLE link ADD COLUMN maker_type TEXT NOT NULL DEFAULT '';
ALTER TABLE link ADD COLUMN maker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE link ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE link ADD COLUMN bound_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN maker_type TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN maker_id TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN networks TEXT NOT NULL DEFAULT '';
CREATE INDEX session_of_account ON session (account_id, id);
