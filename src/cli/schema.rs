//! `labtop init` and `labtop migrate`: the schema of every database in use.

use serde_json::{Value, json};

use crate::domain::table::Table;
use crate::ops::schema::{self, Migrated};

use super::error::CliError;
use super::{Outcome, Session};

/// Also takes over tables under our names that labtop did not make.
pub async fn init(session: &Session) -> Outcome {
    print(&schema::init(&session.lab).await?, session)
}

pub async fn migrate(session: &Session) -> Outcome {
    print(&schema::migrate(&session.lab).await?, session)
}

fn print(databases: &[Migrated], session: &Session) -> Result<u8, CliError> {
    let mut table = Table::new(&["database", "applied"]);
    for database in databases {
        let applied = match database.applied.as_slice() {
            [] => "nothing to do".to_owned(),
            names => names.join(", "),
        };
        table.rows.push(vec![database.place.clone().into(), applied.into()]);
    }
    let json: Vec<Value> = databases
        .iter()
        .map(|database| json!({ "database": database.place, "applied": database.applied }))
        .collect();
    session.output.result(&json, &table)?;
    Ok(0)
}
