-- SQLite has one process, which need not poll: no index delivery_recent.
SELECT 1;
