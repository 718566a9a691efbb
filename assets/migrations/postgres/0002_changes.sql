-- Tells who listens on `labtop_changes` that experiments or batches changed: once per statement that touched a row, and what is
-- told twice in one transaction arrives once. Metric points are told of by the heartbeat written along with each lot of them.

CREATE FUNCTION ml_schema.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' OR EXISTS (SELECT FROM changed) THEN
        PERFORM pg_notify('labtop_changes', '');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tell_insert AFTER INSERT ON ml_schema.experiments
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_update AFTER UPDATE ON ml_schema.experiments
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_delete AFTER DELETE ON ml_schema.experiments
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_truncate AFTER TRUNCATE ON ml_schema.experiments
    FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_insert AFTER INSERT ON ml_schema.batches
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_update AFTER UPDATE ON ml_schema.batches
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_delete AFTER DELETE ON ml_schema.batches
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_truncate AFTER TRUNCATE ON ml_schema.batches
    FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();
