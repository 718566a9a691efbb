//! What a copy found and did, kind by kind.

use std::fmt;
use std::str::FromStr;

use super::digest::{Digest, Sum};

/// What may be copied alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// With their points and batches.
    Experiments,
    Documents,
    /// With their records.
    Collections,
    Outbox,
}

impl Part {
    /// In the order in which they are copied.
    pub const ALL: [Part; 4] = [Part::Experiments, Part::Documents, Part::Collections, Part::Outbox];

    pub fn as_str(self) -> &'static str {
        match self {
            Part::Experiments => "experiments",
            Part::Documents => "documents",
            Part::Collections => "collections",
            Part::Outbox => "outbox",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Part::ALL.into_iter().find(|part| part.as_str() == text).ok_or_else(|| {
            let known = Part::ALL.map(Part::as_str).join(", ");
            format!("unknown part '{text}' (known: {known})")
        })
    }
}

/// How a thing of the source stands in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Missing,
    Same,
    /// Another one is there that the source's takes the place of.
    Differs,
    /// The target's own is as good or better, and stays.
    Kept,
}

impl Standing {
    /// By the digests of both.
    pub fn of(digest: Digest, there: Option<Digest>) -> Self {
        match there {
            None => Standing::Missing,
            Some(there) if there == digest => Standing::Same,
            Some(_) => Standing::Differs,
        }
    }
}

/// Names of things that differ, as many as a person reads.
const NAMED: usize = 5;

/// One kind of things, counted and summed on both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub kind: &'static str,
    /// In the source.
    pub source: u64,
    /// Of these, in the target.
    pub target: u64,
    /// Written by this copy.
    pub copied: u64,
    /// The target's own, which stay.
    pub kept: u64,
    /// Missing in the target, or another there.
    pub different: u64,
    /// Some of those.
    pub named: Vec<String>,
    pub source_sum: Sum,
    pub target_sum: Sum,
}

impl Tally {
    pub fn of(kind: &'static str) -> Self {
        Tally { kind, ..Tally::default() }
    }

    /// Both sides hold the same, as far as they should.
    pub fn agrees(&self) -> bool {
        self.different == 0 && self.source_sum == self.target_sum
    }

    /// Counts one thing; `there` is the digest of the target's.
    pub fn count(
        &mut self,
        standing: Standing,
        digest: Digest,
        there: Option<Digest>,
        name: impl FnOnce() -> String,
    ) {
        self.count_many(standing, (1, digest), there.map(|digest| (1, digest)));
        if !matches!(standing, Standing::Same | Standing::Kept) && self.named.len() < NAMED {
            self.named.push(name());
        }
    }

    /// Counts things that belong together, with their common digest.
    pub fn count_many(&mut self, standing: Standing, here: (u64, Digest), there: Option<(u64, Digest)>) {
        self.source += here.0;
        self.target += there.map_or(0, |there| there.0);
        if standing == Standing::Kept {
            self.kept += here.0;
            return;
        }
        self.source_sum.add(here.1);
        there.into_iter().for_each(|there| self.target_sum.add(there.1));
        if standing != Standing::Same {
            self.different += here.0;
        }
    }
}

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub tallies: Vec<Tally>,
    /// Experiments that run in the source, and are left to it.
    pub running: u64,
    /// Parts that both sides keep in the same place.
    pub shared: Vec<Part>,
    /// Whether experiments kept their ids.
    pub kept_ids: bool,
}

impl Report {
    pub fn agrees(&self) -> bool {
        self.tallies.iter().all(Tally::agrees)
    }
}
