//! One suite per storage role, run on every backend that plays it: the doc comments of the traits, held to.
//!
//! DuckDB always runs, on a file of its own. PostgreSQL and Chroma run where `DATABASE_URL` and `CHROMA_URL` say; with
//! `LABTOP_TEST_SERVERS=1` they must.

mod catalogue;
mod collections;
mod databases;
mod documents;
mod engine;
mod experiments;
mod filters;
mod follow;
mod mirror;
mod outbox;
mod queue;
mod survey;
mod transfer;
mod vectors;
mod windows;

/// Makes a test of each function of the suite for each backend: `suite!(experiments: create_twice, ...)`.
macro_rules! suite {
    ($backend:ident, $($case:ident),+ $(,)?) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let Some(backends) = crate::support::backends::$backend().await else { return };
                    super::$case(&backends).await;
                }
            )+
        }
    };
}
pub(crate) use suite;
