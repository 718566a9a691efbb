//! The published model of training: base values per model plus noise.

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Job, RunError, Runner, Sink};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulate;

#[async_trait]
impl Runner for Simulate {
    fn name(&self) -> &'static str {
        "simulate"
    }

    async fn run(&self, _: &Job, _: &Sink, _: &CancellationToken) -> Result<Map<String, Value>, RunError> {
        Err(RunError::Failed("not built yet".to_owned()))
    }
}
