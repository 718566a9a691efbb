//! How changes made by other programs are noticed without polling a database.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Result;

/// A source of "something changed outside". It never says what: the reader fetches again.
#[async_trait]
pub trait Changes: Send + Sync + Debug {
    /// Waits until something may have changed. Changes that come close together are one. After an error the next call
    /// connects again; a successful reconnect counts as a change, since some may have been missed.
    async fn changed(&mut self) -> Result<()>;
}
