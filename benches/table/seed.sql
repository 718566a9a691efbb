-- Simulated runs with five parameters and five metrics, made from the number of each alone: seeding again gives the same.
-- One in twenty failed, two in a hundred were cancelled, one was interrupted.
INSERT INTO ml_schema.experiments (
    name, model_type, dataset, parameters, status, results, accuracy, inference_time_ms, training_time_seconds,
    memory_usage_mb, runner, seed, created_at, started_at, finished_at, host, error
)
SELECT
    model || ' on ' || dataset, model, dataset,
    json_object('learning_rate', rate, 'batch_size', batch, 'depth', depth, 'dropout', dropout, 'optimizer', optimizer),
    status,
    CASE WHEN done THEN json_object('accuracy', accuracy, 'inference_time_ms', latency, 'training_time_seconds', training,
        'memory_usage_mb', memory, 'loss', loss) ELSE '{}' END,
    CASE WHEN done THEN accuracy END, CASE WHEN done THEN latency END, CASE WHEN done THEN training END,
    CASE WHEN done THEN memory END,
    'simulate', run, begun, begun, begun + INTERVAL 30 SECOND, 'bench', CASE WHEN status = 'failed' THEN 'out of memory' END
FROM (
    SELECT
        run,
        ['RandomForest', 'XGBoost', 'NeuralNet', 'BERT', 'LogisticRegression'][(1 + hash(run) % 5)::BIGINT] AS model,
        'dataset_' || (hash(run * 7 + 1) % 20) AS dataset,
        pow(10, -4 + 3 * (hash(run * 11 + 2) % 1000000) / 1e6) AS rate,
        [16, 32, 64, 128][(1 + hash(run * 13) % 4)::BIGINT] AS batch,
        2 + hash(run * 17) % 10 AS depth,
        (hash(run * 19) % 50) / 100.0 AS dropout,
        ['adam', 'sgd', 'rmsprop'][(1 + hash(run * 23) % 3)::BIGINT] AS optimizer,
        CASE WHEN hash(run * 29) % 100 < 5 THEN 'failed' WHEN hash(run * 29) % 100 < 7 THEN 'cancelled'
            WHEN hash(run * 29) % 100 < 8 THEN 'interrupted' ELSE 'completed' END AS status,
        hash(run * 29) % 100 >= 8 AS done,
        0.5 + 0.5 * (hash(run * 31) % 1000000) / 1e6 AS accuracy,
        1 + 100 * (hash(run * 37) % 100000) / 1e5 AS latency,
        10 + 900 * (hash(run * 41) % 100000) / 1e5 AS training,
        64 + 4000 * (hash(run * 43) % 10000) / 1e4 AS memory,
        2 * (hash(run * 47) % 1000000) / 1e6 AS loss,
        TIMESTAMP '2025-01-01' + run * INTERVAL 30 SECOND AS begun
    FROM range(1, CAST(? AS BIGINT) + 1) numbers(run)
)
ORDER BY run;
