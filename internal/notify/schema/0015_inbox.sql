-- The inbox of each member: one entry for an incident. state: firing, ended, notice. changed_at
-- moves with every change, for live readers. Times are microseconds; 0 = never.
CREATE TABLE inbox_entry (
    id            TEXT   PRIMARY KEY, -- in the order of time
    account_id    TEXT   NOT NULL,
    member_id     TEXT   NOT NULL, -- or user:ID, of a customer's own user
    root_key      TEXT   NOT NULL, -- of the alert that opened the incident
    alert_id      TEXT   NOT NULL,
    alert_type    TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    summary       TEXT   NOT NULL,
    severity      TEXT   NOT NULL,
    zone_name     TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    read_at       BIGINT NOT NULL,
    archived_at   BIGINT NOT NULL,
    snoozed_until BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX inbox_entry_incident ON inbox_entry (account_id, member_id, root_key);
CREATE INDEX inbox_entry_member ON inbox_entry (account_id, member_id, id);
CREATE INDEX inbox_entry_changed ON inbox_entry (account_id, member_id, changed_at);

-- A destination of the kind inbox comes into being with the first policy that names it.
CREATE UNIQUE INDEX destination_inbox ON destination (account_id, address) WHERE kind = 'inbox';
