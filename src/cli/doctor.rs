//! `labtop doctor`: checks every backend and says what to do about those that are down.

use serde_json::{Value, json};

use crate::domain::table::Table;
use crate::domain::text::one_line;
use crate::ops::health::{self, RoleHealth};

use super::output::Format;
use super::{Outcome, Session};

pub async fn run(session: &Session) -> Outcome {
    let roles = health::check(&session.lab).await;
    match session.output.format {
        Format::Table => session.output.write(&describe(&roles, &session.lab.settings.profile))?,
        _ => session.output.result(&roles.iter().map(as_json).collect::<Vec<_>>(), &table(&roles))?,
    }
    Ok(if roles.iter().all(|role| role.state.is_ok()) { 0 } else { 3 })
}

fn describe(roles: &[RoleHealth], profile: &str) -> String {
    let mut text = format!("Profile: {profile}\n");
    for role in roles {
        let (name, backend) = (role.role.as_str(), role.backend.as_str());
        match &role.state {
            Ok(health) => text.push_str(&format!(
                "up    {name:<12} {backend:<11} {} ms  {}  {}\n",
                health.latency.as_millis(),
                one_line(&health.place, 500),
                one_line(&health.version, 500)
            )),
            Err(error) => {
                text.push_str(&format!(
                    "DOWN  {name:<12} {backend:<11} {}\n",
                    one_line(&error.message, 1000)
                ));
                for line in error.remedy.iter().flat_map(|remedy| remedy.lines()) {
                    text.push_str(&format!("      {}\n", one_line(line, 1000)));
                }
            }
        }
    }
    text
}

fn as_json(role: &RoleHealth) -> Value {
    let (name, backend) = (role.role.as_str(), role.backend.as_str());
    match &role.state {
        Ok(health) => json!({
            "role": name, "backend": backend, "up": true, "place": health.place, "version": health.version,
            "latency_ms": health.latency.as_secs_f64() * 1e3,
        }),
        Err(error) => json!({
            "role": name, "backend": backend, "up": false, "error": error.message, "remedy": error.remedy,
        }),
    }
}

fn table(roles: &[RoleHealth]) -> Table {
    let mut table =
        Table::new(&["role", "backend", "up", "place", "version", "latency_ms", "error", "remedy"]);
    let columns = table.columns.clone();
    for json in roles.iter().map(as_json) {
        table.rows.push(columns.iter().map(|column| json.get(column).cloned().unwrap_or_default()).collect());
    }
    table
}
