//! The doctor: everything that can be checked, each with its remedy.

use futures_util::future::join_all;
use jiff::Timestamp;

use super::Lab;
use super::health::{self, RoleHealth};
use super::reaper::{self, LEASE};
use crate::store::schema::SchemaState;
use crate::store::{Backend, ErrorKind, Health, Role, StoreError};

pub use crate::store::inspect::{Finding, Level};

/// One check of a whole examination.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What it is about: a role, a backend, or a part of labtop.
    pub subject: String,
    pub finding: Finding,
    /// Of a role: who plays it, and who answered if somebody did.
    pub role: Option<(Role, Backend, Option<Health>)>,
}

impl Check {
    pub fn of(subject: impl Into<String>, finding: Finding) -> Self {
        Check { subject: subject.into(), finding, role: None }
    }
}

/// The name of the check that a role answers.
pub const ANSWERS: &str = "answers";

/// Looks at everything that the settings name and changes nothing, but that a database which is used for the first time is
/// prepared. What cannot be looked at since its backend is down is left out: that it is down is one check.
pub async fn examine(lab: &Lab) -> Vec<Check> {
    let health = health::check(lab).await;
    // Foreign tables keep a role from working, and are looked at all the same.
    let responds = |state: &Result<Health, StoreError>| match state {
        Ok(_) => true,
        Err(error) => error.kind == ErrorKind::Conflict,
    };
    let is_up = |backend: Backend| health.iter().any(|role| role.backend == backend && responds(&role.state));
    let answers = |role: Role| health.iter().any(|known| known.role == role && known.state.is_ok());
    let mut checks: Vec<Check> = Vec::new();
    let inspectors =
        lab.inspectors.iter().filter(|one| is_up(one.backend()) || one.backend() == Backend::DuckDb);
    let inspected = join_all(inspectors.map(|one| async move { (one.backend(), one.inspect().await) })).await;
    let schemas = schemas(lab, is_up).await;
    let stored =
        if answers(Role::Experiments) { vec![outbox(lab).await, workers(lab).await] } else { Vec::new() };
    checks.extend(health.into_iter().map(of_role));
    for (backend, findings) in inspected {
        let told = |error: StoreError| vec![failed("server", &error)];
        let findings = findings.unwrap_or_else(told);
        checks.extend(findings.into_iter().map(|finding| Check::of(backend.as_str(), finding)));
    }
    checks.extend(schemas);
    checks.extend(stored);
    checks
}

fn of_role(health: RoleHealth) -> Check {
    let RoleHealth { role, backend, state } = health;
    let (finding, found) = match state {
        Ok(health) => {
            let milliseconds = health.latency.as_secs_f64() * 1e3;
            let found = format!("{} at {}, in {milliseconds:.1} ms", health.version, health.place);
            (Finding::ok(ANSWERS, found), Some(health))
        }
        Err(error) => (failed(ANSWERS, &error), None),
    };
    Check { subject: role.as_str().to_owned(), finding, role: Some((role, backend, found)) }
}

fn failed(check: &'static str, error: &StoreError) -> Finding {
    Finding { check, level: Level::Fail, found: error.message.clone(), remedy: error.remedy.clone() }
}

async fn schemas(lab: &Lab, is_up: impl Fn(Backend) -> bool) -> Vec<Check> {
    let mut checks = Vec::new();
    for schema in &lab.schemas {
        let place = schema.place();
        let backend = [Backend::DuckDb, Backend::Postgres, Backend::Chroma];
        let backend = backend.into_iter().find(|backend| place.starts_with(backend.as_str()));
        if backend.is_some_and(|backend| !is_up(backend)) {
            continue;
        }
        let finding = match schema.state().await {
            Ok(state) => schema_finding(state),
            Err(error) => failed(SCHEMA, &error),
        };
        let subject = backend.map_or(place.clone(), |backend| backend.as_str().to_owned());
        checks.push(Check::of(subject, finding));
    }
    checks
}

const SCHEMA: &str = "schema";

fn schema_finding(state: SchemaState) -> Finding {
    match state {
        SchemaState::Empty => Finding::ok(SCHEMA, "nothing there yet: its first use makes it"),
        SchemaState::Current => Finding::ok(SCHEMA, "up to date"),
        SchemaState::Behind(names) => Finding::warn(
            SCHEMA,
            format!("{} to be applied: {}", counted(names.len() as u64, "migration"), names.join(", ")),
            "`labtop migrate` applies what is missing; so does the next use.",
        ),
        SchemaState::Foreign(tables) => Finding::fail(
            SCHEMA,
            format!("tables under our names that labtop did not make: {}", tables.join(", ")),
            "`labtop init` takes them over and keeps their rows.",
        ),
        SchemaState::Newer(names) => Finding::fail(
            SCHEMA,
            format!("made by a newer labtop ({})", names.join(", ")),
            "Update labtop on this machine.",
        ),
    }
}

async fn outbox(lab: &Lab) -> Check {
    let check = "outbox";
    let waiting = async {
        let waiting = lab.outbox.waiting().await?;
        let oldest = if waiting > 0 { lab.outbox.pending(1).await?.into_iter().next() } else { None };
        Ok::<_, StoreError>((waiting, oldest))
    };
    let finding = match waiting.await {
        Ok((0, _)) => Finding::ok(check, "nothing waits to be delivered"),
        Ok((waiting, oldest)) => {
            let mut found = format!("{} for the collections", counted_that_wait(waiting));
            if let Some(oldest) = oldest {
                let age = Timestamp::now().duration_since(oldest.created_at).as_secs().max(0);
                found.push_str(&format!(", the oldest for {}", lasting(age.unsigned_abs())));
                found.extend(oldest.last_error.map(|error| format!("; last error: {error}")));
            }
            Finding::warn(
                check,
                found,
                "They are delivered once the collection store takes them; `labtop sync` does it at once. Nothing is lost.",
            )
        }
        Err(error) => failed(check, &error),
    };
    Check::of("experiments", finding)
}

async fn workers(lab: &Lab) -> Check {
    let check = "workers";
    let finding = match reaper::survey(lab).await {
        Ok(survey) if survey.dead.is_empty() && survey.lost.is_empty() => {
            let (runs, workers) = (counted(survey.alive, "run"), counted(survey.workers, "worker"));
            Finding::ok(check, format!("{workers} alive, {runs} under way"))
        }
        Ok(survey) if survey.dead.is_empty() => {
            let lost = counted(survey.lost.len() as u64, "worker");
            let found = format!("{lost} lost: {}", some(&survey.lost));
            Finding::warn(check, found, "Start it again with `labtop worker`; it had nothing in hand.")
        }
        Ok(survey) => {
            let ids: Vec<String> = survey.dead.iter().map(|run| run.doing.experiment.to_string()).collect();
            let found = format!(
                "{} whose worker is dead, or silent for more than {} s: {}",
                counted(ids.len() as u64, "run"),
                LEASE.as_secs(),
                some(&ids)
            );
            let remedy = "The next worker, dashboard or `labtop ls` marks them interrupted; workers take up again what \
                          belongs to a batch, and `labtop rerun ID` does the others.";
            Finding::warn(check, found, remedy)
        }
        Err(error) => failed(check, &error),
    };
    Check::of("experiments", finding)
}

/// The first ten.
fn some(names: &[String]) -> String {
    let more = if names.len() > 10 { ", ..." } else { "" };
    format!("{}{more}", names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", "))
}

fn counted(count: u64, noun: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{end}")
}

fn counted_that_wait(count: u64) -> String {
    if count == 1 { "1 delivery waits".to_owned() } else { format!("{count} deliveries wait") }
}

fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{Bench, FOREVER};
    use crate::store::outbox::NewDelivery;

    fn of<'a>(checks: &'a [Check], subject: &str, check: &str) -> &'a Check {
        let found = checks.iter().find(|one| one.subject == subject && one.finding.check == check);
        found.unwrap_or_else(|| panic!("no {check} of {subject} in {checks:#?}"))
    }

    #[tokio::test]
    async fn a_role_that_is_down_is_one_check_and_hides_no_other() {
        let bench = Bench::embedded();
        bench.collections.down.set(FOREVER);
        let delivery = NewDelivery { collection: "c".to_owned(), ..NewDelivery::default() };
        bench.lab.outbox.put(&delivery).await.unwrap();
        let checks = examine(&bench.lab).await;
        let down = of(&checks, "collections", ANSWERS);
        assert_eq!(down.finding.level, Level::Fail);
        assert_eq!(down.finding.remedy.as_deref(), Some("Start the server."));
        assert_eq!(of(&checks, "experiments", ANSWERS).finding.level, Level::Ok);
        let waiting = &of(&checks, "experiments", "outbox").finding;
        assert_eq!(waiting.level, Level::Warn);
        assert!(
            waiting.found.starts_with("1 delivery waits for the collections, the oldest for"),
            "{waiting:?}"
        );
        assert_eq!(of(&checks, "experiments", "workers").finding.level, Level::Ok);
    }

    #[test]
    fn a_schema_says_what_to_do() {
        let names = || vec!["0009_x".to_owned()];
        for (state, level, words) in [
            (SchemaState::Current, Level::Ok, None),
            (SchemaState::Empty, Level::Ok, None),
            (SchemaState::Behind(names()), Level::Warn, Some("labtop migrate")),
            (SchemaState::Foreign(names()), Level::Fail, Some("labtop init")),
            (SchemaState::Newer(names()), Level::Fail, Some("Update labtop")),
        ] {
            let finding = schema_finding(state);
            assert_eq!(finding.level, level, "{finding:?}");
            assert_eq!(finding.remedy.is_some(), words.is_some(), "{finding:?}");
            assert!(
                words.is_none_or(|words| finding.remedy.as_ref().unwrap().contains(words)),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn times_are_told_in_words() {
        assert_eq!([5, 300, 10_000, 300_000].map(lasting), ["5 s", "5 min", "2 h", "3 days"]);
    }
}
