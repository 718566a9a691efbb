-- Who takes from the queue, and what finds quickly which runs are under way or were left.

CREATE TABLE ml_schema.workers (
    name         text PRIMARY KEY,
    host         text,
    pid          bigint NOT NULL,
    version      text NOT NULL,
    labels       text[] NOT NULL DEFAULT '{}',
    runners      text[] NOT NULL DEFAULT '{}',
    parallel     integer NOT NULL DEFAULT 1 CHECK (parallel > 0),
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);

-- Workers that come and go are told of; their heartbeats wake nobody.
CREATE TRIGGER tell_insert AFTER INSERT ON ml_schema.workers
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

CREATE TRIGGER tell_delete AFTER DELETE ON ml_schema.workers
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ml_schema.tell_change();

-- Few at any time: without these each look for them would read the whole table.
CREATE INDEX experiments_running ON ml_schema.experiments (id) WHERE status = 'running' AND worker IS NOT NULL;
CREATE INDEX experiments_interrupted ON ml_schema.experiments (id) WHERE status = 'interrupted' AND batch_id IS NOT NULL;
