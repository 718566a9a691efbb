//! `labtop keys`: the dashboard's keys, from the table that dispatches them.

use crate::domain::table::Table;
use crate::tui::keymap::Keymap;

use super::error::CliError;
use super::{Outcome, Session, dashboard};

pub fn run(session: &Session) -> Outcome {
    let keymap = Keymap::load(dashboard::user_keymap(&session.lab.settings));
    let rows = keymap.rows();
    let mut table = Table::new(&["section", "keys", "action", "description"]);
    for row in &rows {
        let action = serde_json::to_value(row.action).unwrap_or_default();
        table.rows.push(vec![row.section.into(), row.keys.clone().into(), action, row.description.into()]);
    }
    session.output.result(&rows, &table)?;
    match keymap.problems() {
        [] => Ok(0),
        problems => {
            let problems = problems.join("\n");
            Err(CliError::Usage(format!("these lines of the keymap are not in force:\n{problems}")))
        }
    }
}
