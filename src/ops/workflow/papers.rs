//! The five documents of a finished run, by which it can be found by meaning.

use serde_json::{Value, json};

use super::course::{Course, number};
use crate::domain::collection::{KIND, RUN, Record, run_document};
use crate::domain::document::Metadata;
use crate::domain::experiment::Experiment;
use crate::embed::{EmbedError, Embedder};
use crate::runner::Embedding;

/// What they are, in the order in which they are stored.
pub(crate) const KINDS: [&str; 5] = ["configuration", "parameters", "course", "result", "note"];

/// Ids of a run's documents: the same whenever and wherever they are made, so that storing twice is storing once.
pub(crate) fn ids(experiment: &Experiment) -> Vec<String> {
    KINDS.iter().map(|kind| run_document(&experiment.key, kind)).collect()
}

/// The documents with their vectors.
pub(super) async fn records(
    embedder: &dyn Embedder,
    experiment: &Experiment,
    course: &Course,
) -> Result<Vec<Record>, EmbedError> {
    let texts = texts(experiment, course);
    let embeddings = embedder.embed(&texts).await?;
    let records = ids(experiment).into_iter().zip(KINDS).zip(texts.into_iter().zip(embeddings));
    Ok(records
        .map(|((id, kind), (text, embedding))| Record {
            id,
            document: Some(text),
            embedding,
            metadata: metadata(experiment, kind),
        })
        .collect())
}

/// Records that the run made itself. Their ids are those of the run and their own, so that runs do not overwrite each
/// other's; what has no vector is embedded as the documents are.
pub(super) async fn own_records(
    embedder: &dyn Embedder,
    experiment: &Experiment,
    embeddings: Vec<Embedding>,
) -> Result<Vec<Record>, EmbedError> {
    let bare = embeddings.iter().filter(|own| own.embedding.is_none());
    let texts: Vec<String> = bare.map(|own| own.document.clone().unwrap_or_default()).collect();
    let mut vectors = if texts.is_empty() { Vec::new() } else { embedder.embed(&texts).await? }.into_iter();
    let records = embeddings.into_iter().map(|own| {
        let mut metadata = metadata(experiment, "record");
        metadata.extend(own.metadata);
        Record {
            id: format!("{}/record/{}", experiment.key, own.id),
            document: own.document,
            embedding: own.embedding.or_else(|| vectors.next()).unwrap_or_default(),
            metadata,
        }
    });
    Ok(records.collect())
}

fn metadata(experiment: &Experiment, kind: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert(RUN.to_owned(), json!(experiment.id));
    metadata.insert("model".to_owned(), json!(experiment.model_type));
    metadata.insert("dataset".to_owned(), json!(experiment.dataset));
    metadata.insert(KIND.to_owned(), json!(kind));
    if let Some(accuracy) = experiment.figures.accuracy {
        metadata.insert("accuracy".to_owned(), json!(accuracy));
    }
    metadata
}

/// One text for each of [`KINDS`].
fn texts(experiment: &Experiment, course: &Course) -> Vec<String> {
    vec![
        configuration(experiment),
        parameters(experiment),
        format!("Course of {}: {}.", subject(experiment), course.describe()),
        format!("Result of {}: {}.", subject(experiment), pairs(&experiment.results)),
        note(experiment),
    ]
}

fn subject(experiment: &Experiment) -> String {
    format!("{} on {}", experiment.model_type, experiment.dataset)
}

fn configuration(experiment: &Experiment) -> String {
    let mut text = format!(
        "Configuration: experiment {} \"{}\" trains {} with the runner {}",
        experiment.id,
        experiment.name,
        subject(experiment),
        experiment.runner
    );
    if let Some(seed) = experiment.seed {
        text.push_str(&format!(" and seed {}", seed.cast_unsigned()));
    }
    text.push('.');
    if !experiment.description.is_empty() {
        text.push_str(&format!(" {}", experiment.description));
    }
    text
}

fn parameters(experiment: &Experiment) -> String {
    match experiment.parameters.is_empty() {
        true => format!("Parameters of {}: none were given.", subject(experiment)),
        false => format!("Parameters of {}: {}.", subject(experiment), pairs(&experiment.parameters)),
    }
}

/// What a person wrote about it, or else a sentence that sums it up.
fn note(experiment: &Experiment) -> String {
    let mut said: Vec<String> = Vec::new();
    if !experiment.note.is_empty() {
        said.push(experiment.note.clone());
    }
    if !experiment.tags.is_empty() {
        said.push(format!("tagged {}", experiment.tags.join(", ")));
    }
    if !said.is_empty() {
        return format!("Note on {}: {}", subject(experiment), said.join("; "));
    }
    let figures = experiment.figures;
    let measured = [
        figures.accuracy.map(|value| format!("reached an accuracy of {}", number(value))),
        figures.training_time_seconds.map(|value| format!("trained in {} seconds", number(value))),
        figures.inference_time_ms.map(|value| format!("answers in {} milliseconds", number(value))),
        figures.memory_usage_mb.map(|value| format!("takes {} megabytes of memory", number(value))),
    ];
    let measured: Vec<String> = measured.into_iter().flatten().collect();
    match measured.is_empty() {
        true => format!("Note: {} completed.", subject(experiment)),
        false => format!("Note: {} {}.", subject(experiment), measured.join(", ")),
    }
}

/// "learning_rate 0.001, batch_size 32", and "nothing" for an empty object.
fn pairs(object: &serde_json::Map<String, Value>) -> String {
    if object.is_empty() {
        return "nothing".to_owned();
    }
    let pair = |(name, value): (&String, &Value)| match value {
        Value::Number(figure) => {
            format!("{name} {}", figure.as_f64().map_or_else(|| figure.to_string(), number))
        }
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    };
    object.iter().map(pair).collect::<Vec<_>>().join(", ")
}
