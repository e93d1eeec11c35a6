-- Until when a person has seen the news of an account. The rows of a deleted
-- person are deleted with it.
CREATE TABLE news_seen (
    person_id  TEXT   NOT NULL,
    account_id TEXT   NOT NULL,
    until_at   BIGINT NOT NULL,
    PRIMARY KEY (person_id, account_id)
);

-- What happened once in an account, such as the first proof that was checked, and
-- what its members have dismissed.
CREATE TABLE account_mark (
    account_id TEXT   NOT NULL REFERENCES account (id),
    name       TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account_id, name)
);
