-- Who gets the monthly report of an account by mail. addresses is a JSON list. month is the newest month ("2026-11")
-- that was mailed, or that had ended when the schedule was switched on: later ones are sent.
CREATE TABLE report_schedule (
    account_id  TEXT    PRIMARY KEY,
    enabled     BOOLEAN NOT NULL,
    addresses   TEXT    NOT NULL,
    month       TEXT    NOT NULL,
    modified_at BIGINT  NOT NULL
);
CREATE INDEX report_schedule_month ON report_schedule (month);

-- Reports that are to be sent, one a recipient. A row is deleted when the mail server has accepted the mail. next_at is
-- the time of the next attempt; while a process sends it, the end of its lease.
CREATE TABLE report_mail (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    month      TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    holder     TEXT   NOT NULL DEFAULT '',
    next_at    BIGINT NOT NULL,
    UNIQUE (account_id, month, address)
);
CREATE INDEX report_mail_next ON report_mail (next_at);
