-- How many runs are shown, and how many stand before one of them, is counted in this index alone: at a million runs 75 ms
-- where the table takes 370.
CREATE INDEX experiments_shown ON ml_schema.experiments (id) WHERE archived_at IS NULL;
