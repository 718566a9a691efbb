//! Export of experiments to a file.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{Lab, OpsError, Result};
use crate::analytics::parquet;
use crate::domain::csv;
use crate::domain::experiment::{Experiment, ExperimentId};
use crate::domain::table::Table;
use crate::domain::window::Window;
use crate::store::experiments::ExperimentQuery;

/// Experiments fetched at once.
const PAGE: u64 = 1000;

/// The columns of a CSV file: the fields of an experiment, in their order.
const COLUMNS: [&str; 33] = [
    "id",
    "key",
    "name",
    "model_type",
    "dataset",
    "description",
    "parameters",
    "status",
    "results",
    "accuracy",
    "precision",
    "recall",
    "f1_score",
    "training_time_seconds",
    "inference_time_ms",
    "memory_usage_mb",
    "tags",
    "note",
    "runner",
    "seed",
    "attempt",
    "batch_id",
    "trial",
    "created_at",
    "started_at",
    "finished_at",
    "heartbeat_at",
    "worker",
    "host",
    "command",
    "git_commit",
    "archived_at",
    "error",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Csv,
    JsonLines,
    Parquet,
}

impl Kind {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        match ending.as_deref() {
            Some("csv") => Ok(Kind::Csv),
            Some("jsonl" | "ndjson") => Ok(Kind::JsonLines),
            Some("parquet") => Ok(Kind::Parquet),
            _ => Err(OpsError::Invalid(format!(
                "{}: end the file's name in .csv, .jsonl or .parquet, so that the format is known",
                path.display()
            ))),
        }
    }
}

/// Writes every experiment under the query's filter, in its order (its `window` and `limit` are not looked at), to a
/// `.csv`, `.jsonl` or `.parquet` file; says how many. The file appears whole or not at all.
///
/// In CSV and Parquet, `parameters`, `results` and `tags` are JSON text.
pub async fn to_file(lab: &Lab, path: &Path, query: &ExperimentQuery) -> Result<u64> {
    let kind = Kind::of(path)?;
    let draft = beside(path);
    let written = write(lab, kind, &draft, query).await;
    settle(&draft, path, written).await
}

/// Puts a draft that was written into its place; one that was not goes.
pub(super) async fn settle(draft: &Path, path: &Path, written: Result<u64>) -> Result<u64> {
    let settled = match written {
        Ok(count) => tokio::fs::rename(draft, path).await.map_err(at(path)).map(|()| count),
        Err(error) => Err(error),
    };
    if settled.is_err() {
        // The draft may not exist; the error that matters is the first one.
        drop(tokio::fs::remove_file(draft).await);
    }
    settled
}

async fn write(lab: &Lab, kind: Kind, draft: &Path, query: &ExperimentQuery) -> Result<u64> {
    match kind {
        Kind::Csv => {
            let header = COLUMNS.map(Value::from);
            write_lines(lab, draft, csv::record(&header), query, |experiment| {
                Ok(csv::record(&cells(experiment)?))
            })
            .await
        }
        Kind::JsonLines => {
            let line = |experiment: &Experiment| Ok(serde_json::to_string(experiment)? + "\n");
            write_lines(lab, draft, String::new(), query, line).await
        }
        Kind::Parquet => write_parquet(lab, draft, query).await,
    }
}

async fn write_lines(
    lab: &Lab,
    path: &Path,
    header: String,
    query: &ExperimentQuery,
    line: impl Fn(&Experiment) -> serde_json::Result<String>,
) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path).await.map_err(at(path))?);
    file.write_all(header.as_bytes()).await.map_err(at(path))?;
    let mut pages = Pages::new(lab, query);
    while let Some(page) = pages.next().await? {
        for experiment in &page {
            let line = line(experiment).map_err(|error| at(path)(error.into()))?;
            file.write_all(line.as_bytes()).await.map_err(at(path))?;
        }
    }
    file.flush().await.map_err(at(path))?;
    Ok(pages.count())
}

async fn write_parquet(lab: &Lab, path: &Path, query: &ExperimentQuery) -> Result<u64> {
    let mut table = Table::new(&COLUMNS);
    let mut pages = Pages::new(lab, query);
    while let Some(page) = pages.next().await? {
        for experiment in &page {
            table.rows.push(cells(experiment).map_err(|error| at(path)(error.into()))?);
        }
    }
    let target = path.to_owned();
    let written = tokio::task::spawn_blocking(move || parquet::write(&table, &target)).await;
    written.map_err(|error| at(path)(io::Error::other(error)))??;
    Ok(pages.count())
}

/// One value for each of [`COLUMNS`].
fn cells(experiment: &Experiment) -> serde_json::Result<Vec<Value>> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(experiment)?)?;
    Ok(COLUMNS.iter().map(|column| fields.remove(*column).unwrap_or_default()).collect())
}

/// Every experiment under a filter, page by page.
struct Pages<'a> {
    lab: &'a Lab,
    query: ExperimentQuery,
    /// A row whose value changes while the pages are read may come once more: the second time is left out.
    seen: HashSet<ExperimentId>,
    done: bool,
}

impl<'a> Pages<'a> {
    fn new(lab: &'a Lab, query: &ExperimentQuery) -> Self {
        let query = ExperimentQuery { window: Window::First, limit: PAGE, ..query.clone() };
        Pages { lab, query, seen: HashSet::new(), done: false }
    }

    async fn next(&mut self) -> Result<Option<Vec<Experiment>>> {
        if self.done {
            return Ok(None);
        }
        let page = self.lab.experiments.list(&self.query).await?;
        self.query.window = page.next().unwrap_or_default();
        let mut rows = page.rows;
        self.done = (rows.len() as u64) < PAGE;
        rows.retain(|experiment| self.seen.insert(experiment.id));
        Ok(Some(rows))
    }

    fn count(&self) -> u64 {
        self.seen.len() as u64
    }
}

/// A file of the same folder, so that renaming it is one step.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> OpsError {
    let path = path.display().to_string();
    move |source| OpsError::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use crate::ops::Stop;
    use serde_json::json;

    use super::*;
    use crate::ops::experiment::{RunRequest, run};
    use crate::ops::news::Nobody;
    use crate::ops::tests::Bench;

    async fn bench() -> (Bench, Experiment) {
        let bench = Bench::embedded();
        let request = RunRequest {
            model: "XGBoost".to_owned(),
            dataset: "v3".to_owned(),
            name: Some("a \"quoted\", name".to_owned()),
            parameters: [("rate".to_owned(), json!(0.1))].into_iter().collect(),
            ..RunRequest::default()
        };
        let mut runs = run(&bench.lab, &request, &Nobody, &Stop::default()).await.unwrap();
        (bench, runs.remove(0))
    }

    #[tokio::test]
    async fn json_lines_hold_experiments_whole() {
        let (bench, experiment) = bench().await;
        let path = bench.folder.path().join("out.jsonl");
        assert_eq!(to_file(&bench.lab, &path, &ExperimentQuery::default()).await.unwrap(), 1);
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Experiment = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(read, experiment);
    }

    #[tokio::test]
    async fn the_columns_are_the_fields_of_an_experiment() {
        let (bench, experiment) = bench().await;
        let fields = serde_json::to_value(&experiment).unwrap();
        let fields: Vec<_> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, COLUMNS);

        let path = bench.folder.path().join("out.csv");
        to_file(&bench.lab, &path, &ExperimentQuery::default()).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), COLUMNS.join(","));
        let line = lines.next().unwrap();
        let key = experiment.key;
        assert!(line.starts_with(&format!("1,{key},\"a \"\"quoted\"\", name\",XGBoost,v3,,")), "{line}");
        assert!(line.contains(r#""{""rate"":0.1}",completed,"#), "{line}");
        assert_eq!(lines.next(), None);
    }

    #[tokio::test]
    async fn a_failed_export_leaves_nothing_behind() {
        let (bench, _) = bench().await;
        let folder = bench.folder.path().join("out");
        std::fs::create_dir(&folder).unwrap();
        let query = ExperimentQuery {
            filter: Some(crate::domain::filter::Filter::Or(Vec::new())),
            ..ExperimentQuery::default()
        };
        assert!(to_file(&bench.lab, &folder.join("out.csv"), &query).await.is_err());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);

        let error = to_file(&bench.lab, Path::new("out.xlsx"), &query).await.unwrap_err();
        assert!(error.to_string().contains(".csv, .jsonl or .parquet"), "{error}");
    }
}
