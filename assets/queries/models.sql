-- The published comparison: averages by model, the most accurate first. Of the experiment store in use, and of rows that
-- have no experiment behind them.
SELECT
    model_name,
    AVG(accuracy) AS avg_accuracy,
    AVG(training_time_sec) AS avg_training_time,
    AVG(inference_time_ms) AS avg_inference_time,
    COUNT(*) AS experiment_count
FROM experiments_performance
WHERE (source = ? OR experiment_id IS NULL) AND (? OR coalesce(runner, '') <> 'simulate')
GROUP BY model_name
ORDER BY avg_accuracy DESC NULLS LAST, model_name
