//! The memory of DuckDB: little while a window of a list is read, as much as it likes for everything else.
//!
//! DuckDB keeps what it read until the file is closed, and its allocator keeps as much again. A look at some rows of a
//! million would take four times the memory of the rest of labtop, and gain nothing: the system has the file in its cache.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use duckdb::Connection;

/// Enough for an order of a million ids by a column of its own. With a quarter less it fails now and then.
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
    /// Under way with the limit there was at first: writes, and reads that take more than a little.
    plenty: usize,
    /// Reads under way that are meant to do with little.
    little: usize,
    is_little: bool,
}

impl Budget {
    /// Reads with little memory, unless more is known to be needed or something else under way needs it, and has what is
    /// left of it given back. `work` that fails with little is done again with plenty if it `may_repeat`.
    pub fn read<T, E: Display>(
        &self,
        connection: &Connection,
        appetite: Appetite,
        mut work: impl FnMut() -> Result<T, E>,
        may_repeat: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        if appetite == Appetite::Little {
            let is_little = self.sit_down(connection);
            let result = work();
            self.get_up(connection);
            match &result {
                Err(error) if is_little && may_repeat(error) => {
                    tracing::debug!("done again with more memory than {LITTLE}: {error}");
                }
                _ => return result,
            }
        }
        let plenty = self.plenty(connection);
        let result = work();
        drop(plenty);
        self.give_back(connection, &mut self.lock());
        result
    }

    /// Plenty from now until what is returned is dropped.
    pub fn write(&self, connection: &Connection) -> Plenty<'_> {
        self.plenty(connection)
    }

    fn plenty(&self, connection: &Connection) -> Plenty<'_> {
        let mut state = self.lock();
        state.plenty += 1;
        self.raise(connection, &mut state);
        Plenty(self)
    }

    /// A read with little begins; false when there is plenty for the sake of something else.
    fn sit_down(&self, connection: &Connection) -> bool {
        let mut state = self.lock();
        state.little += 1;
        self.lower(connection, &mut state);
        state.is_little
    }

    /// It ends.
    fn get_up(&self, connection: &Connection) {
        let mut state = self.lock();
        state.little -= 1;
        self.give_back(connection, &mut state);
    }

    /// Has what is kept beyond little given back, and stays there as long as somebody reads with little.
    fn give_back(&self, connection: &Connection, state: &mut State) {
        self.lower(connection, state);
        if state.little == 0 {
            self.raise(connection, state);
        }
    }

    fn lower(&self, connection: &Connection, state: &mut State) {
        if state.plenty == 0 && !state.is_little {
            state.is_little = self.known(connection) && set(connection, LITTLE);
        }
    }

    fn raise(&self, connection: &Connection, state: &mut State) {
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
pub struct Plenty<'a>(&'a Budget);

impl Drop for Plenty<'_> {
    fn drop(&mut self) {
        self.0.lock().plenty -= 1;
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
    use std::convert::Infallible;

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
                Ok::<_, Infallible>(())
            };
            budget.read(&connection, Appetite::Little, work, |_| false).unwrap();
        };
        read(&|| {
            let little = limit(&connection);
            let writing = budget.write(&connection);
            let plenty = limit(&connection);
            assert_ne!(plenty, little);
            read(&|| assert_eq!(limit(&connection), plenty));
            drop(writing);
            read(&|| assert_eq!(limit(&connection), little));
        });
    }

    #[test]
    fn one_of_two_reads_with_little_that_ends_leaves_the_other_its_little() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        let at_first = limit(&connection);
        let read = |appetite: Appetite, doing: &mut dyn FnMut()| {
            let work = || {
                doing();
                Ok::<_, Infallible>(())
            };
            budget.read(&connection, appetite, work, |_| false).unwrap();
        };
        read(Appetite::Little, &mut || {
            let little = limit(&connection);
            read(Appetite::Little, &mut || assert_eq!(limit(&connection), little));
            assert_eq!(limit(&connection), little);
            read(Appetite::Plenty, &mut || assert_ne!(limit(&connection), little));
            assert_eq!(limit(&connection), little);
        });
        assert_eq!(limit(&connection).split('.').next(), at_first.split('.').next());
    }
}
