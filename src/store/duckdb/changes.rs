//! Changes by other processes, noticed by the file's size and time: no query is asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::Result;
use crate::store::changes::Changes;

use super::engine::Engine;

/// Two calls of `stat` this often cost nothing that can be measured.
const EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct FileChanges {
    engine: Arc<Engine>,
}

impl FileChanges {
    pub fn new(engine: Arc<Engine>) -> Self {
        FileChanges { engine }
    }
}

#[async_trait]
impl Changes for FileChanges {
    async fn changed(&mut self) -> Result<()> {
        let lease = self.engine.lease();
        while !lease.take_change() {
            // In time or rung for: both are a reason to look.
            let _ = tokio::time::timeout(EVERY, lease.change_noticed()).await;
        }
        Ok(())
    }
}
