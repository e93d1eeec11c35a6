-- Times are microseconds since 1970; 0 means never.

-- Parts of the platform that customers know by name. A deleted component stays as a row, so that old incidents keep
-- its name. location is the code of a site, such as AMS.
CREATE TABLE component (
    id          TEXT   PRIMARY KEY,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    group_name  TEXT   NOT NULL,
    location    TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    deleted_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX component_name ON component (group_name, name) WHERE deleted_at = 0;

-- An incident, or a maintenance: its start is the scheduled one until it begins. resolved_at is the end of both.
CREATE TABLE incident (
    id              TEXT    PRIMARY KEY,
    kind            TEXT    NOT NULL, -- incident, maintenance
    name            TEXT    NOT NULL,
    impact          TEXT    NOT NULL, -- none, minor, major, critical
    status          TEXT    NOT NULL,
    started_at      BIGINT  NOT NULL,
    scheduled_until BIGINT  NOT NULL,
    resolved_at     BIGINT  NOT NULL,
    automatic       BOOLEAN NOT NULL, -- begins and ends as scheduled
    postmortem      TEXT    NOT NULL,
    created_by      TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    modified_at     BIGINT  NOT NULL
);
CREATE INDEX incident_time ON incident (started_at, id);
CREATE INDEX incident_open ON incident (started_at, id) WHERE resolved_at = 0;

-- The components of an incident with their status in it, which is operational after its end.
CREATE TABLE affected (
    incident_id  TEXT NOT NULL REFERENCES incident (id),
    component_id TEXT NOT NULL REFERENCES component (id),
    status       TEXT NOT NULL,
    PRIMARY KEY (incident_id, component_id)
);
CREATE INDEX affected_component ON affected (component_id, incident_id);

CREATE TABLE incident_update (
    id          TEXT   PRIMARY KEY,
    incident_id TEXT   NOT NULL REFERENCES incident (id),
    status      TEXT   NOT NULL,
    message     TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    author      TEXT   NOT NULL,
    components  TEXT   NOT NULL, -- JSON: the statuses that the update changed
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);
CREATE INDEX incident_update_time ON incident_update (incident_id, at, id);

-- The times in which an incident made a component worse than operational; to_at 0 = it still does.
CREATE TABLE outage (
    incident_id  TEXT   NOT NULL REFERENCES incident (id),
    component_id TEXT   NOT NULL REFERENCES component (id),
    from_at      BIGINT NOT NULL,
    status       TEXT   NOT NULL,
    to_at        BIGINT NOT NULL,
    PRIMARY KEY (incident_id, component_id, from_at)
);
CREATE INDEX outage_end ON outage (to_at, component_id);

-- An update on its way to all accounts or all subscribers. after is the last recipient that was served: it moves in
-- the transaction that stores the messages, so that an interrupted broadcast goes on where it was.
CREATE TABLE broadcast (
    id          TEXT   PRIMARY KEY,
    incident_id TEXT   NOT NULL,
    update_id   TEXT   NOT NULL,
    audience    TEXT   NOT NULL, -- accounts, subscribers
    content     BYTEA  NOT NULL, -- JSON of what is sent
    after       TEXT   NOT NULL,
    sent        BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    done_at     BIGINT NOT NULL
);
CREATE INDEX broadcast_open ON broadcast (audience, id) WHERE done_at = 0;
CREATE INDEX broadcast_incident ON broadcast (incident_id, id);

-- digest is a keyed hash of kind and address; shown is the masked address; secrets is sealed JSON of the address and,
-- of a webhook, its signing secret. network is a keyed hash of the network from which it was asked for.
CREATE TABLE subscriber (
    id           TEXT   PRIMARY KEY,
    kind         TEXT   NOT NULL, -- email, webhook
    digest       BYTEA  NOT NULL UNIQUE,
    shown        TEXT   NOT NULL,
    secrets      BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL
);
CREATE INDEX subscriber_confirmed ON subscriber (id) WHERE confirmed_at > 0;
CREATE INDEX subscriber_pending ON subscriber (created_at) WHERE confirmed_at = 0;

-- Requests of the last hour, for limits that hold over all processes.
CREATE TABLE subscription_request (
    id      TEXT   PRIMARY KEY,
    network BYTEA  NOT NULL,
    digest  BYTEA  NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX subscription_request_network ON subscription_request (network, at);
CREATE INDEX subscription_request_digest ON subscription_request (digest, at);
CREATE INDEX subscription_request_time ON subscription_request (at);

-- Corrections of objectives that an operator has requested because of an incident. target is a property or an objective.
CREATE TABLE proposal (
    incident_id   TEXT   NOT NULL REFERENCES incident (id),
    account_id    TEXT   NOT NULL,
    target        TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    correction_id TEXT   NOT NULL,
    state         TEXT   NOT NULL, -- as it was requested: active, pending
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (incident_id, account_id, target)
);

-- Texts that the form of an update offers.
CREATE TABLE update_template (
    position BIGINT PRIMARY KEY,
    name     TEXT   NOT NULL,
    status   TEXT   NOT NULL,
    message  TEXT   NOT NULL
);

CREATE TABLE status_page (
    one         BIGINT PRIMARY KEY CHECK (one = 1),
    title       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    support_url TEXT   NOT NULL
);
INSERT INTO status_page (one, title, description, support_url) VALUES (1, 'Status', '', '');

-- Moved by every change that the public page shows.
CREATE TABLE clock (
    id BIGINT NOT NULL PRIMARY KEY,
    n  BIGINT NOT NULL
);
INSERT INTO clock (id, n) VALUES (1, 0);
