-- One process delivers to a collection at a time: whoever has a claim on it, for as long as its lease lasts.
--
-- The outbox is made anew with its new columns. ALTER TABLE ADD COLUMN would do the same, but on a table with a function among its
-- defaults DuckDB 1.5 cannot replay it from the log of a process that was killed before its next checkpoint.

CREATE TABLE ml_schema.outbox_before AS SELECT * FROM ml_schema.outbox;
DROP TABLE ml_schema.outbox;
CREATE TABLE ml_schema.outbox (
    id BIGINT NOT NULL DEFAULT nextval('ml_schema.outbox_ids'),
    collection VARCHAR NOT NULL,
    records JSON NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    last_error VARCHAR,
    created_at TIMESTAMP NOT NULL DEFAULT make_timestamp(epoch_us(now())),
    experiment_id BIGINT,
    tried_at TIMESTAMP,
    -- Refused for good: it waits no more, and stays until somebody drops it or has it tried again.
    refused_at TIMESTAMP
);
INSERT INTO ml_schema.outbox (id, collection, records, tries, last_error, created_at)
SELECT id, collection, records, tries, last_error, created_at FROM ml_schema.outbox_before ORDER BY id;
DROP TABLE ml_schema.outbox_before;

CREATE TABLE ml_schema.outbox_claims (
    collection VARCHAR NOT NULL,
    holder VARCHAR NOT NULL,
    until TIMESTAMP NOT NULL
);
