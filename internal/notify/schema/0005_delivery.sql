-- Deliveries moved into the engine of internal/platform/delivery, which owns the
-- tables delivery, attempt, shard_owner and node from here on: this file brings
-- them into the shape of its schema. What only notifications know of a delivery
-- (event, policy, name of the destination, subject of an interval) is JSON in
-- labels.
CREATE TABLE delivery_moved (
    id          TEXT   PRIMARY KEY,
    tenant      TEXT   NOT NULL,
    shard       BIGINT NOT NULL,
    destination TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    lane        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    payload     TEXT   NOT NULL,
    labels      TEXT   NOT NULL,
    replay_of   TEXT   NOT NULL,
    fallback_of TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    why         TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    hold_until  BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);
INSERT INTO delivery_moved (id, tenant, shard, destination, kind, lane, subject, payload, labels, replay_of, fallback_of,
    state, why, attempts, failures, hold_until, next_at, created_at, ended_at)
SELECT id, account_id, shard, destination_id, kind, correlation_id, root_key, alert_key,
    '{"event":"' || event
        || '","policy_id":"' || policy_id
        || '","policy":"' || replace(replace(policy_name, '\', '\\'), '"', '\"')
        || '","mechanism":"' || replace(replace(mechanism, '\', '\\'), '"', '\"')
        || '","held_for":"' || replace(replace(held_for, '\', '\\'), '"', '\"') || '"}',
    replay_of, '', state, why, attempts, failures,
    CASE WHEN held_for <> '' THEN next_at ELSE 0 END, next_at, created_at, ended_at
FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_moved RENAME TO delivery;
ALTER TABLE attempt RENAME COLUMN account_id TO tenant;
