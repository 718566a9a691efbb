-- Four points of each metric of each run.
INSERT INTO ml_schema.experiment_metrics
SELECT run, 1, metric, step, (hash(run * 3 + step * 5 + length(metric)) % 100000) / 1e5,
    TIMESTAMP '2025-01-01' + run * INTERVAL 30 SECOND + step * INTERVAL 1 SECOND
FROM range(1, CAST(? AS BIGINT) + 1) numbers(run),
    unnest(['accuracy', 'inference_time_ms', 'training_time_seconds', 'memory_usage_mb', 'loss']) metrics(metric),
    range(1, 5) steps(step);
