//! What a backend finds out about itself, beyond being there.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Backend, Result};

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// It works, though not all of it, or not for long.
    Warn,
    /// Something that is needed does not work.
    Fail,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two that stay: "server version".
    pub check: &'static str,
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What the user can do, as a sentence.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Finding { check, level: Level::Ok, found: found.into(), remedy: None }
    }

    pub fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { check, level: Level::Warn, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { level: Level::Fail, ..Finding::warn(check, found, remedy) }
    }
}

/// A backend that can be looked into.
#[async_trait]
pub trait Inspect: Send + Sync + Debug {
    fn backend(&self) -> Backend;

    /// Looks and changes nothing. Fails when the backend is down.
    async fn inspect(&self) -> Result<Vec<Finding>>;
}

/// Clocks may differ by so much without anybody noticing.
const TOLERATED: SignedDuration = SignedDuration::from_secs(2);

/// Compares a server's clock with ours: it said `theirs` some time between `before` and `after`.
pub fn clock(theirs: Timestamp, before: Timestamp, after: Timestamp) -> Finding {
    let check = "clock";
    let off = if theirs < before {
        before.duration_since(theirs)
    } else if theirs > after {
        theirs.duration_since(after)
    } else {
        SignedDuration::ZERO
    };
    let seconds = off.as_secs_f64();
    if off <= TOLERATED {
        return Finding::ok(check, "the server's clock and this machine's agree");
    }
    let which = if theirs < before { "behind" } else { "ahead of" };
    Finding::warn(
        check,
        format!("the server's clock is {seconds:.0} s {which} this machine's"),
        "Let both follow a time server (NTP): times that different machines wrote down do not compare.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_by_how_much() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        for (theirs, before, after, level, words) in [
            (0, 0, 0, Level::Ok, "agree"),
            (5, 0, 9, Level::Ok, "agree"),
            (11, 0, 9, Level::Ok, "agree"),
            (12, 0, 9, Level::Warn, "3 s ahead of"),
            (-60, 0, 9, Level::Warn, "60 s behind"),
        ] {
            let finding = clock(at(theirs), at(before), at(after));
            assert_eq!(finding.level, level, "{theirs}");
            assert!(finding.found.contains(words), "{theirs}: {}", finding.found);
        }
    }
}
