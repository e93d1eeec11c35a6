-- Saved views of lists: the filters and the sort order of a list under a name. owner_id is the id of the member or token
-- whose view it is; '' = shared with everyone in the account. list is the path of the list below the account's.
CREATE TABLE list_view (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL REFERENCES account (id),
    list       TEXT   NOT NULL,
    owner_id   TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    query      TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX list_view_name ON list_view (account_id, list, owner_id, name);
CREATE INDEX list_view_owner ON list_view (owner_id);
