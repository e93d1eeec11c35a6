-- active_at: when the member last used a page or operation of the account. mailed_at: when the last invitation mail was
-- sent.
ALTER TABLE member ADD COLUMN active_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN mailed_at BIGINT NOT NULL DEFAULT 0;

-- mailed: the link was sent to the person's address and shown to no one, so its use confirms the address.
ALTER TABLE link ADD COLUMN mailed BOOLEAN NOT NULL DEFAULT FALSE;

-- Mails with links, for their limits. address is the SHA-256 of the address; account_id is empty for a mail that was
-- requested on the sign-in page.
CREATE TABLE sent_mail (
    id         TEXT   PRIMARY KEY,
    account_id TEXT   NOT NULL,
    address    BYTEA  NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX sent_mail_account ON sent_mail (account_id, at);
CREATE INDEX sent_mail_at ON sent_mail (at);

-- closed_at: 0 = the account is open. closed_by: name of the user or token that closed it.
ALTER TABLE account ADD COLUMN closed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN closed_by TEXT NOT NULL DEFAULT '';
