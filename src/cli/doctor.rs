//! `labtop doctor`: everything that can be checked, and what to do about what is wrong.

use serde_json::{Value, json};

use crate::config::{ConfigError, Places, explain, variables, view};
use crate::domain::table::Table;
use crate::domain::text::{one_line, width};
use crate::ops::doctor::{self, Check, Finding, Level};
use crate::telemetry;

use super::error::CliError;
use super::output::{Format, Output};
use super::{Global, Outcome, Session, dashboard, flags};

/// What a backend or labtop's own files are about, beside roles and backends.
const OWN: &str = "labtop";

pub async fn run(session: &Session, global: &Global) -> Outcome {
    let mut checks = own(session, global)?;
    checks.extend(doctor::examine(&session.lab).await);
    print(&checks, &session.output)?;
    let failed = checks.iter().any(|check| check.finding.level == Level::Fail);
    Ok(if failed { 3 } else { 0 })
}

/// Settings that cannot be in force are a finding too; nothing else can be looked at then.
pub fn without_settings(error: &ConfigError, output: &Output) -> Outcome {
    let remedy =
        "Correct the line that is named. `config/default.toml` and `labtop config show` show every setting.";
    print(&[Check::of(OWN, Finding::fail("settings", error.to_string(), remedy))], output)?;
    Ok(2)
}

/// Settings, and the files beside them.
fn own(session: &Session, global: &Global) -> Result<Vec<Check>, CliError> {
    let settings = &session.lab.settings;
    let explained = explain(&flags(global), &Places::usual(), &variables())?;
    let changed = explained.iter().filter(|setting| !setting.is_default).count();
    let found =
        format!("profile {}; {changed} differ from the defaults (`labtop config show`)", settings.profile);
    let mut findings = vec![Finding::ok("settings", found)];
    let (_, problems) = dashboard::app(settings, global, None);
    findings.push(match problems.as_slice() {
        [] => Finding::ok("keymap and theme", "as the settings name them"),
        problems => {
            let remedy = "Correct these lines; what they say is not in force. `labtop keys` lists what is.";
            Finding::warn("keymap and theme", problems.join("; "), remedy)
        }
    });
    findings.extend(view());
    findings.extend(log(settings));
    Ok(findings.into_iter().map(|finding| Check::of(OWN, finding)).collect())
}

/// The remembered arrangement: only looked at, since loading would set a broken one aside.
fn view() -> Option<Finding> {
    let place = view::usual_place()?;
    let problem = view::problem(&place)?;
    let remedy = "The next start of the dashboard sets it aside and begins anew.";
    Some(Finding::warn("remembered view", format!("{}: {problem}", place.display()), remedy))
}

fn log(settings: &crate::config::Settings) -> Option<Finding> {
    let (path, place) = telemetry::file(&settings.log)?;
    // It was opened when the program started, or the program would not have started.
    let size = path.metadata().map_or(0, |found| found.len());
    Some(Finding::ok("log file", format!("{} ({place}), {:.1} MB", path.display(), size as f64 / 1e6)))
}

fn print(checks: &[Check], output: &Output) -> Result<(), CliError> {
    match output.format {
        Format::Table => output.write(&describe(checks))?,
        _ => output.result(&checks.iter().map(as_json).collect::<Vec<_>>(), &table(checks))?,
    }
    let count = |level| checks.iter().filter(|check| check.finding.level == level).count();
    let (warned, failed) = (count(Level::Warn), count(Level::Fail));
    output.note(&format!("{} checks: {warned} to look at, {failed} failed", checks.len()));
    Ok(())
}

fn describe(checks: &[Check]) -> String {
    let subject = |check: &Check| match &check.role {
        Some((role, backend, _)) => format!("{role} ({backend})"),
        None => one_line(&check.subject, 100),
    };
    let column =
        |text: fn(&Check) -> String| checks.iter().map(|check| width(&text(check))).max().unwrap_or(0);
    let (subjects, names) = (column(subject), column(|check| check.finding.check.to_owned()));
    let mut text = String::new();
    for check in checks {
        let Finding { check: name, level, found, remedy } = &check.finding;
        let sign = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        let (subject, mut lines) = (subject(check), found.lines());
        let first = one_line(lines.next().unwrap_or_default(), 1000);
        text.push_str(&format!("{sign}  {subject:<subjects$}  {name:<names$}  {first}\n"));
        let below = lines.chain(remedy.iter().flat_map(|remedy| remedy.lines()));
        for line in below {
            text.push_str(&format!("{:<1$}{2}\n", "", 10 + subjects + names, one_line(line, 1000)));
        }
    }
    text
}

fn as_json(check: &Check) -> Value {
    let Finding { check: name, level, found, remedy } = &check.finding;
    let (role, backend, health) = match &check.role {
        Some((role, backend, health)) => (Some(role.as_str()), Some(backend.as_str()), health.as_ref()),
        None => (None, None, None),
    };
    json!({
        "check": name,
        "subject": check.subject,
        "state": level.as_str(),
        "found": found,
        "remedy": remedy,
        "role": role,
        "backend": backend,
        "up": role.map(|_| health.is_some()),
        "place": health.map(|health| &health.place),
        "version": health.map(|health| &health.version),
        "latency_ms": health.map(|health| health.latency.as_secs_f64() * 1e3),
    })
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(&[
        "check",
        "subject",
        "state",
        "found",
        "remedy",
        "role",
        "backend",
        "up",
        "place",
        "version",
        "latency_ms",
    ]);
    let columns = table.columns.clone();
    for json in checks.iter().map(as_json) {
        table.rows.push(columns.iter().map(|column| json.get(column).cloned().unwrap_or_default()).collect());
    }
    table
}
