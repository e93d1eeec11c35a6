-- What is inside each 16 full tiles (4,096 events): a second level of digests,
-- which keeps the search for a rare value in a large log away from most of the first.
-- Those of an account are complete from the first on: span n is there only if all before it are.
CREATE TABLE span (account BIGINT NOT NULL, n BIGINT NOT NULL, min_at BIGINT NOT NULL, max_at BIGINT NOT NULL, bloom BYTEA NOT NULL, PRIMARY KEY (account, n));
CREATE INDEX span_at ON span (account, max_at, n);
