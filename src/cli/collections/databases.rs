//! `labtop collections databases`: where Chroma keeps collections.

use crate::domain::database::{Database, KnownDatabase};
use crate::domain::table::Table;
use crate::ops::database;

use crate::cli::output::Format;
use crate::cli::{Outcome, Session, rm};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the databases of the tenant
    Ls,
    /// Create a database in the tenant
    Create {
        name: String,
        /// Create the tenant too, if there is none of that name: nothing deletes one
        #[arg(long)]
        new_tenant: bool,
    },
    /// Delete a database of the tenant with its collections
    Rm {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Command {
    pub fn changes_something(&self) -> bool {
        !matches!(self, Command::Ls)
    }
}

pub async fn run(command: Command, session: &Session) -> Outcome {
    let lab = &session.lab;
    let here = database::here(lab).unwrap_or_default();
    let named = |name: String| Database::new(here.tenant.clone(), name);
    match command {
        Command::Ls => {
            let known = database::list(lab, &here.tenant).await?;
            session.output.result(&known, &table(&known, &here))?;
            if known.is_empty() {
                session.output.note(
                    "No databases: labtop collections databases create NAME makes one, labtop init the one of the settings.",
                );
            }
            Ok(0)
        }
        Command::Create { name, new_tenant } => {
            let database = named(name);
            database::create(lab, &database, new_tenant).await?;
            told(session, &format!("Created database: {database}"), &database)
        }
        Command::Rm { name, yes } => {
            let database = named(name);
            if !yes {
                let found = database::get(lab, &database).await?;
                let collections = found.collections.map_or_else(String::new, |count| format!("{count} "));
                let ours = if database == here { ", which is the one in use," } else { "" };
                let what = format!(
                    "Delete the database {database}{ours} with its {collections}collections for good"
                );
                rm::confirm(&what)?;
            }
            database::remove(lab, &database).await?;
            told(session, &format!("Deleted database: {database}"), &database)
        }
    }
}

/// One line for a person, the database for a program.
fn told(session: &Session, line: &str, database: &Database) -> Outcome {
    match session.output.format {
        Format::Table => session.output.line(line)?,
        _ => session.output.json(database)?,
    }
    Ok(0)
}

fn table(known: &[KnownDatabase], here: &Database) -> Table {
    let mut table = Table::new(&["tenant", "database", "collections", "in_use"]);
    for KnownDatabase { database, collections } in known {
        table.rows.push(vec![
            database.tenant.clone().into(),
            database.name.clone().into(),
            (*collections).into(),
            if database == here { "yes" } else { "" }.into(),
        ]);
    }
    table
}
