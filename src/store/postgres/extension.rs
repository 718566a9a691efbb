//! The vector extension: which versions can do what, and what to tell where it is missing.

use crate::store::{ErrorKind, Result, StoreError};

use super::Pg;

/// A version of pgvector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extension {
    major: u32,
    minor: u32,
}

impl Extension {
    pub fn new(version: &str) -> Self {
        let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
        Extension { major: numbers.next().unwrap_or(0), minor: numbers.next().unwrap_or(0) }
    }

    fn at_least(self, minor: u32) -> bool {
        self.major > 0 || self.minor >= minor
    }

    /// Has HNSW indexes.
    pub fn has_hnsw(self) -> bool {
        self.at_least(5)
    }

    /// Has vectors of half the size, and indexes for l1.
    pub fn has_half(self) -> bool {
        self.at_least(7)
    }

    /// Goes on along an index until enough is found.
    pub fn iterates(self) -> bool {
        self.at_least(8)
    }

    /// What an old one lacks, for who looks after the server.
    pub fn shortcomings(self) -> Option<&'static str> {
        if !self.has_hnsw() {
            Some("before 0.5 it has no HNSW indexes")
        } else if !self.has_half() {
            Some(
                "before 0.7 it indexes neither l1 nor more than 2,000 dimensions, before 0.8 searches with a filter are exact",
            )
        } else if !self.iterates() {
            Some("before 0.8 searches with a filter are exact")
        } else {
            None
        }
    }
}

/// What the server says of the extension.
struct Availability {
    database: String,
    user: String,
    /// What the server's disk holds.
    available: Option<String>,
    may_create: bool,
}

impl Pg {
    /// Says in our words why the extension is not there, and who can do what about it.
    pub(super) async fn explain_no_vector(&self, doing: &str, error: StoreError) -> StoreError {
        match self.availability(doing).await {
            Ok(found) => {
                let (message, remedy) = found.words();
                StoreError { message, remedy: Some(remedy), ..error }
            }
            Err(second) => {
                tracing::debug!(%second, "could not ask what the server has of pgvector");
                error
            }
        }
    }

    async fn availability(&self, doing: &str) -> Result<Availability> {
        let mut reader = self.bare_reader(doing).await?;
        let sql = "SELECT current_database()::text, current_user::text, \
             (SELECT default_version FROM pg_available_extensions WHERE name = 'vector'), \
             (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \
             OR (has_database_privilege(current_database(), 'CREATE') \
                 AND EXISTS (SELECT FROM pg_available_extension_versions WHERE name = 'vector' AND trusted))";
        let row = reader.one(doing, sql, &[]).await?;
        Ok(Availability {
            database: self.value(doing, &row, 0)?,
            user: self.value(doing, &row, 1)?,
            available: self.value(doing, &row, 2)?,
            may_create: self.value::<Option<bool>>(doing, &row, 3)?.unwrap_or_default(),
        })
    }

    /// What a server with an old extension should be told about, besides its version.
    pub(super) fn old_extension(version: &str) -> Option<String> {
        let lacks = Extension::new(version).shortcomings()?;
        Some(format!("{lacks}; ALTER EXTENSION vector UPDATE brings a newer one if the server has it"))
    }

    pub(super) fn too_old(&self, doing: &str, version: &str, needs: &str) -> StoreError {
        self.error(ErrorKind::Invalid, doing, format!("{needs}, and the database has pgvector {version}"))
            .remedy("Install a newer pgvector on the server, then ALTER EXTENSION vector UPDATE.")
    }
}

impl Availability {
    fn words(&self) -> (String, String) {
        let Availability { database, user, available, may_create } = self;
        match available {
            None => (
                "the server has no pgvector installed, which documents need".to_owned(),
                "Install it there (apt: postgresql-NN-pgvector; Docker: the image pgvector/pgvector), then try again. \
                 Experiments work without; `roles.documents = \"duckdb\"` keeps documents in the DuckDB file."
                    .to_owned(),
            ),
            Some(version) if !may_create => (
                format!(
                    "database '{database}' has no vector extension, which documents need, and user '{user}' may not \
                     create it"
                ),
                format!(
                    "The server has pgvector {version}: have one who may run CREATE EXTENSION vector in '{database}'. \
                     Experiments work without; `roles.documents = \"duckdb\"` keeps documents in the DuckDB file."
                ),
            ),
            Some(version) => (
                format!("database '{database}' has no vector extension, which documents need"),
                format!("The server has pgvector {version}: run CREATE EXTENSION vector in '{database}'."),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_can_do_what_they_can() {
        let can = |version| {
            let extension = Extension::new(version);
            (extension.has_hnsw(), extension.has_half(), extension.iterates())
        };
        assert_eq!(can("0.4.4"), (false, false, false));
        assert_eq!(can("0.6.2"), (true, false, false));
        assert_eq!(can("0.7"), (true, true, false));
        assert_eq!(can("0.8.6"), (true, true, true));
        assert_eq!(can("1.0"), (true, true, true));
        assert_eq!(can("0.10.0"), (true, true, true));
        assert!(Pg::old_extension("0.7.4").is_some_and(|told| told.contains("with a filter are exact")));
        assert_eq!(Pg::old_extension("0.8.0"), None);
    }

    #[test]
    fn who_can_do_something_is_told() {
        let availability = |available: Option<&str>, may_create| Availability {
            database: "d".to_owned(),
            user: "u".to_owned(),
            available: available.map(ToOwned::to_owned),
            may_create,
        };
        assert!(availability(None, false).words().0.contains("no pgvector installed"));
        let (message, remedy) = availability(Some("0.8.6"), false).words();
        assert!(message.contains("user 'u' may not create it") && remedy.contains("have one who may"));
    }
}
