-- The record. Rows lie in the order of their arrival (pos), so that an append
-- dirties the end of each table; small indexes find them by account.

CREATE TABLE account (key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE);

-- Kept for ever: de-duplicates and proves.
CREATE TABLE leaf (pos BIGINT PRIMARY KEY, account BIGINT NOT NULL, seq BIGINT NOT NULL, id BYTEA NOT NULL, hash BYTEA NOT NULL);
CREATE UNIQUE INDEX leaf_seq ON leaf (account, seq);
CREATE UNIQUE INDEX leaf_id ON leaf (account, id);

-- Insert-only: the exact hashed bytes.
CREATE TABLE entry (pos BIGINT PRIMARY KEY, envelope BYTEA NOT NULL);

-- Erasable and derived: what opens the envelope, and what reads are found by.
CREATE TABLE reading (pos BIGINT PRIMARY KEY, account BIGINT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL,
  actor BIGINT NOT NULL, resource BIGINT NOT NULL, product BIGINT NOT NULL, action BIGINT NOT NULL, zone BIGINT NOT NULL,
  seed BYTEA, salts BYTEA, openings BYTEA NOT NULL);
CREATE INDEX reading_at ON reading (account, at, seq);

-- One row an account, locked by whoever appends.
CREATE TABLE head (account BIGINT PRIMARY KEY, size BIGINT NOT NULL, recorded_at BIGINT NOT NULL, frontier BYTEA NOT NULL);

-- Full tiles of 256 hashes (C2SP tlog-tiles), with the root of each.
CREATE TABLE tile (account BIGINT NOT NULL, level BIGINT NOT NULL, n BIGINT NOT NULL, root BYTEA NOT NULL, hashes BYTEA NOT NULL, PRIMARY KEY (account, level, n));

-- What is inside each full tile of 256 events: a Bloom filter of its facets.
CREATE TABLE digest (account BIGINT NOT NULL, n BIGINT NOT NULL, min_at BIGINT NOT NULL, max_at BIGINT NOT NULL, bloom BYTEA NOT NULL, PRIMARY KEY (account, n));
CREATE INDEX digest_at ON digest (account, max_at, n);

-- Roll-ups for summaries and coverage, in the transaction of their events.
CREATE TABLE rollup (account BIGINT NOT NULL, day BIGINT NOT NULL, product TEXT NOT NULL, action TEXT NOT NULL, actor_type TEXT NOT NULL, n BIGINT NOT NULL,
  PRIMARY KEY (account, day, product, action, actor_type));

-- What was signed last, to be compared with what is kept outside the database.
CREATE TABLE signed (account BIGINT PRIMARY KEY, size BIGINT NOT NULL, root BYTEA NOT NULL, at BIGINT NOT NULL, note TEXT NOT NULL);

-- The installation's signing key, sealed under the master key.
CREATE TABLE signing_key (id TEXT PRIMARY KEY, name TEXT NOT NULL, vkey TEXT NOT NULL, sealed BYTEA NOT NULL, created_at BIGINT NOT NULL);

CREATE TABLE counter (name TEXT PRIMARY KEY, next BIGINT NOT NULL);
INSERT INTO counter (name, next) VALUES ('pos', 1);

CREATE FUNCTION record_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the record is append-only'; END $$;
CREATE TRIGGER leaf_is_kept BEFORE DELETE OR UPDATE OR TRUNCATE ON leaf FOR EACH STATEMENT EXECUTE FUNCTION record_is_kept();
CREATE TRIGGER entry_is_kept BEFORE DELETE OR UPDATE OR TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION record_is_kept();
