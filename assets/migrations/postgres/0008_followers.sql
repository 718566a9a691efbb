-- Which completed runs changed, by the transaction that changed them: what others derive from runs follows this. A follower keeps
-- the oldest transaction that was under way when it looked; whatever it did not see then has that number or a later one.

-- One row for each run that is or was completed, so that it never outgrows the experiments. Run 0 stands for all of them.
CREATE TABLE ml_schema.run_changes (
    experiment_id bigint PRIMARY KEY,
    changed_by    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX run_changes_order ON ml_schema.run_changes (changed_by);
GRANT SELECT ON ml_schema.run_changes TO PUBLIC;

-- Whoever may write to experiments need not be allowed this table.
CREATE FUNCTION ml_schema.note_run_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ml_schema.run_changes (experiment_id)
            SELECT id FROM fresh WHERE status = 'completed' ORDER BY id
            ON CONFLICT (experiment_id) DO UPDATE SET changed_by = excluded.changed_by;
    ELSIF TG_OP = 'UPDATE' THEN
        -- Not each tag and note: what a report is made of.
        INSERT INTO ml_schema.run_changes (experiment_id)
            SELECT f.id FROM fresh f JOIN stale s ON s.id = f.id
            WHERE 'completed' IN (f.status, s.status)
                AND (f.status, f.results, f.model_type, f.dataset, f.runner, f.finished_at)
                    IS DISTINCT FROM (s.status, s.results, s.model_type, s.dataset, s.runner, s.finished_at)
            ORDER BY f.id
            ON CONFLICT (experiment_id) DO UPDATE SET changed_by = excluded.changed_by;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO ml_schema.run_changes (experiment_id)
            SELECT id FROM stale WHERE status = 'completed' ORDER BY id
            ON CONFLICT (experiment_id) DO UPDATE SET changed_by = excluded.changed_by;
    ELSE
        INSERT INTO ml_schema.run_changes (experiment_id) VALUES (0)
            ON CONFLICT (experiment_id) DO UPDATE SET changed_by = excluded.changed_by;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER note_insert AFTER INSERT ON ml_schema.experiments
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.note_run_change();
CREATE TRIGGER note_update AFTER UPDATE ON ml_schema.experiments
    REFERENCING NEW TABLE AS fresh OLD TABLE AS stale FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.note_run_change();
CREATE TRIGGER note_delete AFTER DELETE ON ml_schema.experiments
    REFERENCING OLD TABLE AS stale FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.note_run_change();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON ml_schema.experiments
    FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.note_run_change();
