//! The outbox: records that a collection store could not take yet.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::domain::collection::Record;
use crate::domain::document::Metadata;
use crate::domain::experiment::ExperimentId;
use crate::domain::outbox::{OutboxState, Parcel};

use super::Result;

/// Records for one collection, delivered together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewDelivery {
    pub collection: String,
    pub records: Vec<Record>,
    /// Whose documents they are, when they are a run's.
    pub experiment: Option<ExperimentId>,
}

/// One that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub id: i64,
    pub collection: String,
    pub records: Vec<Record>,
    pub experiment: Option<ExperimentId>,
    pub tries: i32,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}

/// What came of asking for collections to deliver to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Ours until they are released or the lease runs out.
    pub taken: Vec<String>,
    /// Collections that something waits for and somebody else delivers to, with the holder.
    pub held: Vec<(String, String)>,
}

/// Bytes of deliveries that are taken at once, as they are stored; the first one comes whatever its size.
pub const TAKEN_BYTES: i64 = 32 * 1024 * 1024;

/// Keeps deliveries, in order per collection, until they are done. Record ids are deterministic and delivery is an
/// upsert, so delivering twice is delivering once.
///
/// One at a time delivers to a collection, of all processes on all machines: who holds a claim on it. A claim lasts for a
/// lease, by the store's own clock, and is renewed by whatever is taken under it.
#[async_trait]
pub trait Outbox: Send + Sync + Debug {
    async fn put(&self, delivery: &NewDelivery) -> Result<()>;

    async fn state(&self) -> Result<OutboxState>;

    /// Deliveries that wait for their turn.
    async fn waiting(&self) -> Result<u64> {
        Ok(self.state().await?.waiting)
    }

    /// Those that wait, the oldest first.
    async fn pending(&self, limit: u64) -> Result<Vec<Delivery>>;

    /// All that are there, refused ones too, the oldest first.
    async fn list(&self, limit: u64) -> Result<Vec<Parcel>>;

    /// Claims at most `most` collections that something waits for and nobody has a claim on, those that wait longest
    /// first, and none of `except`.
    async fn claim(&self, holder: &str, lease: Duration, most: usize, except: &[String]) -> Result<Claims>;

    /// Prolongs a claim; false when it is not ours any more.
    async fn renew(&self, collection: &str, holder: &str, lease: Duration) -> Result<bool>;

    /// The oldest deliveries that wait for a claimed collection, at most `most` and [`TAKEN_BYTES`] of them; the claim is
    /// renewed. `Conflict` when it is not ours any more. They stay until they are told to be delivered.
    async fn take(&self, collection: &str, holder: &str, lease: Duration, most: u64)
    -> Result<Vec<Delivery>>;

    /// Gives a claim back, if it is still the holder's.
    async fn release(&self, collection: &str, holder: &str) -> Result<()>;

    /// They arrived: the rows are deleted.
    async fn delivered(&self, ids: &[i64]) -> Result<()>;

    /// It did not: counts the try and keeps the reason. With `for_good` it waits no more.
    async fn failed(&self, id: i64, error: &str, for_good: bool) -> Result<()>;

    /// Lets refused ones wait again, at their old place; all of them when none is named. Says how many.
    async fn retry(&self, ids: &[i64]) -> Result<u64>;

    /// Drops deliveries; says how many there were.
    async fn remove(&self, ids: &[i64]) -> Result<u64>;
}

/// Records as the outbox keeps them: JSON with the vectors in base64, a quarter of the bytes of numbers.
pub(super) fn pack(records: &[Record]) -> Result<String, serde_json::Error> {
    let packed = |record: &Record| {
        let bytes: Vec<u8> = record.embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
        json!({
            "id": record.id,
            "document": record.document,
            "embedding": STANDARD.encode(bytes),
            "metadata": record.metadata,
        })
    };
    serde_json::to_string(&records.iter().map(packed).collect::<Vec<_>>())
}

/// The records in such a text, or why there are none.
pub(super) fn unpack(text: &str) -> Result<Vec<Record>, String> {
    let packed: Vec<Packed> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let record = |packed: Packed| {
        let Packed { id, document, embedding, metadata } = packed;
        let embedding = match embedding {
            Vector::Plain(values) => values,
            Vector::Packed(text) => {
                let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
                let floats = bytes.chunks_exact(4);
                floats.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
            }
        };
        Ok(Record { id, document, embedding, metadata })
    };
    packed.into_iter().map(record).collect()
}

#[derive(Deserialize)]
struct Packed {
    id: String,
    document: Option<String>,
    embedding: Vector,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Packed(String),
    /// As the first versions kept them.
    Plain(Vec<f32>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_kept_to_the_last_bit_and_older_rows_are_read() {
        let record = Record {
            id: "a\0b".to_owned(),
            document: Some("\u{1F4A5}\"".to_owned()),
            embedding: vec![0.1, -2.5e-8, f32::MIN_POSITIVE],
            metadata: Metadata::from_iter([("n".to_owned(), serde_json::json!(1.5))]),
        };
        let text = pack(std::slice::from_ref(&record)).unwrap();
        assert_eq!(unpack(&text).unwrap(), [record]);
        let old = r#"[{"id":"a","document":null,"embedding":[0.5,1],"metadata":{}}]"#;
        assert_eq!(unpack(old).unwrap()[0].embedding, [0.5, 1.0]);
        assert!(unpack("[{}]").is_err());
    }
}
