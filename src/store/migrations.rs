//! Migrations of any engine: embedded SQL in order, each applied once and recognised by its checksum.

use crate::domain::document::content_hash;

/// One file of `assets/migrations/<backend>/`. Append-only: what was shipped is never edited.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub name: &'static str,
    pub sql: &'static str,
}

impl Migration {
    /// SHA-256 of the file.
    pub fn checksum(&self) -> String {
        content_hash(self.sql)
    }
}

/// The migration of that name of a backend, with its text.
macro_rules! migration {
    ($backend:literal, $name:literal) => {
        Migration {
            name: $name,
            sql: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/assets/migrations/",
                $backend,
                "/",
                $name,
                ".sql"
            )),
        }
    };
}
pub(super) use migration;

/// What a database needs, given what was applied to it.
#[derive(Debug)]
pub enum Plan {
    /// These, in order; none when it is current.
    Apply(Vec<&'static Migration>),
    /// A newer labtop applied these.
    Newer(Vec<String>),
    /// This one was applied with another text.
    Edited(String),
}

/// Compares the applied `(name, checksum)` with the known migrations.
pub fn plan(known: &'static [Migration], applied: &[(String, String)]) -> Plan {
    let newer: Vec<String> = applied
        .iter()
        .filter(|(name, _)| !known.iter().any(|migration| migration.name == name))
        .map(|(name, _)| name.clone())
        .collect();
    if !newer.is_empty() {
        return Plan::Newer(newer);
    }
    let mut missing = Vec::new();
    for migration in known {
        match applied.iter().find(|(name, _)| name == migration.name) {
            Some((_, checksum)) if *checksum == migration.checksum() => {}
            Some((name, _)) => return Plan::Edited(name.clone()),
            None => missing.push(migration),
        }
    }
    Plan::Apply(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    static KNOWN: [Migration; 2] =
        [Migration { name: "0001_a", sql: "SELECT 1" }, Migration { name: "0002_b", sql: "SELECT 2" }];

    fn applied(index: usize) -> (String, String) {
        (KNOWN[index].name.to_owned(), KNOWN[index].checksum())
    }

    #[test]
    fn only_what_is_missing_is_applied() {
        let Plan::Apply(missing) = plan(&KNOWN, &[applied(0)]) else { panic!() };
        assert_eq!(missing.iter().map(|migration| migration.name).collect::<Vec<_>>(), ["0002_b"]);
        assert!(matches!(plan(&KNOWN, &[applied(0), applied(1)]), Plan::Apply(none) if none.is_empty()));
    }

    #[test]
    fn a_newer_schema_and_an_edited_file_are_refused() {
        let newer = ("0003_c".to_owned(), String::new());
        assert!(matches!(plan(&KNOWN, &[applied(0), newer]), Plan::Newer(names) if names == ["0003_c"]));
        let edited = ("0001_a".to_owned(), "x".to_owned());
        assert!(matches!(plan(&KNOWN, &[edited]), Plan::Edited(name) if name == "0001_a"));
    }
}
