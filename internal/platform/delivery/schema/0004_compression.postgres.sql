-- Messages of more than two KB are compressed: by lz4, which needs a tenth of the time
-- of pglz. A server that was built without lz4, or is older than 14, keeps pglz.
DO $$
BEGIN
    EXECUTE 'ALTER TABLE attempt ALTER COLUMN body SET COMPRESSION lz4';
    EXECUTE 'ALTER TABLE attempt ALTER COLUMN answer SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
    NULL;
END
$$;
