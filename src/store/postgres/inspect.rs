//! What a PostgreSQL server is and what it lets us do.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::domain::text::one_line;
use crate::store::inspect::{Finding, Inspect, clock};
use crate::store::{Backend, Result};

use super::Pg;

/// As `server_version_num` counts. What our statements need, and what its makers still look after.
const OLDEST: i32 = 130_000;
const LOOKED_AFTER: i32 = 140_000;

/// Iterative index scans, without which a filtered search finds too few.
const VECTOR: (u32, u32) = (0, 8);

const SQL: &str = "SELECT current_setting('server_version') AS server, \
    current_setting('server_version_num')::int4 AS number, \
    (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector, \
    (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available, \
    pg_is_in_recovery() AS standby, \
    current_setting('default_transaction_read_only')::bool AS reads_only, \
    current_user::text AS login, \
    CASE WHEN to_regnamespace('ml_schema') IS NULL THEN has_database_privilege(current_database(), 'CREATE') \
         ELSE has_schema_privilege('ml_schema', 'USAGE') AND has_schema_privilege('ml_schema', 'CREATE') END AS makes, \
    (SELECT coalesce(bool_and(has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') \
         AND has_table_privilege(c.oid, 'DELETE')), true) \
         FROM pg_class c WHERE c.relnamespace = to_regnamespace('ml_schema') AND c.relkind IN ('r', 'p')) AS writes, \
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted, \
    inet_server_addr() IS NULL OR inet_server_addr() << '127.0.0.0/8' OR inet_server_addr() = '::1' AS local, \
    clock_timestamp() AS now";

#[async_trait]
impl Inspect for Pg {
    fn backend(&self) -> Backend {
        Backend::Postgres
    }

    async fn inspect(&self) -> Result<Vec<Finding>> {
        let doing = "looking at the server";
        let mut reader = self.bare_reader(doing).await?;
        let before = Timestamp::now();
        let row = reader.one(doing, SQL, &[]).await?;
        let after = Timestamp::now();
        let read = |error| self.told(doing, error);
        let facts = Facts::of(&row).map_err(read)?;
        let now: Timestamp = row.try_get("now").map_err(read)?;
        Ok(vec![
            server(&facts.server, facts.number),
            vector(facts.vector.as_deref(), facts.available.as_deref()),
            facts.rights(self.shared.read_only),
            facts.encryption(),
            clock(now, before, after),
        ])
    }
}

struct Facts {
    server: String,
    number: i32,
    vector: Option<String>,
    available: Option<String>,
    standby: bool,
    reads_only: bool,
    login: String,
    makes: bool,
    writes: bool,
    encrypted: bool,
    local: bool,
}

impl Facts {
    fn of(row: &Row) -> std::result::Result<Self, tokio_postgres::Error> {
        Ok(Facts {
            server: row.try_get("server")?,
            number: row.try_get("number")?,
            vector: row.try_get("vector")?,
            available: row.try_get("available")?,
            standby: row.try_get("standby")?,
            reads_only: row.try_get("reads_only")?,
            login: row.try_get("login")?,
            makes: row.try_get("makes")?,
            writes: row.try_get("writes")?,
            encrypted: row.try_get("encrypted")?,
            local: row.try_get("local")?,
        })
    }

    /// `by_choice`: labtop itself was told to read only.
    fn rights(&self, by_choice: bool) -> Finding {
        let check = "rights";
        let login = one_line(&self.login, 100);
        if self.standby {
            let found = "the server is a standby: it takes no writes";
            return Finding::fail(check, found, "Use the primary's address, or look only with --read-only.");
        }
        if self.reads_only && !by_choice {
            let found = format!("transactions of {login} are read-only here");
            let remedy =
                format!("As an administrator: ALTER ROLE {login} RESET default_transaction_read_only.");
            return Finding::fail(check, found, remedy);
        }
        if !self.writes {
            let found = format!("{login} may not write to all tables of ml_schema");
            let remedy = format!(
                "As their owner: GRANT ALL ON ALL TABLES IN SCHEMA ml_schema TO {login}, or use --read-only."
            );
            return Finding::fail(check, found, remedy);
        }
        if !self.makes {
            let found = format!("{login} may write, but not make or migrate tables");
            let remedy = format!("As an administrator: GRANT ALL ON SCHEMA ml_schema TO {login}.");
            return Finding::warn(check, found, remedy);
        }
        Finding::ok(check, format!("{login} may read, write and migrate"))
    }

    fn encryption(&self) -> Finding {
        let check = "encryption";
        match (self.encrypted, self.local) {
            (true, _) => Finding::ok(check, "the connection is encrypted"),
            (false, true) => Finding::ok(check, "the connection is not encrypted, and stays on this machine"),
            (false, false) => Finding::warn(
                check,
                "the connection is not encrypted: who can listen on the network reads along",
                "Ask for TLS, if the server has it.",
            ),
        }
    }
}

fn server(shown: &str, number: i32) -> Finding {
    let check = "server version";
    let found = format!("PostgreSQL {}", one_line(shown, 100));
    if number < OLDEST {
        let remedy = "Update the server: labtop needs PostgreSQL 13 or later.";
        Finding::fail(check, found, remedy)
    } else if number < LOOKED_AFTER {
        Finding::warn(check, found, "Update the server when you can: this version gets no repairs any more.")
    } else {
        Finding::ok(check, found)
    }
}

fn vector(installed: Option<&str>, available: Option<&str>) -> Finding {
    let check = "vector extension";
    match (installed, available) {
        (Some(version), _) if is_enough(version) => Finding::ok(check, format!("pgvector {version}")),
        (Some(version), _) => {
            let found = format!("pgvector {version}: searches with an index may find too few");
            let remedy = match available.filter(|available| is_enough(available)) {
                Some(_) => "As an administrator: ALTER EXTENSION vector UPDATE.",
                None => "Install pgvector 0.8 or later on the server, then ALTER EXTENSION vector UPDATE.",
            };
            Finding::warn(check, found, remedy)
        }
        (None, Some(available)) => Finding::warn(
            check,
            format!("pgvector {available} is there and not switched on: documents need it"),
            "As an administrator: CREATE EXTENSION vector (labtop does it by itself where it may).",
        ),
        (None, None) => Finding::warn(
            check,
            "the server has no pgvector: experiments work, documents do not",
            "Install pgvector 0.8 or later on the server, or keep documents elsewhere (roles.documents = \"duckdb\").",
        ),
    }
}

fn is_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= VECTOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::inspect::Level;

    #[test]
    fn versions_are_judged() {
        for (number, level) in [(120_022, Level::Fail), (130_014, Level::Warn), (180_006, Level::Ok)] {
            assert_eq!(server("x", number).level, level, "{number}");
        }
        for (installed, available, level, words) in [
            (Some("0.8.6"), Some("0.8.6"), Level::Ok, "0.8.6"),
            (Some("1.0"), None, Level::Ok, "1.0"),
            (Some("0.7.4"), Some("0.8.6"), Level::Warn, "too few"),
            (None, Some("0.8.6"), Level::Warn, "not switched on"),
            (None, None, Level::Warn, "no pgvector"),
        ] {
            let finding = vector(installed, available);
            assert_eq!(finding.level, level, "{installed:?}");
            assert!(finding.found.contains(words), "{}", finding.found);
        }
    }

    #[test]
    fn rights_that_are_missing_are_named_with_who_gives_them() {
        let all = || Facts {
            server: String::new(),
            number: 0,
            vector: None,
            available: None,
            standby: false,
            reads_only: false,
            login: "ana".to_owned(),
            makes: true,
            writes: true,
            encrypted: false,
            local: true,
        };
        assert_eq!(all().rights(false).level, Level::Ok);
        assert_eq!(Facts { reads_only: true, ..all() }.rights(true).level, Level::Ok);
        for (facts, level, words) in [
            (Facts { standby: true, ..all() }, Level::Fail, "standby"),
            (Facts { reads_only: true, ..all() }, Level::Fail, "read-only"),
            (Facts { writes: false, ..all() }, Level::Fail, "may not write"),
            (Facts { makes: false, ..all() }, Level::Warn, "migrate"),
        ] {
            let finding = facts.rights(false);
            assert_eq!(finding.level, level, "{words}");
            assert!(finding.found.contains(words) && finding.remedy.is_some(), "{finding:?}");
        }
        assert_eq!(Facts { local: false, ..all() }.encryption().level, Level::Warn);
    }
}
