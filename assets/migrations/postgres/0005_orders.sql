-- What the experiments table is walked along, and what tells that an order kept in memory still holds.

-- Goes on with every statement that may have changed a run or a point, before that statement's transaction can be committed:
-- whoever sees the same number in two looks, with no writer under way before the first, saw the same runs.
CREATE SEQUENCE ml_schema.changes;
SELECT nextval('ml_schema.changes');
GRANT SELECT ON SEQUENCE ml_schema.changes TO PUBLIC;

-- Whoever may write to the tables need not be allowed the sequence.
CREATE FUNCTION ml_schema.count_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM nextval('ml_schema.changes');
    RETURN NULL;
END $$;

CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ml_schema.experiments
    FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.count_change();
CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ml_schema.experiment_metrics
    FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.count_change();
-- Rows that replication or a restore brings in are changes too.
ALTER TABLE ml_schema.experiments ENABLE ALWAYS TRIGGER count_change;
ALTER TABLE ml_schema.experiment_metrics ENABLE ALWAYS TRIGGER count_change;

-- The orders that people use most, as order_sql writes them: 40 MB each at a million runs. A row of an index has no place for
-- more of a text.
CREATE INDEX experiments_by_accuracy ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif(accuracy, 'NaN')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_inference_time ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif(inference_time_ms, 'NaN')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_training_time ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif(training_time_seconds, 'NaN')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_created ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), created_at DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_name ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif((left(name, 500) COLLATE "C"), '')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_model ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif((left(model_type, 500) COLLATE "C"), '')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_dataset ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif((left(dataset, 500) COLLATE "C"), '')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_status ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif((left(status, 500) COLLATE "C"), '')) DESC NULLS LAST, id DESC
) WHERE archived_at IS NULL;
-- Turned around: of the few models and statuses each has too many runs to put those in order first.
CREATE INDEX experiments_by_model_upwards ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif((left(model_type, 500) COLLATE "C"), '')) NULLS FIRST, id DESC
) WHERE archived_at IS NULL;
CREATE INDEX experiments_by_status_upwards ON ml_schema.experiments (
    (status IN ('failed', 'cancelled', 'interrupted')), (nullif((left(status, 500) COLLATE "C"), '')) NULLS FIRST, id DESC
) WHERE archived_at IS NULL;

-- TRUNCATE has no rows to look at, and failed for want of them.
CREATE OR REPLACE FUNCTION ml_schema.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        IF NOT EXISTS (SELECT FROM changed) THEN
            RETURN NULL;
        END IF;
    END IF;
    PERFORM pg_notify('labtop_changes', '');
    RETURN NULL;
END $$;
