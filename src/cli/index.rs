//! `labtop docs index`: what searches go along.

use std::sync::Mutex;

use serde_json::Value;

use crate::domain::document::Distance;
use crate::domain::index::{BuildProgress, Index, IndexState, NewIndex, Over};
use crate::domain::table::Table;
use crate::domain::text::one_line;
use crate::ops::index::{self, Which};
use crate::ops::{Lab, OpsError, document};

use super::error::CliError;
use super::output::{Format, Output};
use super::{Outcome, Session};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List them: kind, metric, state, size, and how often searches have used them
    Ls {
        /// Only those over documents of this embedding model
        #[arg(long)]
        model: Option<String>,
    },
    /// Build an HNSW index over one model's vectors, or one over its metadata; others read and write meanwhile, ctrl-c
    /// leaves nothing behind
    Create(CreateArgs),
    /// Drop one, all of a model, or what broken builds left
    #[command(group = clap::ArgGroup::new("which").required(true).args(["name", "model", "broken"]))]
    Drop {
        /// Its name in `labtop docs index ls`
        name: Option<String>,
        /// All over documents of this embedding model
        #[arg(long)]
        model: Option<String>,
        /// All that a build has left half-done
        #[arg(long)]
        broken: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The embedding model; not needed where there is but one
    #[arg(long)]
    model: Option<String>,
    /// The metric that searches will ask for: cosine, l2, ip or l1
    #[arg(long, alias = "metric", default_value_t)]
    distance: Distance,
    /// Neighbours kept for each vector, 2 to 100: more is larger, slower to build, and misses fewer
    #[arg(long, value_name = "N", default_value_t = Over::M)]
    m: u32,
    /// Candidates looked at for each vector while building, 4 to 1000
    #[arg(long, value_name = "N", default_value_t = Over::EF_CONSTRUCTION)]
    ef_construction: u32,
    /// Over the metadata instead, for searches with --filter key=value
    #[arg(long, conflicts_with_all = ["distance", "m", "ef_construction"])]
    metadata: bool,
}

impl Command {
    pub fn changes_something(&self) -> bool {
        !matches!(self, Command::Ls { .. })
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Ls { model } => list(model.as_deref(), session).await,
        Command::Create(args) => create(args, session).await,
        Command::Drop { name: Some(name), .. } => remove(Which::Named(name), session).await,
        Command::Drop { model: Some(model), .. } => remove(Which::OfModel(model), session).await,
        Command::Drop { .. } => remove(Which::Broken, session).await,
    }
}

async fn list(model: Option<&str>, session: &Session) -> Outcome {
    let all = index::list(&session.lab).await?;
    let needed = all.is_some();
    let of_model = |index: &Index| model.is_none_or(|model| index.model_name == model);
    let indexes: Vec<Index> = all.unwrap_or_default().into_iter().filter(of_model).collect();
    session.output.result(&indexes, &table(&indexes))?;
    if !needed {
        session.output.note(&index::none_needed(&session.lab));
    } else if indexes.is_empty() {
        session.output.note(
            "No indexes: every search compares every vector, which is exact. `labtop docs index create` builds one; among \
             some ten thousand vectors it begins to pay.",
        );
    }
    if indexes.iter().any(|index| index.state == IndexState::Broken) {
        session.output.note(
            "A broken index is what a build that ended half-way left: `labtop docs index drop --broken` drops it, and so \
             does building it anew.",
        );
    }
    Ok(0)
}

async fn create(args: CreateArgs, session: &Session) -> Outcome {
    let CreateArgs { distance, m, ef_construction, .. } = args;
    if session.lab.documents.indexes().is_none() {
        session.output.note(&index::none_needed(&session.lab));
        return Ok(0);
    }
    let model_name = match args.model {
        Some(model) => model,
        None => only_model(&session.lab).await?,
    };
    let over = if args.metadata { Over::Metadata } else { Over::Vectors { distance, m, ef_construction } };
    let new = NewIndex { model_name, over };
    let progress = Progress { output: &session.output, phase: Mutex::default() };
    let built = index::create(&session.lab, &new, &|news| progress.hear(&news), &session.stop).await;
    session.output.progress("");
    let Some(built) = built? else { return Ok(0) };
    match session.output.format {
        Format::Table => {
            let name = one_line(&built.name, 200);
            session.output.line(&format!("Built {name}, {}", megabytes(built.bytes)))?;
        }
        _ => session.output.result(&built, &table(std::slice::from_ref(&built)))?,
    }
    Ok(0)
}

async fn only_model(lab: &Lab) -> Result<String, CliError> {
    let mut models = document::models(lab).await?;
    let names = models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ");
    match models.len() {
        1 => Ok(models.remove(0).name),
        0 => {
            Err(OpsError::Invalid("there are no documents yet: labtop docs add FILE adds some".to_owned())
                .into())
        }
        _ => Err(CliError::Usage(format!("say which model's documents with --model ({names})"))),
    }
}

async fn remove(which: Which, session: &Session) -> Outcome {
    let Some(names) = index::remove(&session.lab, &which).await? else {
        session.output.note(&index::none_needed(&session.lab));
        return Ok(0);
    };
    match session.output.format {
        Format::Table => {
            for name in &names {
                session.output.line(&format!("Dropped {}", one_line(name, 200)))?;
            }
        }
        _ => session.output.json(&names)?,
    }
    Ok(0)
}

/// On a terminal a line that changes, elsewhere a line for each phase.
struct Progress<'a> {
    output: &'a Output,
    phase: Mutex<String>,
}

impl Progress<'_> {
    fn hear(&self, news: &BuildProgress) {
        self.output.progress(&describe(news));
        // A poisoned lock only means that another thread panicked while printing.
        let mut phase = self.phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *phase != news.phase {
            phase.clone_from(&news.phase);
            self.output.phase(&news.phase);
        }
    }
}

/// `building: 42 %, 12 s left`.
fn describe(news: &BuildProgress) -> String {
    let mut text = one_line(&news.phase, 400);
    if let Some(percent) = (news.done * 100).checked_div(news.total) {
        text.push_str(&format!(": {percent} %"));
    }
    if let Some(left) = news.left() {
        let seconds = left.as_secs();
        text.push_str(&match seconds {
            0..60 => format!(", {seconds} s left"),
            _ => format!(", {}:{:02} min left", seconds / 60, seconds % 60),
        });
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn table(indexes: &[Index]) -> Table {
    let mut table = Table::new(&[
        "name",
        "model_name",
        "kind",
        "distance",
        "m",
        "ef_construction",
        "half",
        "state",
        "bytes",
        "scans",
    ]);
    for index in indexes {
        table.rows.push(vec![
            index.name.clone().into(),
            index.model_name.clone().into(),
            index.kind.as_str().into(),
            index.distance.map_or(Value::Null, |distance| distance.as_str().into()),
            index.m.into(),
            index.ef_construction.into(),
            index.half.into(),
            index.state.as_str().into(),
            index.bytes.into(),
            index.scans.into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn progress_is_told_with_what_is_left() {
        let news = |done, seconds| BuildProgress {
            phase: "building".to_owned(),
            done,
            total: 200,
            elapsed: Duration::from_secs(seconds),
        };
        assert_eq!(describe(&news(0, 0)), "building: 0 %");
        assert_eq!(describe(&news(50, 10)), "building: 25 %, 30 s left");
        assert_eq!(describe(&news(50, 100)), "building: 25 %, 5:00 min left");
        let unknown = BuildProgress { total: 0, ..news(0, 9) };
        assert_eq!(describe(&unknown), "building");
    }
}
