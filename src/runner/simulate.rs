//! The published model of training: base values per model plus normal noise, and a learning curve that ends at them.

use std::time::Duration;

use async_trait::async_trait;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Normal, StandardNormal, Uniform};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Job, Report, RunError, Runner, Sink};

/// See the module. Draws from ChaCha8, so that equal seeds give equal runs on every machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulate;

/// Base values of a model: accuracy, training time in seconds, inference time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Base {
    accuracy: f64,
    training_time: f64,
    inference_time: f64,
}

/// The published table; any model that is not in it is the last line.
fn base(model: &str) -> Base {
    let (accuracy, training_time, inference_time) = match model {
        "RandomForest" => (0.85, 120.0, 15.0),
        "XGBoost" => (0.88, 180.0, 12.0),
        "NeuralNet" => (0.91, 450.0, 25.0),
        _ => (0.80, 200.0, 20.0),
    };
    Base { accuracy, training_time, inference_time }
}

/// What a run ends with.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ending {
    accuracy: f64,
    precision: f64,
    recall: f64,
    f1_score: f64,
    training_time_seconds: i64,
    inference_time_ms: f64,
    memory_usage_mb: f64,
}

impl Ending {
    /// Exactly the published draw: nothing is clamped, so an accuracy may lie above 1 once in a long while.
    fn draw(model: &str, random: &mut ChaCha8Rng) -> Result<Self, RunError> {
        let base = base(model);
        let accuracy = base.accuracy + noise(0.02, random)?;
        let precision = base.accuracy + noise(0.015, random)?;
        let recall = base.accuracy + noise(0.015, random)?;
        let f1_score = base.accuracy + noise(0.01, random)?;
        // Python's int() cuts towards zero, and so does the cast.
        let training_time_seconds = (base.training_time + noise(20.0, random)?) as i64;
        let inference_time_ms = base.inference_time + noise(2.0, random)?;
        let memory = Uniform::new(200.0, 600.0).map_err(|error| RunError::Failed(error.to_string()))?;
        let memory_usage_mb = memory.sample(random);
        Ok(Ending {
            accuracy,
            precision,
            recall,
            f1_score,
            training_time_seconds,
            inference_time_ms,
            memory_usage_mb,
        })
    }

    fn results(&self, loss: f64) -> Map<String, Value> {
        let results = json!({
            "accuracy": self.accuracy,
            "precision": self.precision,
            "recall": self.recall,
            "f1_score": self.f1_score,
            "training_time_seconds": self.training_time_seconds,
            "inference_time_ms": self.inference_time_ms,
            "memory_usage_mb": self.memory_usage_mb,
            "loss": loss,
        });
        results.as_object().cloned().unwrap_or_default()
    }
}

fn noise(deviation: f64, random: &mut ChaCha8Rng) -> Result<f64, RunError> {
    let normal = Normal::new(0.0, deviation).map_err(|error| RunError::Failed(error.to_string()))?;
    Ok(normal.sample(random))
}

/// A curve that rises like one minus an exponential and is noisy at first; at the last step it is exactly the ending.
struct Curve {
    ending: Ending,
    steps: u32,
}

impl Curve {
    /// Fraction of the training that is done after `step`, 0..1.
    fn done(&self, step: u32) -> f64 {
        f64::from(step) / f64::from(self.steps)
    }

    fn at(&self, step: u32, random: &mut ChaCha8Rng) -> [f64; 3] {
        let wobble: f64 = StandardNormal.sample(random);
        let jitter: f64 = StandardNormal.sample(random);
        if step == self.steps {
            return [self.ending.accuracy, self.loss(), self.ending.inference_time_ms];
        }
        let done = self.done(step);
        // What is still to be learned: 1 at the start, 0 at the end.
        let rest = ((-4.0 * done).exp() - (-4.0_f64).exp()) / (1.0 - (-4.0_f64).exp());
        let accuracy =
            self.ending.accuracy - (self.ending.accuracy - 0.5) * rest + 0.01 * wobble * (1.0 - done);
        let loss = self.loss() + (1.1 - self.loss()) * rest + 0.02 * wobble.abs() * (1.0 - done);
        let inference = self.ending.inference_time_ms * (1.0 + 0.05 * jitter * (1.0 - done));
        [accuracy, loss, inference]
    }

    /// The loss that a classifier of this accuracy has when it is as sure as it is right: its cross-entropy.
    fn loss(&self) -> f64 {
        let right = self.ending.accuracy.clamp(0.001, 0.999);
        -(right * right.ln() + (1.0 - right) * (1.0 - right).ln())
    }
}

#[async_trait]
impl Runner for Simulate {
    fn name(&self) -> &'static str {
        "simulate"
    }

    async fn run(
        &self,
        job: &Job,
        sink: &Sink,
        cancel: &CancellationToken,
    ) -> Result<Map<String, Value>, RunError> {
        let mut random = ChaCha8Rng::seed_from_u64(job.seed);
        let curve = Curve { ending: Ending::draw(&job.model, &mut random)?, steps: job.steps.max(1) };
        for step in 1..=curve.steps {
            if cancel.is_cancelled() {
                return Err(RunError::Cancelled);
            }
            let [accuracy, loss, inference] = curve.at(step, &mut random);
            let metrics = vec![
                ("accuracy".to_owned(), accuracy),
                ("loss".to_owned(), loss),
                ("inference_time_ms".to_owned(), inference),
            ];
            let report = Report::Step { step: i64::from(step), metrics };
            // Nobody listens any more only when the run was given up.
            sink.send(report).await.map_err(|_| RunError::Cancelled)?;
            pause(job.delay_ms, cancel).await?;
        }
        Ok(curve.ending.results(curve.loss()))
    }
}

async fn pause(delay_ms: u64, cancel: &CancellationToken) -> Result<(), RunError> {
    if delay_ms == 0 {
        return Ok(());
    }
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(delay_ms)) => Ok(()),
        () = cancel.cancelled() => Err(RunError::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    type Figure = fn(&Ending) -> f64;

    fn job(model: &str, seed: u64, steps: u32, delay_ms: u64) -> Job {
        Job {
            experiment_id: 1,
            key: Uuid::nil(),
            model: model.to_owned(),
            dataset: "d".to_owned(),
            parameters: Map::new(),
            seed,
            steps,
            delay_ms,
            process: None,
        }
    }

    async fn run(job: Job) -> (Map<String, Value>, Vec<Report>) {
        let (sink, mut reports) = mpsc::channel(4);
        let work = tokio::spawn(async move { Simulate.run(&job, &sink, &CancellationToken::new()).await });
        let mut heard = Vec::new();
        while let Some(report) = reports.recv().await {
            heard.push(report);
        }
        (work.await.unwrap().unwrap(), heard)
    }

    /// Bounds of five standard errors: of 56 comparisons on a fixed seed none may fail, and a wrong constant does.
    #[test]
    fn draws_have_the_published_distributions() {
        const DRAWS: usize = 10_000;
        for model in ["RandomForest", "XGBoost", "NeuralNet", "BERT"] {
            let mut random = ChaCha8Rng::seed_from_u64(42);
            let draws: Vec<Ending> = (0..DRAWS).map(|_| Ending::draw(model, &mut random).unwrap()).collect();
            let base = base(model);
            // Whole seconds: cutting takes half a second off the mean and adds the variance of a uniform.
            let seconds = (base.training_time - 0.5, (400.0_f64 + 1.0 / 12.0).sqrt());
            let memory = (400.0, 400.0 / 12.0_f64.sqrt());
            let figures: [(Figure, (f64, f64)); 7] = [
                (|end| end.accuracy, (base.accuracy, 0.02)),
                (|end| end.precision, (base.accuracy, 0.015)),
                (|end| end.recall, (base.accuracy, 0.015)),
                (|end| end.f1_score, (base.accuracy, 0.01)),
                (|end| end.training_time_seconds as f64, seconds),
                (|end| end.inference_time_ms, (base.inference_time, 2.0)),
                (|end| end.memory_usage_mb, memory),
            ];
            for (index, (figure, (mean, deviation))) in figures.iter().enumerate() {
                let values: Vec<f64> = draws.iter().map(figure).collect();
                let n = DRAWS as f64;
                let found = values.iter().sum::<f64>() / n;
                let spread =
                    (values.iter().map(|value| (value - found).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
                assert!((found - mean).abs() < 5.0 * deviation / n.sqrt(), "{model} {index}: mean {found}");
                assert!(
                    (spread - deviation).abs() < 5.0 * deviation / (2.0 * n).sqrt(),
                    "{model} {index}: {spread}"
                );
            }
            assert!(draws.iter().all(|end| (200.0..600.0).contains(&end.memory_usage_mb)));
        }
    }

    #[test]
    fn the_published_base_values() {
        assert_eq!(base("RandomForest"), Base { accuracy: 0.85, training_time: 120.0, inference_time: 15.0 });
        assert_eq!(base("XGBoost"), Base { accuracy: 0.88, training_time: 180.0, inference_time: 12.0 });
        assert_eq!(base("NeuralNet"), Base { accuracy: 0.91, training_time: 450.0, inference_time: 25.0 });
        assert_eq!(base("anything"), Base { accuracy: 0.80, training_time: 200.0, inference_time: 20.0 });
    }

    #[tokio::test]
    async fn equal_seeds_give_equal_curves_that_end_at_the_results() {
        let (results, reports) = run(job("XGBoost", 7, 30, 0)).await;
        assert_eq!(run(job("XGBoost", 7, 30, 0)).await, (results.clone(), reports.clone()));
        assert_ne!(run(job("XGBoost", 8, 30, 0)).await.0, results);
        assert_eq!(reports.len(), 30);
        let Some(Report::Step { step: 30, metrics }) = reports.last() else { panic!("{reports:?}") };
        for (name, value) in metrics {
            assert_eq!(results[name].as_f64(), Some(*value), "{name}");
        }
        assert!(results["training_time_seconds"].is_i64());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_run_stops_in_its_pause() {
        let (sink, mut reports) = mpsc::channel(4);
        let cancel = CancellationToken::new();
        let (told, long) = (cancel.clone(), job("XGBoost", 1, 10, 3_600_000));
        let work = tokio::spawn(async move { Simulate.run(&long, &sink, &told).await });
        reports.recv().await.unwrap();
        cancel.cancel();
        assert!(matches!(work.await.unwrap(), Err(RunError::Cancelled)));
    }
}
