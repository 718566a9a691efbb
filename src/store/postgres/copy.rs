//! Bulk writing by binary COPY.

use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Transaction};

/// One value of a row on its way in.
pub(super) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Copies rows into `target`, a table with its columns in brackets; says how many there were. Each row has one value for
/// each of `types`.
pub(super) fn rows<'a>(
    transaction: &'a Transaction<'_>,
    target: &'a str,
    types: &'a [Type],
    rows: impl Iterator<Item = Vec<Value<'a>>> + Send + 'a,
) -> BoxFuture<'a, Result<u64, Error>> {
    async move {
        let statement = format!("COPY {target} FROM STDIN (FORMAT BINARY)");
        let sink = transaction.copy_in(&statement).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, types));
        for row in rows {
            let values: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| &**value as _).collect();
            writer.as_mut().write(&values).await?;
        }
        writer.finish().await
    }
    .boxed()
}
