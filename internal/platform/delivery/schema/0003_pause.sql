-- Destinations that asked to wait (Retry-After), so that a restart does not forget
-- it. A row whose time is over is deleted with old deliveries.
CREATE TABLE pause (
    destination TEXT   PRIMARY KEY,
    until       BIGINT NOT NULL -- nothing is sent before
);
