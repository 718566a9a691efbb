//! Records that a collection store could not take yet.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::collection::Record;

use super::Result;

/// Records for one collection, delivered as one upsert.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDelivery {
    pub collection: String,
    pub records: Vec<Record>,
}

/// One that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub id: i64,
    pub collection: String,
    pub records: Vec<Record>,
    pub tries: i32,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}

/// Keeps deliveries, in order per collection, until they are done. Record ids are deterministic and delivery is an
/// upsert, so delivering twice is delivering once.
#[async_trait]
pub trait Outbox: Send + Sync + Debug {
    async fn put(&self, delivery: &NewDelivery) -> Result<()>;

    /// The oldest first.
    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>>;

    /// Deliveries that wait.
    async fn waiting(&self) -> Result<u64>;

    /// It arrived: the row is deleted.
    async fn delivered(&self, id: i64) -> Result<()>;

    /// It did not: counts the try and keeps the reason.
    async fn failed(&self, id: i64, error: &str) -> Result<()>;
}
