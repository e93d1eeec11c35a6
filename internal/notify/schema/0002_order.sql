-- The order of events: starts and ends of a cause are ordered by when they
-- occurred. started_at is the newest start of the open alert; last_key is the
-- alert that ended last, so that a start which arrives after its end finds it.
ALTER TABLE cause ADD COLUMN started_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cause ADD COLUMN last_key TEXT NOT NULL DEFAULT '';

-- A start that a policy's interval holds back: the subject of the interval;
-- '' for all others.
ALTER TABLE delivery ADD COLUMN held_for TEXT NOT NULL DEFAULT '';
