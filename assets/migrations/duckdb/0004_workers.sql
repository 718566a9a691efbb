-- Who takes from the queue. Names are kept unique by the one writer.
CREATE TABLE ml_schema.workers (
    name VARCHAR NOT NULL,
    host VARCHAR,
    pid BIGINT NOT NULL,
    version VARCHAR NOT NULL,
    labels JSON NOT NULL DEFAULT '[]',
    runners JSON NOT NULL DEFAULT '[]',
    parallel INTEGER NOT NULL DEFAULT 1,
    started_at TIMESTAMP NOT NULL,
    heartbeat_at TIMESTAMP NOT NULL
);
