//! The embedder inside labtop: a text is the mean of its word pieces in a table that ships with the program.

use async_trait::async_trait;

use super::table::{DIMENSION, TABLE};
use super::wordpiece::tokenize;
use super::{EmbedError, Embedder};

/// Bytes of text after which a call lets other tasks of its thread run: one or two milliseconds of work when
/// optimised (measured: 8 µs for a sentence of 107 bytes, 55 to 100 ms for a megabyte).
const TURN: usize = 16 * 1024;

/// Static embeddings distilled from all-MiniLM-L6-v2 (see `assets/model/README.md`): no server, no download, no
/// state. The order of words does not count, and words that the vocabulary cannot spell are passed over.
///
/// A call works on the thread that polls it and gives way between texts, not within one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuiltIn;

impl BuiltIn {
    /// What [`Embedder::model_name`] answers. It stands for the table's contents: another table needs another name.
    pub const MODEL_NAME: &str = "labtop-static-256-2";

    /// Names of the tables that earlier versions had here. Their vectors are of another space, though as long as ours.
    pub const RETIRED: [&str; 1] = ["labtop-static-256"];

    /// What [`Embedder::dimension`] answers.
    pub const DIMENSION: usize = DIMENSION;
}

#[async_trait]
impl Embedder for BuiltIn {
    fn model_name(&self) -> &str {
        Self::MODEL_NAME
    }

    fn dimension(&self) -> Option<usize> {
        Some(Self::DIMENSION)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        let mut since_turn = 0;
        for (index, text) in texts.iter().enumerate() {
            let vector = direction(text);
            vectors.push(vector.ok_or_else(|| EmbedError::Empty { index, model: Self::MODEL_NAME.into() })?);
            since_turn += text.len();
            if since_turn >= TURN {
                since_turn = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(vectors)
    }
}

/// The mean of the text's known pieces, scaled to length 1; `None` where there are none, or where they cancel out.
///
/// The sum stands in for the mean: scaling makes them the same. It is kept in f64, so that a long text loses nothing.
fn direction(text: &str) -> Option<Vec<f32>> {
    let mut sum = [0.0; DIMENSION];
    for row in tokenize(text, &TABLE).into_iter().flatten() {
        TABLE.add_to(&mut sum, row);
    }
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    (length > 0.0).then(|| sum.iter().map(|x| (x / length) as f32).collect())
}
