//! One partition of `document_embeddings` for each embedding model.

use sha2::{Digest, Sha256};
use tokio_postgres::Error;

use super::link::Transaction;

/// Vectors up to this dimension fit in a page together with what else a row keeps there, and are stored in it: an exact
/// scan is then two to three times as fast. Longer ones go out of line.
pub(super) const INLINE: usize = 1900;

/// The lock on the table of models while a partition is made.
const LOCK: i64 = 0x006c_6162_746f_7002;

/// The partition's table: readable, and one to one with the model.
pub(super) fn table(model: &str) -> String {
    let readable: String = model
        .chars()
        .take(32)
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' })
        .collect();
    let digest: String = Sha256::digest(model).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("document_embeddings_{readable}_{digest}")
}

/// The dimension under which a model is known, after registering it with `dimension` if it was not; its partition is there
/// afterwards, with rows that plain SQL had stored before.
pub(super) async fn ensure(
    transaction: &Transaction<'_>,
    model: &str,
    dimension: usize,
) -> Result<usize, Error> {
    let table = table(model);
    let known = "SELECT dimension, to_regclass('ml_schema.' || $2::text) IS NOT NULL FROM ml_schema.embedding_models \
                 WHERE name = $1";
    if let Some(row) = transaction.query_opt(known, &[&model, &table]).await? {
        let known: i32 = row.try_get(0)?;
        if row.try_get(1)? || usize::try_from(known) != Ok(dimension) {
            return Ok(usize::try_from(known).unwrap_or_default());
        }
    }
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let given = i32::try_from(dimension).unwrap_or(i32::MAX);
    let register = "INSERT INTO ml_schema.embedding_models (name, dimension) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    transaction.execute(register, &[&model, &given]).await?;
    // Somebody may have been faster while we waited for the lock.
    let row = transaction.query_one(known, &[&model, &table]).await?;
    let known: i32 = row.try_get(0)?;
    let there: bool = row.try_get(1)?;
    let known = usize::try_from(known).unwrap_or_default();
    if !there && known == dimension {
        transaction.batch_execute(&making(model, &table, dimension)).await?;
    }
    Ok(known)
}

fn making(model: &str, table: &str, dimension: usize) -> String {
    let model = literal(model);
    let storage = if dimension <= INLINE {
        format!("ALTER TABLE ml_schema.{table} ALTER COLUMN embedding SET STORAGE PLAIN;")
    } else {
        String::new()
    };
    format!(
        "CREATE TABLE ml_schema.{table} (LIKE ml_schema.document_embeddings INCLUDING DEFAULTS INCLUDING CONSTRAINTS, \
             CONSTRAINT dimension_of_the_model CHECK (vector_dims(embedding) = {dimension}));
         {storage}
         SET LOCAL labtop.bulk = 'on';
         LOCK TABLE ml_schema.document_embeddings_default IN ACCESS EXCLUSIVE MODE;
         WITH moved AS (DELETE FROM ml_schema.document_embeddings_default WHERE model_name = {model} RETURNING *)
             INSERT INTO ml_schema.{table} SELECT * FROM moved;
         ALTER TABLE ml_schema.document_embeddings ATTACH PARTITION ml_schema.{table} FOR VALUES IN ({model});"
    )
}

/// A text as an SQL literal, for the one statement that takes no parameters.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_valid_names_and_differ() {
        assert_eq!(table("text-embedding-ada-002").len(), 20 + 22 + 9);
        assert!(table(&"x".repeat(500)).len() <= 63);
        assert_ne!(table("a/b"), table("a-b"));
    }

    #[test]
    fn literals_cannot_be_left() {
        assert_eq!(literal(r"a'; DROP\'"), r"E'a''; DROP\\'''");
    }
}
