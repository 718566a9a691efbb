//! The memory of DuckDB: little while a window of a list is read, as much as it likes for everything else.
//!
//! DuckDB keeps what it read until the file is closed, and its allocator keeps as much again. A look at some rows of a
//! million would take four times the memory of the rest of labtop, and gain nothing: the system has the file in its cache.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use duckdb::Connection;

/// Enough for an order of a million ids by a column of its own.
const LITTLE: &str = "32MB";

/// How much a read is known to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appetite {
    Little,
    Plenty,
}

/// How much the open database may have. The limit is one for all connections, and a write must never meet the small one.
#[derive(Debug, Default)]
pub struct Budget {
    state: Mutex<State>,
    /// The limit there was at first.
    plenty: OnceLock<String>,
}

#[derive(Debug, Default)]
struct State {
    /// Under way.
    writes: usize,
    is_little: bool,
}

impl Budget {
    /// Reads with little memory, unless more is known to be needed or something is being written, and has what is left of
    /// it given back. `work` that fails with little is done again with plenty if it `may_repeat`.
    pub fn read<T, E>(
        &self,
        connection: &Connection,
        appetite: Appetite,
        mut work: impl FnMut() -> Result<T, E>,
        may_repeat: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let is_little = appetite == Appetite::Little && self.lower(connection);
        let mut result = work();
        if is_little && result.as_ref().is_err_and(may_repeat) {
            self.raise(connection);
            result = work();
        }
        self.lower(connection);
        self.raise(connection);
        result
    }

    /// Plenty from now until what is returned is dropped.
    pub fn write(&self, connection: &Connection) -> Writing<'_> {
        self.lock().writes += 1;
        self.raise(connection);
        Writing(self)
    }

    /// False when it stays as it is, because somebody writes.
    fn lower(&self, connection: &Connection) -> bool {
        let mut state = self.lock();
        if state.writes == 0 && !state.is_little {
            state.is_little = self.known(connection) && set(connection, LITTLE);
        }
        state.is_little
    }

    fn raise(&self, connection: &Connection) {
        let mut state = self.lock();
        if let Some(plenty) = self.plenty.get().filter(|_| state.is_little) {
            state.is_little = !set(connection, plenty);
        }
    }

    /// Asked once: each answer is rounded down, and setting it again and again would lower it for good.
    fn known(&self, connection: &Connection) -> bool {
        if self.plenty.get().is_some() {
            return true;
        }
        let sql = "SELECT current_setting('memory_limit')";
        let limit = connection.query_row(sql, [], |row| row.get(0)).inspect_err(|error| {
            tracing::warn!("asking DuckDB for its limit of memory: {error}");
        });
        limit.is_ok_and(|limit| self.plenty.set(limit).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves it right at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Budget::write`].
#[derive(Debug)]
pub struct Writing<'a>(&'a Budget);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.lock().writes -= 1;
    }
}

/// Has DuckDB give back what it keeps beyond the limit, and what its allocator holds. `RESET` would change the setting
/// alone.
fn set(connection: &Connection, limit: &str) -> bool {
    let done = connection.execute_batch(&format!("SET memory_limit = '{limit}'"));
    if let Err(error) = &done {
        tracing::warn!("setting DuckDB's limit of memory to {limit}: {error}");
    }
    done.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(connection: &Connection) -> String {
        connection.query_row("SELECT current_setting('memory_limit')", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_read_has_little_and_what_fails_so_has_plenty() {
        let connection = Connection::open_in_memory().unwrap();
        // Without a folder to put it aside, what takes more than the limit fails.
        connection.execute_batch("SET temp_directory = ''").unwrap();
        let budget = Budget::default();
        for _ in 0..3 {
            let mut limits = Vec::new();
            let work = || {
                limits.push(limit(&connection));
                let sql = "SELECT count(DISTINCT hash(range)) FROM range(5000000)";
                connection.query_row(sql, [], |row| row.get::<_, i64>(0))
            };
            let found = budget.read(&connection, Appetite::Little, work, |_| true).unwrap();
            assert_eq!(found, 5_000_000);
            assert_eq!(limits, ["30.5 MiB".to_owned(), limit(&connection)]);
        }
    }

    #[test]
    fn a_write_has_plenty_whatever_is_read_beside_it() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        let read = |doing: &dyn Fn()| {
            let work = || {
                doing();
                Ok::<_, ()>(())
            };
            budget.read(&connection, Appetite::Little, work, |()| false).unwrap();
        };
        read(&|| {
            let little = limit(&connection);
            let writing = budget.write(&connection);
            let plenty = limit(&connection);
            assert_ne!(plenty, little);
            read(&|| assert_eq!(limit(&connection), plenty));
            drop(writing);
            read(&|| assert_eq!(limit(&connection), little));
            assert_eq!(limit(&connection), plenty);
        });
    }
}
