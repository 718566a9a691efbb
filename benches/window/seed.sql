-- Simulated runs with five parameters and five metrics, and four points of each of their losses, made from the number of each
-- alone: seeding again gives the same. One in twenty failed, two in a hundred were cancelled, one was interrupted.
CREATE FUNCTION pg_temp.dice(run bigint, salt bigint, sides bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
    RETURN (hashint8extended(run, salt) & 9223372036854775807) % sides;

INSERT INTO ml_schema.experiments (
    name, model_type, dataset, parameters, status, results, runner, seed, created_at, started_at, finished_at, host, error
)
SELECT
    model || ' on ' || dataset, model, dataset,
    jsonb_build_object('learning_rate', rate, 'batch_size', batch, 'depth', depth, 'dropout', dropout, 'optimizer', optimizer),
    status,
    CASE WHEN status = 'completed' THEN jsonb_build_object('accuracy', accuracy, 'inference_time_ms', latency,
        'training_time_seconds', training, 'memory_usage_mb', memory, 'loss', loss) ELSE '{}' END,
    'simulate', run, begun, begun, begun + interval '30 seconds', 'bench', CASE WHEN status = 'failed' THEN 'out of memory' END
FROM (
    SELECT
        run,
        ('{RandomForest,XGBoost,NeuralNet,BERT,LogisticRegression}'::text[])[1 + pg_temp.dice(run, 1, 5)] AS model,
        'dataset_' || pg_temp.dice(run, 2, 20) AS dataset,
        power(10, -4 + 3 * pg_temp.dice(run, 3, 1000000) / 1e6::float8) AS rate,
        ('{16,32,64,128}'::integer[])[1 + pg_temp.dice(run, 4, 4)] AS batch,
        2 + pg_temp.dice(run, 5, 10) AS depth,
        pg_temp.dice(run, 6, 50) / 100.0 AS dropout,
        ('{adam,sgd,rmsprop}'::text[])[1 + pg_temp.dice(run, 7, 3)] AS optimizer,
        CASE WHEN fate < 5 THEN 'failed' WHEN fate < 7 THEN 'cancelled' WHEN fate < 8 THEN 'interrupted' ELSE 'completed' END
            AS status,
        0.5 + 0.5 * pg_temp.dice(run, 8, 1000000) / 1e6::float8 AS accuracy,
        1 + 100 * pg_temp.dice(run, 9, 100000) / 1e5::float8 AS latency,
        10 + 900 * pg_temp.dice(run, 10, 100000) / 1e5::float8 AS training,
        64 + 4000 * pg_temp.dice(run, 11, 10000) / 1e4::float8 AS memory,
        2 * pg_temp.dice(run, 12, 1000000) / 1e6::float8 AS loss,
        timestamptz '2025-01-01 00:00:00+00' + run * interval '30 seconds' AS begun
    FROM (SELECT run, pg_temp.dice(run, 13, 100) AS fate FROM generate_series(1, current_setting('labtop.runs')::bigint) numbers(run)) runs
) drawn
ORDER BY run;

INSERT INTO ml_schema.experiment_metrics (experiment_id, name, step, value, recorded_at)
SELECT run, 'loss', step, pg_temp.dice(run, 14 + step, 100000) / 1e5::float8,
    timestamptz '2025-01-01 00:00:00+00' + run * interval '30 seconds' + step * interval '1 second'
FROM generate_series(1, current_setting('labtop.runs')::bigint) numbers(run), generate_series(1, 4) steps(step)
ORDER BY run, step;
