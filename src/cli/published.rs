//! The published example's lines: what `run` and `batch run` print for people.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::experiment::{Experiment, ExperimentId, Status};
use crate::domain::performance::ModelSummary;
use crate::domain::text::{one_line, width};
use crate::ops::{News, Watcher};

use super::output::{Format, Output};

/// Longest name that a line shows whole, in bytes.
const NAME: usize = 200;

/// Prints runs as they go. With several at once, each run's lines are kept until it ends, so that blocks do not mix.
pub struct Printer<'a> {
    output: &'a Output,
    together: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Runs that have not ended.
    going: HashSet<ExperimentId>,
    /// Their lines.
    blocks: HashMap<ExperimentId, String>,
    /// Printing failed; told at the end, since a run does not stop for it.
    failure: Option<io::Error>,
}

impl<'a> Printer<'a> {
    pub fn new(output: &'a Output, together: bool) -> Self {
        Printer { output, together, state: Mutex::default() }
    }

    /// The first failure to print, if there was one.
    pub fn finish(&self) -> io::Result<()> {
        self.output.progress("");
        self.state().failure.take().map_or(Ok(()), Err)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock only means that another thread panicked while printing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self, id: ExperimentId) -> bool {
        !self.state().going.contains(&id)
    }

    fn say(&self, id: ExperimentId, lines: &str, last: bool) {
        if self.output.format != Format::Table {
            return;
        }
        let mut state = self.state();
        let text = if self.together {
            let block = state.blocks.entry(id).or_default();
            block.push_str(lines);
            if !last {
                return;
            }
            state.blocks.remove(&id).unwrap_or_default()
        } else {
            lines.to_owned()
        };
        if state.failure.is_none() {
            state.failure = self.output.write(&text).err();
        }
    }
}

impl Watcher for Printer<'_> {
    fn saw(&self, news: News) {
        match news {
            News::Created(experiment) => {
                self.state().going.insert(experiment.id);
                self.say(experiment.id, &started(&experiment), false);
            }
            News::Documents { id, collection, count } => {
                let added = format!("Added {count} documents to {}", one_line(&collection, NAME));
                if self.has_ended(id) {
                    // Delivered after the run's end: its other lines are gone.
                    self.say(id, &format!("{added} (experiment {id})\n"), true);
                } else {
                    self.say(id, &format!("{added}\n"), false);
                }
            }
            News::Postponed { id, collection, count, why } => {
                let (collection, why) = (one_line(&collection, NAME), one_line(&why, 500));
                self.output.note(&format!(
                    "{count} documents of experiment {id} wait for {collection}: {why} (labtop delivers them later)"
                ));
            }
            News::Finished(experiment) => {
                self.state().going.remove(&experiment.id);
                self.say(experiment.id, &ended(&experiment), true);
            }
            News::Warning { id, text } => {
                let whose = id.map(|id| format!("experiment {id}: ")).unwrap_or_default();
                self.output.note(&format!("Warning: {whose}{}", one_line(&text, 2000)));
            }
            News::Points { id, points } => {
                if let Some(point) = points.last() {
                    self.output.progress(&format!("experiment {id}: step {}", point.step));
                }
            }
            News::Batch(batch) => {
                let (done, total) = (batch.counts.finished(), batch.counts.total());
                self.output.progress(&format!("batch {}: {done} of {total}", batch.id));
            }
            News::Progress { what, done, total } => {
                self.output.progress(&format!("{}: {done} of {total}", one_line(&what, NAME)));
            }
            News::Log { id, line } => self.output.note(&format!("[{id}] {}", one_line(&line, 4000))),
            News::Starting { .. } => {}
        }
    }
}

fn started(experiment: &Experiment) -> String {
    let (model, dataset) = (one_line(&experiment.model_type, NAME), one_line(&experiment.dataset, NAME));
    format!("Starting ML experiment: {model} on {dataset}\nCreated experiment: {}\n", experiment.id)
}

fn ended(experiment: &Experiment) -> String {
    let id = experiment.id;
    let mut lines = match experiment.status {
        Status::Completed => format!("Experiment {id} completed successfully!\n"),
        status => {
            let why = experiment.error.as_deref().map(|why| format!(": {}", one_line(why, 2000)));
            format!("Experiment {id} {status}{}\n", why.unwrap_or_default())
        }
    };
    lines.push_str(&format!("Model: {}\n", one_line(&experiment.model_type, NAME)));
    let figures = &experiment.figures;
    if let Some(accuracy) = figures.accuracy {
        lines.push_str(&format!("Accuracy: {accuracy:.3}\n"));
    }
    if let Some(seconds) = figures.training_time_seconds {
        lines.push_str(&format!("Training Time: {seconds}s\n"));
    }
    if let Some(milliseconds) = figures.inference_time_ms {
        lines.push_str(&format!("Inference Time: {milliseconds:.1}ms\n"));
    }
    lines + "---\n"
}

/// "Experiment Summary:" with the best first, and the best by name.
pub fn summary(experiments: &[Experiment]) -> String {
    let mut completed: Vec<&Experiment> =
        experiments.iter().filter(|experiment| experiment.status == Status::Completed).collect();
    if completed.is_empty() {
        return String::new();
    }
    let accuracy = |experiment: &Experiment| experiment.figures.accuracy.unwrap_or(f64::NEG_INFINITY);
    completed.sort_by(|left, right| accuracy(right).total_cmp(&accuracy(left)));
    let figure =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let rows: Vec<[String; 4]> = completed
        .iter()
        .map(|experiment| {
            let figures = &experiment.figures;
            [
                one_line(&experiment.model_type, NAME),
                figure(figures.accuracy, 3),
                figure(figures.training_time_seconds, 0),
                figure(figures.inference_time_ms, 1),
            ]
        })
        .collect();
    let header = ["model", "accuracy", "training_time_seconds", "inference_time_ms"];
    format!("\nExperiment Summary:\n{}", right_aligned(&header, &rows))
}

/// The line that names the winner; empty where nothing was measured.
pub fn best(experiment: Option<&Experiment>) -> String {
    let Some(experiment) = experiment else { return String::new() };
    let model = one_line(&experiment.model_type, NAME);
    match experiment.figures.accuracy {
        Some(accuracy) => format!("\nBest performing model: {model} with accuracy: {accuracy:.3}\n"),
        None => format!("\nBest performing model: {model}\n"),
    }
}

/// "Model Performance Comparison:", as pandas prints it; the rows come sorted by accuracy.
pub fn comparison(models: &[ModelSummary]) -> String {
    let figure =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let rows: Vec<[String; 5]> = models
        .iter()
        .map(|model| {
            [
                one_line(&model.model_name, NAME),
                figure(model.avg_accuracy, 3),
                figure(model.avg_training_time, 1),
                figure(model.avg_inference_time, 2),
                model.experiment_count.to_string(),
            ]
        })
        .collect();
    let header =
        ["model_name", "avg_accuracy", "avg_training_time", "avg_inference_time", "experiment_count"];
    format!("Model Performance Comparison:\n{}", right_aligned(&header, &rows))
}

/// Every column to the right, as `DataFrame.to_string(index=False)` has them.
fn right_aligned<const N: usize>(header: &[&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| width(&row[column])).chain([header[column].len()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, wide)| format!("{}{cell}", " ".repeat(wide.saturating_sub(width(cell)))))
            .collect();
        format!("{}\n", padded.join("  "))
    };
    let mut text = line(*header);
    for row in rows {
        text.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
    }
    text
}
