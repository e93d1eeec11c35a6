-- Who made a token, as they were named then; empty for tokens that are older than this.
ALTER TABLE api_token ADD COLUMN created_by_type TEXT NOT NULL DEFAULT '';
ALTER TABLE api_token ADD COLUMN created_by_id TEXT NOT NULL DEFAULT '';
ALTER TABLE api_token ADD COLUMN created_by_name TEXT NOT NULL DEFAULT '';
