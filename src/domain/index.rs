//! Indexes over documents: what there is, what is asked for, how a build goes on, and how an answer was found.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::document::{Distance, DocumentHit};

/// One index of a document store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Index {
    pub name: String,
    /// Whose documents it is over.
    pub model_name: String,
    pub kind: IndexKind,
    /// Which metric it serves; none for metadata.
    pub distance: Option<Distance>,
    /// Keeps sixteen bits of each figure: that many dimensions fit no other way.
    pub half: bool,
    pub m: Option<u32>,
    pub ef_construction: Option<u32>,
    pub state: IndexState,
    pub bytes: u64,
    /// How often searches have gone along it.
    pub scans: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    Hnsw,
    /// Made by other programs; labtop's searches do not go along it.
    IvfFlat,
    /// For searches with a filter.
    Metadata,
}

impl IndexKind {
    pub fn as_str(self) -> &'static str {
        match self {
            IndexKind::Hnsw => "hnsw",
            IndexKind::IvfFlat => "ivfflat",
            IndexKind::Metadata => "metadata",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    Ready,
    Building,
    /// What a build that ended half-way left behind: costs every write, serves no search.
    Broken,
}

impl IndexState {
    pub fn as_str(self) -> &'static str {
        match self {
            IndexState::Ready => "ready",
            IndexState::Building => "building",
            IndexState::Broken => "broken",
        }
    }
}

/// An index that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIndex {
    pub model_name: String,
    pub over: Over,
}

/// What an index is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// HNSW: neighbours kept for each vector, and candidates looked at while building.
    Vectors {
        distance: Distance,
        m: u32,
        ef_construction: u32,
    },
    Metadata,
}

impl Over {
    /// pgvector's own.
    pub const M: u32 = 16;
    pub const EF_CONSTRUCTION: u32 = 64;

    /// The server's limits, told before anything is sent.
    pub fn check(self) -> Result<(), String> {
        let Over::Vectors { m, ef_construction, .. } = self else { return Ok(()) };
        if !(2..=100).contains(&m) {
            return Err(format!("m must be 2 to 100, not {m}"));
        }
        if !(4..=1000).contains(&ef_construction) {
            return Err(format!("ef_construction must be 4 to 1000, not {ef_construction}"));
        }
        if ef_construction < 2 * m {
            return Err(format!("ef_construction must be at least twice m, so {} or more", 2 * m));
        }
        Ok(())
    }
}

/// How a build goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildProgress {
    /// What is done now, in plain words.
    pub phase: String,
    /// Of `total`, in this phase; both zero where nobody knows.
    pub done: u64,
    pub total: u64,
    /// Since this phase began.
    pub elapsed: Duration,
}

impl BuildProgress {
    /// How long this phase will go on, once enough of it is done to say.
    pub fn left(&self) -> Option<Duration> {
        let known = self.total > 0 && self.done * 100 >= self.total && self.elapsed >= Duration::from_secs(1);
        let share = self.done as f64 / self.total as f64;
        known.then(|| self.elapsed.mul_f64((1.0 / share - 1.0).max(0.0)))
    }
}

/// What a search gave, and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Nearest first.
    pub hits: Vec<DocumentHit>,
    pub scan: Scan,
}

/// How an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Every vector was compared: nothing nearer was missed.
    Exact(Why),
    /// Along an HNSW index: fast, and may miss some.
    Index { ef_search: u32 },
}

/// Why an answer is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The store knows no other way.
    Always,
    Asked,
    /// There is no index for this metric.
    NoIndex(Distance),
    /// It is being built, or its build broke off.
    NotReady,
    /// The index held fewer than were asked for.
    Few,
    /// The server found that quicker, for this filter.
    Planned,
    /// The server's extension is too old to go on along the index until enough are found.
    Old,
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scan::Index { ef_search } => write!(f, "HNSW index scan, ef_search {ef_search}"),
            Scan::Exact(Why::Always | Why::Asked) => f.write_str("exact scan"),
            Scan::Exact(Why::NoIndex(distance)) => write!(f, "exact scan, no index for {distance}"),
            Scan::Exact(Why::NotReady) => f.write_str("exact scan, the index is not ready"),
            Scan::Exact(Why::Few) => f.write_str("exact scan, the index held too few"),
            Scan::Exact(Why::Planned) => f.write_str("exact scan, quicker for this filter"),
            Scan::Exact(Why::Old) => f.write_str("exact scan, pgvector before 0.8 finds too few"),
        }
    }
}

impl Scan {
    /// In a word or two.
    pub fn short(self) -> String {
        match self {
            Scan::Index { ef_search } => format!("HNSW {ef_search}"),
            Scan::Exact(_) => "exact".to_owned(),
        }
    }
}

impl Serialize for Scan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_servers() {
        let over = |m, ef_construction| Over::Vectors { distance: Distance::Cosine, m, ef_construction };
        assert!(over(Over::M, Over::EF_CONSTRUCTION).check().is_ok() && Over::Metadata.check().is_ok());
        assert_eq!(over(1, 64).check(), Err("m must be 2 to 100, not 1".to_owned()));
        assert!(over(16, 1001).check().is_err());
        assert!(over(40, 79).check().unwrap_err().contains("80 or more"));
    }

    #[test]
    fn the_rest_is_told_once_it_can_be_known() {
        let progress = |done, total, seconds| BuildProgress {
            phase: String::new(),
            done,
            total,
            elapsed: Duration::from_secs(seconds),
        };
        assert_eq!(progress(25, 100, 10).left(), Some(Duration::from_secs(30)));
        assert_eq!(progress(100, 100, 10).left(), Some(Duration::ZERO));
        assert_eq!(progress(0, 100, 10).left(), None);
        assert_eq!(progress(50, 100, 0).left(), None);
        assert_eq!(progress(0, 0, 10).left(), None);
    }
}
