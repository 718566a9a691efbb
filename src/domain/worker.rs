//! Workers: processes that take experiments from the queue, what they offer, and what they are doing.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::BatchId;
use super::experiment::ExperimentId;

/// Longest label, in bytes, and most of them: beyond that a slip of the finger is more likely.
const LONGEST_LABEL: usize = 64;
const MOST_LABELS: usize = 32;

/// What a worker says of itself when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWorker {
    /// Unique: two processes never have the same one.
    pub name: String,
    pub host: Option<String>,
    pub pid: u32,
    /// Of labtop.
    pub version: String,
    /// What this machine has, as in `gpu`.
    pub labels: Vec<String>,
    /// Names of the runners that it can run.
    pub runners: Vec<String>,
    /// Experiments running at once.
    pub parallel: u32,
}

/// A worker as it is entered in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    pub worker: NewWorker,
    pub started_at: Timestamp,
    pub heartbeat_at: Timestamp,
    /// Since its last heartbeat, by the store's clock.
    pub silent: Duration,
}

/// A process that runs experiments or would: a worker, or a session (a dashboard, a batch run by hand) that runs some
/// now. Of a session little is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub name: String,
    pub kind: Kind,
    pub state: State,
    pub host: Option<String>,
    pub pid: Option<u32>,
    pub version: Option<String>,
    pub labels: Vec<String>,
    pub runners: Vec<String>,
    /// Experiments running at once, at most.
    pub parallel: Option<u32>,
    pub started_at: Option<Timestamp>,
    pub heartbeat_at: Option<Timestamp>,
    pub running: Vec<Doing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Worker,
    Session,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Alive,
    /// Its process ended without a word, or nothing was heard of it for long.
    Lost,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Lost => "lost",
        }
    }
}

/// An experiment that somebody has in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doing {
    pub experiment: ExperimentId,
    pub attempt: i32,
    pub model: String,
    pub dataset: String,
    pub batch: Option<BatchId>,
    pub started_at: Option<Timestamp>,
}

/// What is wrong with labels; none when nothing is.
pub fn check_labels(labels: &[String]) -> Result<(), String> {
    if labels.len() > MOST_LABELS {
        return Err(format!("{} labels are too many: at most {MOST_LABELS}", labels.len()));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    for label in labels {
        if label.is_empty() || label.len() > LONGEST_LABEL || !label.chars().all(fits) {
            return Err(format!(
                "'{}' is no label: letters, digits and - _ . : / are accepted, {LONGEST_LABEL} at most",
                super::text::one_line(label, 200)
            ));
        }
    }
    Ok(())
}

/// Each once, in the order in which they are named first.
pub fn distinct(labels: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for label in labels {
        if !distinct.contains(&label) {
            distinct.push(label);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn labels_are_plain_words() {
        assert_eq!(check_labels(&[]), Ok(()));
        assert_eq!(check_labels(&labels(&["gpu", "cuda-12.4", "zone:eu/1", "A_b"])), Ok(()));
        for wrong in ["", "a b", "a,b", "gpu\n", "日本", &"x".repeat(65)] {
            assert!(check_labels(&labels(&["gpu", wrong])).is_err(), "{wrong:?}");
        }
        assert!(check_labels(&vec!["gpu".to_owned(); 33]).is_err());
        assert_eq!(distinct(labels(&["b", "a", "b"])), labels(&["b", "a"]));
    }
}
