-- Times are microseconds since 1970; 0 means never.

-- Where notifications go. Those of kind email come into being with the first
-- policy that names the address. secrets is sealed JSON; empty for none.
-- paused_until: the receiver asked for patience (429, Retry-After).
CREATE TABLE destination (
    id           TEXT   PRIMARY KEY,
    account_id   TEXT   NOT NULL,
    kind         TEXT   NOT NULL, -- webhook, email
    name         TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    secrets      BYTEA  NOT NULL,
    state        TEXT   NOT NULL, -- ok, broken, disabled
    state_why    TEXT   NOT NULL,
    state_at     BIGINT NOT NULL,
    paused_until BIGINT NOT NULL,
    last_success BIGINT NOT NULL,
    last_failure BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    modified_at  BIGINT NOT NULL
);
CREATE INDEX destination_account ON destination (account_id, kind, id);
CREATE UNIQUE INDEX destination_email ON destination (account_id, address) WHERE kind = 'email';

-- filters and mechanisms are JSON as they were written.
CREATE TABLE policy (
    id             TEXT    PRIMARY KEY,
    account_id     TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    enabled        BOOLEAN NOT NULL,
    alert_type     TEXT    NOT NULL,
    filters        TEXT    NOT NULL,
    mechanisms     TEXT    NOT NULL,
    alert_interval TEXT    NOT NULL,
    created_at     BIGINT  NOT NULL,
    modified_at    BIGINT  NOT NULL
);
CREATE INDEX policy_account ON policy (account_id, id);

-- When a policy told of a subject last, for its interval.
CREATE TABLE told (
    policy_id TEXT   NOT NULL,
    subject   TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (policy_id, subject)
);

-- One row a correlation; open_key is the alert that is firing, '' for none.
-- Its lock puts the alerts of a cause in order.
CREATE TABLE cause (
    account_id     TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    open_key       TEXT NOT NULL,
    PRIMARY KEY (account_id, correlation_id)
);

-- Every alert that was accepted. root_key is the alert that opened the cause
-- (itself, for a start, a notice, or an end without a start). state: firing,
-- ended, notice; part of the root's for all others. content is event.Alert as
-- JSON, decision the policies considered.
CREATE TABLE alert (
    alert_key      TEXT   PRIMARY KEY,
    account_id     TEXT   NOT NULL,
    id             TEXT   NOT NULL,
    root_key       TEXT   NOT NULL,
    type           TEXT   NOT NULL,
    event          TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    correlation_id TEXT   NOT NULL,
    severity       TEXT   NOT NULL,
    summary        TEXT   NOT NULL,
    zone_id        TEXT   NOT NULL,
    zone_name      TEXT   NOT NULL,
    environment    TEXT   NOT NULL,
    occurred_at    BIGINT NOT NULL,
    began_at       BIGINT NOT NULL,
    received_at    BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL,
    digest         BYTEA  NOT NULL,
    content        BYTEA  NOT NULL,
    decision       BYTEA  NOT NULL,
    unmatched      TEXT   NOT NULL, -- why nobody was told; '' when a policy matched
    changes        BYTEA  NOT NULL,
    changes_more   BIGINT NOT NULL,
    changes_state  TEXT   NOT NULL, -- none, pending, found
    told_at        BIGINT NOT NULL, -- of the first delivery that arrived
    acked_at       BIGINT NOT NULL,
    acked_by       TEXT   NOT NULL,
    submitted_by   TEXT   NOT NULL
);
CREATE UNIQUE INDEX alert_id ON alert (account_id, id);
CREATE INDEX alert_time ON alert (account_id, occurred_at, alert_key) WHERE state <> 'part';
CREATE INDEX alert_state ON alert (account_id, state, occurred_at, alert_key);
CREATE INDEX alert_type ON alert (account_id, type, occurred_at) WHERE state <> 'part';
CREATE INDEX alert_root ON alert (root_key, alert_key);
CREATE INDEX alert_pending ON alert (received_at) WHERE changes_state = 'pending';

-- One message to one destination. state: waiting, delivered, failed,
-- superseded (the end came before anybody was told), not_sent, kept.
-- attempts counts all of them, failures those that move the schedule on.
CREATE TABLE delivery (
    id             TEXT   PRIMARY KEY, -- the webhook-id: the same over all attempts
    account_id     TEXT   NOT NULL,
    shard          BIGINT NOT NULL,
    alert_key      TEXT   NOT NULL, -- '' for a test message
    root_key       TEXT   NOT NULL,
    correlation_id TEXT   NOT NULL,
    event          TEXT   NOT NULL, -- start, end, notice, test
    policy_id      TEXT   NOT NULL,
    policy_name    TEXT   NOT NULL,
    destination_id TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    mechanism      TEXT   NOT NULL, -- the destination's name or address then
    replay_of      TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    why            TEXT   NOT NULL,
    attempts       BIGINT NOT NULL,
    failures       BIGINT NOT NULL,
    next_at        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL
);
CREATE INDEX delivery_account ON delivery (account_id, id);
CREATE INDEX delivery_alert ON delivery (root_key, id);
CREATE INDEX delivery_waiting ON delivery (shard, id) WHERE state = 'waiting';
CREATE INDEX delivery_destination ON delivery (destination_id, id) WHERE state = 'waiting';
CREATE INDEX delivery_failed ON delivery (account_id, ended_at) WHERE state = 'failed';

-- Every attempt, as it went over the wire; secrets are masked.
CREATE TABLE attempt (
    delivery_id TEXT   NOT NULL,
    n           BIGINT NOT NULL, -- from 1
    account_id  TEXT   NOT NULL,
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

-- Past one machine: which process owns the deliveries of a shard, and which
-- processes there are.
CREATE TABLE shard_owner (
    shard  BIGINT PRIMARY KEY,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);
CREATE TABLE node (
    holder TEXT   PRIMARY KEY,
    until  BIGINT NOT NULL
);
