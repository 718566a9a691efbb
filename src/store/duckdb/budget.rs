//! The memory of DuckDB: little while a window of a list is read, as much as it likes for everything else.
//!
//! DuckDB keeps what it read until the file is closed, and its allocator keeps as much again. A look at some rows of a
//! million would take four times the memory of the rest of labtop, and gain nothing: the system has the file in its cache.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use duckdb::Connection;

use crate::store::Result;

use super::error::is_out_of_memory;

/// Enough to look at every row once; half of it is not.
const LEAST: &str = "16MB";

/// Enough for an order of a million ids by a column of its own, and for a window from all over the table. With 24 MB an
/// order fails now and then.
const LITTLE: &str = "28MB";

/// How much a read is known to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appetite {
    Least,
    Little,
    Plenty,
}

/// How much the open database may have. The limit is one for all connections: the greatest that something under way needs,
/// and a write needs the one there was at first.
#[derive(Debug, Default)]
pub struct Budget {
    state: Mutex<State>,
    /// The limit there was at first.
    plenty: OnceLock<String>,
}

#[derive(Debug)]
struct State {
    /// How many are under way, by their appetite.
    under_way: [usize; 3],
    /// None when it is not known: setting it may have been interrupted before it was done, or after.
    limit: Option<Appetite>,
}

impl Default for State {
    fn default() -> Self {
        State { under_way: [0; 3], limit: Some(Appetite::Plenty) }
    }
}

impl Budget {
    /// Reads with as little memory as is known to do, unless something else under way needs more, and has what is left of it
    /// given back.
    pub fn read<T>(&self, connection: &Connection, appetite: Appetite, work: impl FnOnce() -> T) -> T {
        self.begin(connection, appetite);
        let result = work();
        self.end(connection, appetite);
        result
    }

    /// Does again with plenty what had too little: for the sake of another read, or by its own appetite.
    pub fn or_plenty<T>(&self, connection: &Connection, work: impl Fn() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if is_out_of_memory(&error) => {
                tracing::debug!("done again with plenty of memory: {error}");
                self.read(connection, Appetite::Plenty, work)
            }
            result => result,
        }
    }

    /// Plenty from now until what is returned is dropped.
    pub fn write(&self, connection: &Connection) -> Plenty<'_> {
        self.begin(connection, Appetite::Plenty);
        if self.lock().limit != Some(Appetite::Plenty) {
            // Nothing interrupts what a write sets: this is no matter of the next attempt, as it is with a read.
            tracing::warn!("a write goes on with less memory than DuckDB had at first");
        }
        Plenty(self)
    }

    fn begin(&self, connection: &Connection, appetite: Appetite) {
        let mut state = self.lock();
        state.under_way[appetite as usize] += 1;
        let wanted = state.greatest().unwrap_or(appetite);
        self.limit(connection, &mut state, wanted);
    }

    /// Has what is kept beyond the least given back, as far as nothing else under way needs it.
    fn end(&self, connection: &Connection, appetite: Appetite) {
        let mut state = self.lock();
        state.under_way[appetite as usize] -= 1;
        let greatest = state.greatest();
        self.limit(connection, &mut state, greatest.unwrap_or(Appetite::Least));
        if greatest.is_none() {
            self.limit(connection, &mut state, Appetite::Plenty);
        }
    }

    fn limit(&self, connection: &Connection, state: &mut State, wanted: Appetite) {
        if state.limit == Some(wanted) {
            return;
        }
        let Some(plenty) = self.known(connection) else { return };
        let limit = match wanted {
            Appetite::Least => LEAST,
            Appetite::Little => LITTLE,
            Appetite::Plenty => plenty,
        };
        state.limit = set(connection, limit).then_some(wanted);
    }

    /// The limit there was at first. Asked once: each answer is rounded down, and setting it again and again would lower it
    /// for good.
    fn known(&self, connection: &Connection) -> Option<&str> {
        if self.plenty.get().is_none() {
            let sql = "SELECT current_setting('memory_limit')";
            match connection.query_row(sql, [], |row| row.get(0)) {
                Ok(limit) => _ = self.plenty.set(limit),
                Err(error) => tracing::warn!("asking DuckDB for its limit of memory: {error}"),
            }
        }
        self.plenty.get().map(String::as_str)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves it right at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn greatest(&self) -> Option<Appetite> {
        let of = |appetite: &Appetite| self.under_way[*appetite as usize] > 0;
        [Appetite::Plenty, Appetite::Little, Appetite::Least].into_iter().find(of)
    }
}

/// See [`Budget::write`].
#[derive(Debug)]
pub struct Plenty<'a>(&'a Budget);

impl Drop for Plenty<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way[Appetite::Plenty as usize] -= 1;
    }
}

/// Has DuckDB give back what it keeps beyond the limit, and what its allocator holds. `RESET` would change the setting
/// alone.
fn set(connection: &Connection, limit: &str) -> bool {
    let done = connection.execute_batch(&format!("SET memory_limit = '{limit}'"));
    if let Err(error) = &done {
        // As when the read is interrupted, and the next one sets it.
        tracing::debug!("setting DuckDB's limit of memory to {limit}: {error}");
    }
    done.is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::error::from_duckdb;
    use super::*;

    impl Budget {
        /// Nothing is under way.
        pub(in crate::store::duckdb) fn is_idle(&self) -> bool {
            self.lock().greatest().is_none()
        }
    }

    fn limit(connection: &Connection) -> String {
        connection.query_row("SELECT current_setting('memory_limit')", [], |row| row.get(0)).unwrap()
    }

    /// Takes some 100 MB, and has no folder to put them aside.
    fn count(connection: &Connection) -> Result<i64> {
        connection.execute_batch("SET temp_directory = ''").unwrap();
        let sql = "SELECT count(DISTINCT hash(range)) FROM range(5000000)";
        let count = connection.query_row(sql, [], |row| row.get(0));
        count.map_err(|error| from_duckdb(error, "counting", Path::new("memory")))
    }

    #[test]
    fn what_has_too_little_for_itself_is_done_again_with_plenty() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        for _ in 0..3 {
            let limits: Mutex<Vec<String>> = Mutex::default();
            let work = || {
                budget.read(&connection, Appetite::Little, || {
                    limits.lock().unwrap().push(limit(&connection));
                    count(&connection)
                })
            };
            assert_eq!(budget.or_plenty(&connection, work).unwrap(), 5_000_000);
            assert_eq!(*limits.lock().unwrap(), ["26.7 MiB".to_owned(), limit(&connection)]);
        }
    }

    #[test]
    fn what_has_too_little_for_the_sake_of_another_is_done_again_with_plenty() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        budget.read(&connection, Appetite::Least, || {
            assert!(is_out_of_memory(&count(&connection).unwrap_err()));
            assert_eq!(budget.or_plenty(&connection, || count(&connection)).unwrap(), 5_000_000);
            assert_eq!(limit(&connection), "15.2 MiB");
        });
    }

    #[test]
    fn a_write_has_plenty_whatever_is_read_beside_it() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        let limit = || limit(&connection);
        budget.read(&connection, Appetite::Little, || {
            let little = limit();
            let writing = budget.write(&connection);
            let plenty = limit();
            assert_ne!(plenty, little);
            budget.read(&connection, Appetite::Little, || assert_eq!(limit(), plenty));
            drop(writing);
            budget.read(&connection, Appetite::Little, || assert_eq!(limit(), little));
        });
    }

    #[test]
    fn a_write_has_plenty_after_a_limit_that_was_set_and_told_as_interrupted() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        budget.read(&connection, Appetite::Least, || ());
        let broken = Connection::open_in_memory().unwrap();
        broken.execute_batch("BEGIN; SELECT error('aborted')").unwrap_err();
        budget.read(&broken, Appetite::Least, || {
            connection.execute_batch("SET memory_limit = '16MB'").unwrap();
            let _writing = budget.write(&connection);
            assert!(limit(&connection).ends_with("GiB"), "{}", limit(&connection));
        });
    }

    #[test]
    fn the_greatest_appetite_of_what_is_under_way_counts() {
        let connection = Connection::open_in_memory().unwrap();
        let budget = Budget::default();
        let limit = || limit(&connection);
        let at_first = limit();
        budget.read(&connection, Appetite::Least, || {
            assert_eq!(limit(), "15.2 MiB");
            budget.read(&connection, Appetite::Little, || {
                assert_eq!(limit(), "26.7 MiB");
                budget.read(&connection, Appetite::Least, || assert_eq!(limit(), "26.7 MiB"));
                budget
                    .read(&connection, Appetite::Plenty, || assert!(limit().ends_with("GiB"), "{}", limit()));
                assert_eq!(limit(), "26.7 MiB");
            });
            assert_eq!(limit(), "15.2 MiB");
        });
        assert_eq!(limit().split('.').next(), at_first.split('.').next());
    }
}
