-- Experiments, their curves, batches, the outbox. No unique indexes: the one writer keeps keys unique, and closing the
-- file after a small write costs ten times as much with them. Times are UTC.
CREATE SCHEMA IF NOT EXISTS ml_schema;

CREATE SEQUENCE ml_schema.experiment_ids;
CREATE TABLE ml_schema.experiments (
    id BIGINT NOT NULL DEFAULT nextval('ml_schema.experiment_ids'),
    key UUID NOT NULL DEFAULT uuid(),
    name VARCHAR NOT NULL,
    model_type VARCHAR NOT NULL DEFAULT '',
    dataset VARCHAR NOT NULL DEFAULT '',
    description VARCHAR DEFAULT '',
    parameters JSON DEFAULT '{}',
    status VARCHAR NOT NULL DEFAULT 'running',
    results JSON DEFAULT '{}',
    accuracy DOUBLE,
    precision DOUBLE,
    recall DOUBLE,
    f1_score DOUBLE,
    training_time_seconds DOUBLE,
    inference_time_ms DOUBLE,
    memory_usage_mb DOUBLE,
    tags VARCHAR[] NOT NULL DEFAULT [],
    note VARCHAR NOT NULL DEFAULT '',
    runner VARCHAR NOT NULL DEFAULT '',
    seed BIGINT,
    attempt INTEGER NOT NULL DEFAULT 1,
    batch_id BIGINT,
    trial BIGINT,
    created_at TIMESTAMP NOT NULL DEFAULT make_timestamp(epoch_us(now())),
    started_at TIMESTAMP,
    finished_at TIMESTAMP,
    heartbeat_at TIMESTAMP,
    worker VARCHAR,
    host VARCHAR,
    command VARCHAR,
    git_commit VARCHAR,
    archived_at TIMESTAMP,
    error VARCHAR
);

CREATE TABLE ml_schema.experiment_metrics (
    experiment_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);

CREATE SEQUENCE ml_schema.batch_ids;
CREATE TABLE ml_schema.batches (
    id BIGINT NOT NULL DEFAULT nextval('ml_schema.batch_ids'),
    key UUID NOT NULL DEFAULT uuid(),
    name VARCHAR NOT NULL,
    spec JSON NOT NULL DEFAULT '{}',
    parallel INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMP NOT NULL DEFAULT make_timestamp(epoch_us(now()))
);

CREATE SEQUENCE ml_schema.outbox_ids;
CREATE TABLE ml_schema.outbox (
    id BIGINT NOT NULL DEFAULT nextval('ml_schema.outbox_ids'),
    collection VARCHAR NOT NULL,
    records JSON NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    last_error VARCHAR,
    created_at TIMESTAMP NOT NULL DEFAULT make_timestamp(epoch_us(now()))
);
