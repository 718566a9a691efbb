//! Health of every role.

use std::time::Duration;

use futures_util::future::join_all;

use super::Lab;
use crate::config::{CollectionBackend, TableBackend};
pub use crate::store::Role;
use crate::store::{Backend, ErrorKind, Health, StoreError};

impl From<TableBackend> for Backend {
    fn from(backend: TableBackend) -> Self {
        match backend {
            TableBackend::DuckDb => Backend::DuckDb,
            TableBackend::Postgres => Backend::Postgres,
        }
    }
}

impl From<CollectionBackend> for Backend {
    fn from(backend: CollectionBackend) -> Self {
        match backend {
            CollectionBackend::DuckDb => Backend::DuckDb,
            CollectionBackend::Chroma => Backend::Chroma,
        }
    }
}

/// How one role stands.
#[derive(Debug)]
pub struct RoleHealth {
    pub role: Role,
    pub backend: Backend,
    pub state: Result<Health, StoreError>,
}

/// Asks every role at once, each no longer than its own timeout. In the order of [`Role::ALL`].
pub async fn check(lab: &Lab) -> Vec<RoleHealth> {
    join_all(Role::ALL.map(|role| check_one(lab, role))).await
}

/// Asks one role, no longer than its timeout.
pub async fn check_one(lab: &Lab, role: Role) -> RoleHealth {
    let backend = lab.backend(role);
    let asked = async {
        match role {
            Role::Experiments => lab.experiments.health().await,
            Role::Documents => lab.documents.health().await,
            Role::Collections => lab.collections.health().await,
            Role::Analytics => lab.analytics.health().await,
        }
    };
    RoleHealth { role, backend, state: in_time(lab, backend, asked).await }
}

async fn in_time(
    lab: &Lab,
    backend: Backend,
    asked: impl Future<Output = Result<Health, StoreError>>,
) -> Result<Health, StoreError> {
    let patience = patience(lab, backend);
    match tokio::time::timeout(patience, asked).await {
        Ok(state) => state,
        Err(_) => {
            let message = format!("no answer within {} ms", patience.as_millis());
            let error = StoreError::new(ErrorKind::Timeout, backend, "asking for health", message);
            Err(error.remedy(remedy(backend)))
        }
    }
}

/// The backend's own time limit and a little more, so that its own error, which knows more, comes first.
fn patience(lab: &Lab, backend: Backend) -> Duration {
    let limit = match backend {
        Backend::DuckDb => lab.settings.duckdb.wait_ms,
        Backend::Postgres => lab.settings.postgres.connect_timeout_ms,
        Backend::Chroma => lab.settings.chroma.timeout_ms,
    };
    Duration::from_millis(limit) + Duration::from_millis(500)
}

fn remedy(backend: Backend) -> &'static str {
    match backend {
        Backend::DuckDb => "Close the program that holds the file, or raise duckdb.wait_ms.",
        Backend::Postgres => "Check that the server runs, or raise postgres.connect_timeout_ms.",
        Backend::Chroma => "Check that the server runs, or raise chroma.timeout_ms.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{Bench, FOREVER};

    #[tokio::test]
    async fn one_role_that_is_down_hides_no_other() {
        let bench = Bench::without_analytics();
        bench.collections.down.set(FOREVER);
        let health = check(&bench.lab).await;
        let roles: Vec<_> = health.iter().map(|one| (one.role, one.state.is_ok())).collect();
        let expected = [(Role::Experiments, true), (Role::Documents, true), (Role::Collections, false)];
        assert_eq!(roles[..3], expected);
        assert_eq!(roles[3], (Role::Analytics, false));
        let down = health[2].state.as_ref().unwrap_err();
        assert_eq!(down.kind, ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_role_that_never_answers_is_given_up() {
        let mut bench = Bench::embedded();
        bench.lab.settings.duckdb.wait_ms = 1;
        let error = in_time(&bench.lab, Backend::DuckDb, std::future::pending()).await.unwrap_err();
        assert_eq!((error.kind, error.backend), (ErrorKind::Timeout, Backend::DuckDb));
        assert!(error.remedy.is_some());
    }
}
