-- Notes that members write about an alert. A note goes with its alert.
CREATE TABLE alert_note (
    id          TEXT   PRIMARY KEY,
    account_id  TEXT   NOT NULL,
    alert_key   TEXT   NOT NULL REFERENCES alert (alert_key) ON DELETE CASCADE,
    author_id   TEXT   NOT NULL,
    author_name TEXT   NOT NULL,
    text        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX alert_note_alert ON alert_note (alert_key, id);
