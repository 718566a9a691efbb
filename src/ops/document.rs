//! Documents: add texts with their vectors, look at them, search them.

use std::str::FromStr;

pub use super::search::{Hybrid, Query, Terms, hybrid, search};
use super::{Lab, Result};
use crate::domain::document::{Document, DocumentHit, EmbeddingModel, Metadata, ModelStats, Selection};
use crate::store::{ErrorKind, Role, StoreError};

/// Where documents go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    #[default]
    Documents,
    /// A collection named after the file.
    Collections,
    Both,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "documents" => Ok(Target::Documents),
            "collections" => Ok(Target::Collections),
            "both" => Ok(Target::Both),
            other => Err(format!("unknown target '{other}' (known: documents, collections, both)")),
        }
    }
}

/// One text of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDocument {
    pub id: String,
    pub text: String,
    pub metadata: Metadata,
    /// Comes with its model; embedded here when none.
    pub embedding: Option<Vec<f32>>,
    pub model: Option<String>,
    /// Where it came from, from 1.
    pub line: usize,
}

/// Embeds and stores `(id, text, metadata)`; says how many.
pub async fn add_texts(lab: &Lab, texts: &[(String, String, Metadata)]) -> Result<u64> {
    let contents: Vec<String> = texts.iter().map(|(_, text, _)| text.clone()).collect();
    let embedder = lab.embedders.chosen();
    let vectors = embedder.embed(&contents).await?;
    let documents: Vec<Document> = texts
        .iter()
        .zip(vectors)
        .map(|((id, text, metadata), embedding)| Document {
            document_id: id.clone(),
            content: text.clone(),
            embedding,
            model_name: embedder.model_name().to_owned(),
            metadata: metadata.clone(),
        })
        .collect();
    Ok(lab.documents.put(&documents).await?)
}

/// Documents by id, without a query.
pub async fn list(lab: &Lab, model: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>> {
    Ok(lab.documents.list(model, offset, limit).await?)
}

pub async fn models(lab: &Lab) -> Result<Vec<EmbeddingModel>> {
    Ok(lab.documents.models().await?)
}

/// A document under every model it is stored under, or that one. `NotFound` when it is under none.
pub async fn get(lab: &Lab, id: &str, model: Option<&str>) -> Result<Vec<Document>> {
    let found = lab.documents.get(id, model).await?;
    if found.is_empty() {
        return Err(missing(lab, id, model).into());
    }
    Ok(found)
}

pub(super) fn missing(lab: &Lab, id: &str, model: Option<&str>) -> StoreError {
    let under = model.map_or_else(String::new, |model| format!(" under model '{model}'"));
    let message = format!("there is no document '{id}'{under}");
    StoreError::new(ErrorKind::NotFound, lab.backend(Role::Documents), "reading documents", message)
}

/// How many documents a selection names.
pub async fn count(lab: &Lab, which: &Selection) -> Result<u64> {
    Ok(lab.documents.count(which).await?)
}

/// Deletes them; says how many there were.
pub async fn remove(lab: &Lab, which: &Selection) -> Result<u64> {
    Ok(lab.documents.remove_selected(which).await?)
}

/// Every model in sums, by name.
pub async fn stats(lab: &Lab) -> Result<Vec<ModelStats>> {
    let models = lab.documents.models().await?;
    let sizes = lab.documents.sizes().await?;
    let indexes = match lab.documents.indexes() {
        Some(indexes) => indexes.list().await?,
        None => Vec::new(),
    };
    let stats = |model: EmbeddingModel| ModelStats {
        bytes: sizes.iter().find(|size| size.model_name == model.name).map_or(0, |size| size.bytes),
        here: lab.embedders.has(&model.name),
        indexes: indexes.iter().filter(|index| index.model_name == model.name).cloned().collect(),
        dimension: model.dimension,
        documents: model.documents,
        model_name: model.name,
    };
    Ok(models.into_iter().map(stats).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{Bench, FOREVER};

    async fn three() -> Bench {
        let bench = Bench::embedded();
        let texts = ["a", "b", "c"].map(|id| (id.to_owned(), format!("word {id}"), Metadata::new()));
        assert_eq!(add_texts(&bench.lab, &texts).await.unwrap(), 3);
        bench
    }

    #[tokio::test]
    async fn documents_are_looked_at_counted_and_deleted() {
        let bench = three().await;
        assert_eq!(get(&bench.lab, "a", None).await.unwrap()[0].content, "word a");
        let error = get(&bench.lab, "z", Some("m")).await.unwrap_err();
        assert!(error.to_string().contains("there is no document 'z' under model 'm'"), "{error}");
        let stats = stats(&bench.lab).await.unwrap();
        assert_eq!((stats.len(), stats[0].documents, stats[0].dimension, stats[0].here), (1, 3, 256, true));
        let which = Selection { ids: Some(vec!["a".to_owned(), "z".to_owned()]), ..Selection::default() };
        assert_eq!(count(&bench.lab, &which).await.unwrap(), 1);
        assert_eq!(remove(&bench.lab, &which).await.unwrap(), 1);
        assert_eq!(list(&bench.lab, None, 0, 10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_document_store_that_is_down_is_told() {
        let bench = Bench::embedded();
        bench.documents.down.set(FOREVER);
        let texts = [("a".to_owned(), "a word".to_owned(), Metadata::new())];
        let error = add_texts(&bench.lab, &texts).await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
    }
}
