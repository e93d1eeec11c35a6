-- confirmed_by: how the person's address was confirmed. mail: a link in a mail to
-- it was opened; page: the link was shown on a page, because the installation had
-- no mail server; sign_in: the person had signed in before addresses were confirmed
-- by mail. Empty = not confirmed. For people whom the operators added it says
-- nothing: the operators vouch for their addresses.
ALTER TABLE person ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE person ADD COLUMN confirmed_by TEXT NOT NULL DEFAULT '';
UPDATE person SET confirmed_at = signed_in_at, confirmed_by = 'sign_in' WHERE home <> '' AND signed_in_at <> 0;

-- Confirmation mails. address is the SHA-256 of the address: it limits the mails
-- to one address, also after the person was deleted. used_at: 0 = not yet.
CREATE TABLE confirmation (
    hash       BYTEA  PRIMARY KEY,
    account_id TEXT   NOT NULL,
    person_id  TEXT   NOT NULL,
    address    BYTEA  NOT NULL,
    via        TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);
CREATE INDEX confirmation_account ON confirmation (account_id, created_at);
CREATE INDEX confirmation_expires ON confirmation (expires_at);
