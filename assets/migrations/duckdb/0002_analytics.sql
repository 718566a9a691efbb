-- The published table with every figure DOUBLE, and how far it has followed the experiment store.
CREATE TABLE experiments_performance (
    date DATE,
    model_name VARCHAR,
    dataset VARCHAR,
    accuracy DOUBLE,
    precision DOUBLE,
    recall DOUBLE,
    training_time_sec DOUBLE,
    inference_time_ms DOUBLE,
    f1_score DOUBLE,
    memory_usage_mb DOUBLE,
    runner VARCHAR,
    experiment_id BIGINT,
    -- Which experiment store the row is derived from: one file may serve several, and their ids overlap.
    source VARCHAR
);

CREATE TABLE ml_schema.followed (
    source VARCHAR NOT NULL,
    until TIMESTAMP NOT NULL
);
