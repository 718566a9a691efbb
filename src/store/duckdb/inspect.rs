//! What a DuckDB file is: whether it is there, how large, and whether it may be written.

use std::io;
use std::path::Path;

use async_trait::async_trait;

use crate::store::inspect::{Finding, Inspect};
use crate::store::{Backend, Result};

use super::engine::Engine;

/// A write-ahead log of that size was left behind by something that did not end well, or waits for a long transaction.
const LARGE_LOG: u64 = 256 * 1024 * 1024;

#[async_trait]
impl Inspect for Engine {
    fn backend(&self) -> Backend {
        Backend::DuckDb
    }

    async fn inspect(&self) -> Result<Vec<Finding>> {
        // By name only: opening the file beside the engine would drop its lock.
        let path = self.path().to_owned();
        let read_only = self.lease().is_read_only();
        let looking = tokio::task::spawn_blocking(move || file(&path, read_only)).await;
        Ok(vec![looking.unwrap_or_else(|error| Finding::warn("file", error.to_string(), "Try again."))])
    }
}

fn file(path: &Path, read_only: bool) -> Finding {
    let check = "file";
    let place = path.display();
    let size = match path.metadata() {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound && read_only => {
            let found = format!("{place} does not exist, and read-only mode makes none");
            return Finding::fail(
                check,
                found,
                "Name another file with --store FILE, or leave out --read-only.",
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::ok(check, format!("{place} does not exist: its first use makes it"));
        }
        Err(error) => {
            let found = format!("{place}: {error}");
            return Finding::fail(
                check,
                found,
                "Check the rights of its folders, or name another file with --store FILE.",
            );
        }
    };
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    let waiting = Path::new(&log).metadata().map_or(0, |found| found.len());
    if waiting >= LARGE_LOG {
        let found = format!("{place}, {}, and {} of it wait in its log", megabytes(size), megabytes(waiting));
        return Finding::warn(
            check,
            found,
            "Close every program that has it open; the next use takes the log in.",
        );
    }
    let access = if read_only { "looked at only" } else { "may be written" };
    Finding::ok(check, format!("{place}, {}, {access}", megabytes(size)))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::inspect::Level;

    #[test]
    fn a_file_is_told_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.duckdb");
        assert!(file(&path, false).found.contains("first use makes it"));
        assert_eq!(file(&path, true).level, Level::Fail);
        std::fs::write(&path, vec![0; 1_500_000]).unwrap();
        assert!(file(&path, false).found.ends_with("lab.duckdb, 1.5 MB, may be written"));
        let log = std::fs::File::create(folder.path().join("lab.duckdb.wal")).unwrap();
        log.set_len(LARGE_LOG).unwrap();
        assert_eq!(file(&path, false).level, Level::Warn);
        assert_eq!(file(&path.join("below"), false).level, Level::Fail, "a file is no folder");
    }
}
