//! `labtop config show`: every setting in force, and which layer set it.

use serde_json::{Value, json};

use crate::config::{Flags, Places, Setting, explain, variables};
use crate::domain::table::Table;

use super::Outcome;
use super::output::{Format, Output};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print every setting with its value and where that comes from; secrets are not shown
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// Only what differs from the built-in defaults
    #[arg(long)]
    changed: bool,
}

pub fn run(command: &Command, flags: &Flags, output: &Output) -> Outcome {
    let Command::Show(args) = command;
    let mut settings = explain(flags, &Places::usual(), &variables())?;
    settings.retain(|setting| !args.changed || !setting.is_default);
    let json: Vec<Value> = settings
        .iter()
        .map(|one| json!({ "key": one.key, "value": one.value, "origin": one.origin, "default": one.is_default }))
        .collect();
    let mut table = Table::new(&["key", "value", "origin"]);
    table.rows = settings
        .iter()
        .map(|one| vec![one.key.clone().into(), shown(one, output.format), one.origin.clone().into()])
        .collect();
    output.result(&json, &table)?;
    Ok(0)
}

/// In a table as it would be written in a file, but for the quotes of texts.
fn shown(setting: &Setting, format: Format) -> Value {
    match &setting.value {
        value if format == Format::Csv || !value.is_array() => value.clone(),
        list => list.to_string().into(),
    }
}
