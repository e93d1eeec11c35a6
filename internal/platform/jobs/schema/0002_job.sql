-- Long work. owner and lease say which process runs it; a lease that has
-- passed lets another one take over. Every write of a running job names its
-- owner, so that one that lost its lease changes nothing. A queued job is not
-- begun before lease (a pause after a failure).
CREATE TABLE job (
  id            TEXT   NOT NULL PRIMARY KEY,
  account       TEXT   NOT NULL,
  kind          TEXT   NOT NULL,
  principal     TEXT   NOT NULL,
  input         BYTEA  NOT NULL,
  state         TEXT   NOT NULL,
  progress      BIGINT NOT NULL DEFAULT 0,
  result        BYTEA,
  error_code    BIGINT NOT NULL DEFAULT 0,
  error_message TEXT   NOT NULL DEFAULT '',
  attempts      BIGINT NOT NULL DEFAULT 0,
  owner         TEXT   NOT NULL DEFAULT '',
  lease         BIGINT NOT NULL DEFAULT 0,
  file_name     TEXT   NOT NULL DEFAULT '',
  file_type     TEXT   NOT NULL DEFAULT '',
  file_bytes    BIGINT NOT NULL DEFAULT 0,
  created_at    BIGINT NOT NULL,
  started_at    BIGINT NOT NULL DEFAULT 0,
  ended_at      BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX job_open ON job (created_at) WHERE state IN ('queued', 'running');
CREATE INDEX job_account ON job (account, state);
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at > 0;

-- The file that a job made, in parts. owner keeps the parts of a worker that
-- lost its lease apart from those of the one that ended the job.
CREATE TABLE job_part (
  job   TEXT   NOT NULL,
  owner TEXT   NOT NULL,
  n     BIGINT NOT NULL,
  data  BYTEA  NOT NULL,
  PRIMARY KEY (job, owner, n)
);
