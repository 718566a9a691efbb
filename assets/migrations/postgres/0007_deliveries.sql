-- One delivers to a collection at a time: whoever has a claim on it, for as long as its lease lasts by this server's clock. A row
-- and no lock, so that it outlives what a connection pool does between two transactions.

ALTER TABLE ml_schema.outbox
    ADD COLUMN experiment_id bigint,
    ADD COLUMN tried_at timestamptz,
    -- Refused for good: it waits no more, and stays until somebody drops it or has it tried again.
    ADD COLUMN refused_at timestamptz;

CREATE INDEX outbox_waiting ON ml_schema.outbox (collection, id) WHERE refused_at IS NULL;
CREATE INDEX outbox_experiment ON ml_schema.outbox (experiment_id);

CREATE TABLE ml_schema.outbox_claims (
    collection text PRIMARY KEY,
    holder     text NOT NULL,
    until      timestamptz NOT NULL
);
