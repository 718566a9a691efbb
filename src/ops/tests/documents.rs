//! Documents in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::Fault;
use crate::domain::document::{
    Distance, Document, DocumentHit, DocumentQuery, EmbeddingModel, ModelSize, Selection, Stub, TextHit,
    TextQuery,
};
use crate::domain::embedding_map::{DocumentPoint, Points};
use crate::domain::index::{Nearest, Scan, Why};
use crate::store::catalogue::DocumentCatalogue;
use crate::store::documents::{DocumentIndexes, DocumentStore};
use crate::store::{Backend, ErrorKind, Health, Result, StoreError};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FakeDocuments {
    /// By model and id.
    pub kept: Mutex<BTreeMap<(String, String), Document>>,
    pub down: Fault,
}

fn hit(document: &Document, distance: f64) -> DocumentHit {
    let Document { document_id, content, model_name, metadata, .. } = document.clone();
    DocumentHit { document_id, model_name, content, metadata, distance }
}

#[async_trait]
impl DocumentStore for FakeDocuments {
    async fn health(&self) -> Result<Health> {
        let (place, version) = ("memory".to_owned(), "1".to_owned());
        Ok(Health { backend: Backend::Postgres, place, version, latency: Duration::ZERO })
    }

    async fn models(&self) -> Result<Vec<EmbeddingModel>> {
        let mut models: BTreeMap<String, EmbeddingModel> = BTreeMap::new();
        for document in self.kept.lock().unwrap().values() {
            let name = document.model_name.clone();
            let dimension = document.embedding.len();
            let unknown =
                EmbeddingModel { name: name.clone(), dimension, distance: Distance::Cosine, documents: 0 };
            models.entry(name).or_insert(unknown).documents += 1;
        }
        Ok(models.into_values().collect())
    }

    async fn put(&self, documents: &[Document]) -> Result<u64> {
        self.down.check(Backend::Postgres, "storing documents")?;
        for document in documents {
            let key = (document.model_name.clone(), document.document_id.clone());
            self.kept.lock().unwrap().insert(key, document.clone());
        }
        Ok(documents.len() as u64)
    }

    async fn get(&self, document_id: &str, model_name: Option<&str>) -> Result<Vec<Document>> {
        let kept = self.kept.lock().unwrap();
        let of_model = |document: &&Document| model_name.is_none_or(|model| document.model_name == model);
        let found = kept.values().filter(|document| document.document_id == document_id);
        Ok(found.filter(of_model).cloned().collect())
    }

    async fn list(&self, model_name: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>> {
        let kept = self.kept.lock().unwrap();
        let of_model =
            kept.values().filter(|document| model_name.is_none_or(|model| document.model_name == model));
        Ok(of_model.skip(offset as usize).take(limit as usize).map(|document| hit(document, 0.0)).collect())
    }

    async fn search(&self, query: &DocumentQuery) -> Result<Nearest> {
        let kept = self.kept.lock().unwrap();
        let of_model: Vec<_> =
            kept.values().filter(|document| document.model_name == query.model_name).collect();
        if of_model.is_empty() {
            let message = format!("no model {}", query.model_name);
            return Err(StoreError::new(ErrorKind::NotFound, Backend::Postgres, "searching", message));
        }
        let mut hits: Vec<DocumentHit> = of_model
            .into_iter()
            .map(|document| {
                let dot: f32 = document.embedding.iter().zip(&query.embedding).map(|(a, b)| a * b).sum();
                hit(document, 1.0 - f64::from(dot))
            })
            .collect();
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        hits.truncate(query.limit);
        Ok(Nearest { hits, scan: Scan::Exact(Why::Always) })
    }

    async fn remove(&self, document_ids: &[String]) -> Result<u64> {
        let mut kept = self.kept.lock().unwrap();
        let before = kept.len();
        kept.retain(|(_, id), _| !document_ids.contains(id));
        Ok((before - kept.len()) as u64)
    }

    fn indexes(&self) -> Option<&dyn DocumentIndexes> {
        None
    }
}

impl FakeDocuments {
    /// Keys of what a selection names; metadata are not looked at.
    fn selected(&self, which: &Selection) -> Vec<(String, String)> {
        let fits = |(model, id): &&(String, String)| {
            which.model.as_ref().is_none_or(|wanted| wanted == model)
                && which.ids.as_ref().is_none_or(|ids| ids.contains(id))
        };
        self.kept.lock().unwrap().keys().filter(fits).cloned().collect()
    }
}

#[async_trait]
impl DocumentCatalogue for FakeDocuments {
    async fn stubs(&self, model_name: &str, ids: &[String]) -> Result<Vec<Stub>> {
        let kept = self.kept.lock().unwrap();
        let stub = |document: &Document| Stub {
            document_id: document.document_id.clone(),
            content_hash: document.content_hash(),
            metadata: document.metadata.clone(),
        };
        let found = ids.iter().filter_map(|id| kept.get(&(model_name.to_owned(), id.clone())));
        Ok(found.map(stub).collect())
    }

    /// Words are compared letter by letter; the score is how many of them there are.
    async fn text_search(&self, query: &TextQuery) -> Result<Vec<TextHit>> {
        let kept = self.kept.lock().unwrap();
        let words: Vec<&str> = query.text.split_whitespace().collect();
        let of_model = kept.values().filter(|document| document.model_name == query.model_name);
        let mut hits: Vec<TextHit> = of_model
            .map(|document| {
                let Document { document_id, content, model_name, metadata, .. } = document.clone();
                let score = words.iter().filter(|word| content.contains(**word)).count() as f64;
                TextHit { document_id, model_name, content, metadata, score }
            })
            .filter(|hit| hit.score > 0.0)
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(query.limit);
        Ok(hits)
    }

    async fn count(&self, which: &Selection) -> Result<u64> {
        Ok(self.selected(which).len() as u64)
    }

    async fn remove_selected(&self, which: &Selection) -> Result<u64> {
        let keys = self.selected(which);
        let mut kept = self.kept.lock().unwrap();
        Ok(keys.iter().filter(|key| kept.remove(key).is_some()).count() as u64)
    }

    async fn sizes(&self) -> Result<Vec<ModelSize>> {
        Ok(Vec::new())
    }

    async fn points(&self, model_name: &str, which: &Points) -> Result<Vec<DocumentPoint>> {
        let kept = self.kept.lock().unwrap();
        let mut of_model: Vec<&Document> =
            kept.values().filter(|document| document.model_name == model_name).collect();
        match which {
            Points::These(ids) => of_model.retain(|document| ids.contains(&document.document_id)),
            Points::Sample(limit) => {
                of_model.sort_by_key(|document| (document.content_hash(), document.document_id.clone()));
                of_model.truncate(*limit as usize);
            }
        }
        let point = |document: &Document| DocumentPoint {
            document_id: document.document_id.clone(),
            excerpt: document.content.chars().take(DocumentPoint::EXCERPT).collect(),
            metadata: document.metadata.clone(),
            embedding: document.embedding.clone(),
        };
        Ok(of_model.into_iter().map(point).collect())
    }
}
