//! Search among documents: by text, by a document, by a vector, at random.

use std::collections::HashMap;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand_distr::{Distribution, Normal};
use serde::Serialize;

use super::document::missing;
use super::embedders::{RENEWAL, is_retired};
use super::{Lab, OpsError, Result};
use crate::domain::batch_spec::derived_seed;
use crate::domain::document::{
    Distance, Document, DocumentHit, DocumentQuery, EmbeddingModel, HybridHit, TextHit, TextQuery,
};
use crate::domain::index::{Nearest, Scan};
use crate::domain::metadata_filter::MetadataFilter;
use crate::store::ErrorKind;

/// Documents that each half of a hybrid search brings at least: a document far down in both is in neither.
const HALF_DEPTH: usize = 100;

/// What to search by.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Embedded by the model that is searched, or the one that new documents are embedded by.
    Text(String),
    /// "Like this one": its vector. The document itself comes first, at distance zero.
    Document { id: String, model: Option<String> },
    /// A vector of that model, or of the only model with its dimension.
    Vector { model: Option<String>, embedding: Vec<f32> },
    /// A random N(0, 0.1) vector, as in the published example; the same for the same seed.
    Random { model: Option<String>, seed: Option<u64> },
}

/// How it is searched, whatever by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// How many.
    pub k: usize,
    pub distance: Distance,
    /// Taken where the query names none.
    pub model: Option<String>,
    pub filter: MetadataFilter,
    /// Compare every vector, whatever indexes there are.
    pub exact: bool,
    /// As in [`DocumentQuery`].
    pub ef_search: Option<u32>,
}

/// The `k` nearest documents of one model, nearest first, and how they were found.
///
/// `Invalid` when the query could belong to several models (it names them) or to none.
pub async fn search(lab: &Lab, query: &Query, terms: &Terms) -> Result<Nearest> {
    if terms.k == 0 {
        return Err(OpsError::Invalid(
            "nothing asked for: the number of results must be at least 1".to_owned(),
        ));
    }
    let model = terms.model.as_deref();
    match query {
        Query::Text(text) => by_text(lab, text, terms).await,
        Query::Document { id, model: own } => {
            let document = one_document(lab, id, own.as_deref().or(model)).await?;
            nearest(lab, document.model_name, document.embedding, terms).await
        }
        Query::Vector { model: own, embedding } => {
            let own = own.as_deref().or(model);
            let model = choose_model(lab, own, Some(embedding.len())).await?;
            nearest(lab, model.name, embedding.clone(), terms).await
        }
        Query::Random { model: own, seed } => {
            let model = choose_model(lab, own.as_deref().or(model), None).await?;
            // A stream of its own, so that no seed asks with a vector that the demo stored.
            let seed = derived_seed(seed.unwrap_or_else(rand::random), 0);
            nearest(lab, model.name, random_vector(model.dimension, seed), terms).await
        }
    }
}

/// What is wrong with a vector of zeros where angles are measured.
pub(super) const WITHOUT_DIRECTION: &str =
    "is all zeros: it has no direction, so that no cosine says what is near it";

pub(super) fn is_zero(vector: &[f32]) -> bool {
    vector.iter().all(|value| *value == 0.0)
}

async fn nearest(lab: &Lab, model_name: String, embedding: Vec<f32>, terms: &Terms) -> Result<Nearest> {
    if terms.distance == Distance::Cosine && is_zero(&embedding) {
        return Err(OpsError::Invalid(format!(
            "the vector to search by {WITHOUT_DIRECTION} (--metric l2 does)"
        )));
    }
    let Terms { k, distance, filter, exact, ef_search, .. } = terms.clone();
    let query = DocumentQuery { model_name, embedding, limit: k, distance, filter, exact, ef_search };
    Ok(lab.documents.search(&query).await?)
}

async fn by_text(lab: &Lab, text: &str, terms: &Terms) -> Result<Nearest> {
    let embedder = lab.embedders.named_or_chosen(terms.model.as_deref())?;
    let own = embedder.model_name();
    let embedding = embedder.embed(&[text.to_owned()]).await?.pop().unwrap_or_default();
    match nearest(lab, own.to_owned(), embedding, terms).await {
        Err(OpsError::Store(error)) if error.kind == ErrorKind::NotFound => {
            Err(error.remedy(none_yet(lab, own).await?).into())
        }
        found => found,
    }
}

/// What to do where no document is embedded by that model, above all for those who have some of a table that is gone.
async fn none_yet(lab: &Lab, own: &str) -> Result<String> {
    let retired: Vec<String> = lab
        .documents
        .models()
        .await?
        .into_iter()
        .filter(|model| model.documents > 0 && is_retired(&model.name))
        .map(|model| {
            let EmbeddingModel { name, documents, .. } = model;
            format!(
                "{documents} are embedded by {name}, the table of an earlier labtop, with whose vectors no text can be compared any \
                 more. {RENEWAL}. labtop docs rm --model {name} deletes them."
            )
        })
        .collect();
    Ok(match retired.is_empty() {
        true => format!("No document is embedded by {own} yet: add some with labtop docs add FILE"),
        false => format!("No document is embedded by {own} yet; {}", retired.join(" ")),
    })
}

/// What a hybrid search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hybrid {
    pub hits: Vec<HybridHit>,
    /// How the half by meaning was searched.
    #[serde(skip)]
    pub scan: Scan,
    /// How many documents each half brought.
    pub by_meaning: usize,
    pub by_words: usize,
}

/// The nearest by meaning and the best by words, fused by reciprocal rank: what both halves rank high comes first, and what
/// either ranks first comes near the top. Of one model, as in [`search`].
pub async fn hybrid(lab: &Lab, text: &str, terms: &Terms) -> Result<Hybrid> {
    let depth = (terms.k * 4).max(HALF_DEPTH);
    let embedder = lab.embedders.named_or_chosen(terms.model.as_deref())?;
    let words = TextQuery {
        model_name: embedder.model_name().to_owned(),
        text: text.to_owned(),
        limit: depth,
        filter: terms.filter.clone(),
    };
    let query = Query::Text(text.to_owned());
    let half = Terms { k: if terms.k == 0 { 0 } else { depth }, ..terms.clone() };
    let (found, by_words) = tokio::join!(search(lab, &query, &half), lab.documents.text_search(&words));
    let (found, by_words) = (found?, by_words?);
    let (meaning, words) = (found.hits.len(), by_words.len());
    let mut hits = fused(found.hits, by_words);
    hits.truncate(terms.k);
    Ok(Hybrid { hits, scan: found.scan, by_meaning: meaning, by_words: words })
}

fn fused(by_meaning: Vec<DocumentHit>, by_words: Vec<TextHit>) -> Vec<HybridHit> {
    let mut hits: HashMap<String, HybridHit> = HashMap::new();
    for (hit, rank) in by_meaning.into_iter().zip(1..) {
        let DocumentHit { document_id, model_name, content, metadata, distance } = hit;
        let (distance, vector_rank, score) = (Some(distance), Some(rank), reciprocal(rank));
        let hit = HybridHit {
            document_id: document_id.clone(),
            model_name,
            content,
            metadata,
            score,
            vector_rank,
            distance,
            text_rank: None,
        };
        hits.insert(document_id, hit);
    }
    for (hit, rank) in by_words.into_iter().zip(1..) {
        let TextHit { document_id, model_name, content, metadata, .. } = hit;
        let hit = hits.entry(document_id.clone()).or_insert_with(|| HybridHit {
            document_id,
            model_name,
            content,
            metadata,
            score: 0.0,
            vector_rank: None,
            distance: None,
            text_rank: None,
        });
        hit.score += reciprocal(rank);
        hit.text_rank = Some(rank);
    }
    let mut hits: Vec<HybridHit> = hits.into_values().collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.document_id.cmp(&b.document_id)));
    hits
}

/// The usual constant: first ranks count for more, but no single one outweighs being found twice.
fn reciprocal(rank: usize) -> f64 {
    1.0 / (60.0 + rank as f64)
}

pub(super) async fn one_document(lab: &Lab, id: &str, model: Option<&str>) -> Result<Document> {
    let mut found = lab.documents.get(id, model).await?;
    if found.len() > 1 {
        let models: Vec<_> = found.iter().map(|document| document.model_name.as_str()).collect();
        return Err(OpsError::Invalid(format!(
            "document '{id}' is stored under several models: say which with --model ({})",
            models.join(", ")
        )));
    }
    found.pop().ok_or_else(|| missing(lab, id, model).doing("searching documents").into())
}

/// The model of that name, or the only one that fits; one without documents fits nothing.
async fn choose_model(lab: &Lab, name: Option<&str>, dimension: Option<usize>) -> Result<EmbeddingModel> {
    let models = lab.documents.models().await?;
    let known = |models: &[EmbeddingModel]| {
        let described = models.iter().map(|model| format!("{} ({} dimensions)", model.name, model.dimension));
        described.collect::<Vec<_>>().join(", ")
    };
    if models.is_empty() {
        return Err(OpsError::Invalid(
            "there are no documents yet: add some with labtop docs add FILE, or load the demo with labtop demo"
                .to_owned(),
        ));
    }
    let fits = |model: &EmbeddingModel| match name {
        Some(name) => model.name == name,
        None => model.documents > 0 && dimension.is_none_or(|dimension| model.dimension == dimension),
    };
    let mut fitting: Vec<EmbeddingModel> = models.iter().filter(|model| fits(model)).cloned().collect();
    match (fitting.len(), name) {
        (1, _) => Ok(fitting.remove(0)),
        (0, Some(name)) => Err(OpsError::Invalid(format!(
            "there is no embedding model '{name}' (known: {})",
            known(&models)
        ))),
        (0, None) => Err(OpsError::Invalid(format!(
            "no stored model has {} dimensions (known: {})",
            dimension.unwrap_or_default(),
            known(&models)
        ))),
        _ => Err(OpsError::Invalid(format!(
            "several models fit: choose one with --model ({})",
            known(&fitting)
        ))),
    }
}

/// A vector of independent N(0, 0.1) values; equal seeds give equal vectors on every machine.
pub(super) fn random_vector(dimension: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    // The standard deviation is a positive constant.
    let Ok(normal) = Normal::new(0.0_f32, 0.1) else { return vec![0.0; dimension] };
    normal.sample_iter(&mut random).take(dimension).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::Metadata;
    use crate::embed::BuiltIn;
    use crate::ops::document::{add_texts, models};
    use crate::ops::tests::Bench;
    use crate::store::documents::DocumentStore;

    async fn two_models() -> Bench {
        let bench = Bench::embedded();
        let texts = ["a cat sat", "a dog ran", "stock prices fell"];
        let texts = texts.map(|text| (text.to_owned(), text.to_owned(), serde_json::Map::new()));
        add_texts(&bench.lab, &texts).await.unwrap();
        bench
            .documents
            .put(&[document("x", "small", vec![1.0, 0.0]), document("y", "small", vec![0.0, 1.0])])
            .await
            .unwrap();
        bench
    }

    fn document(id: &str, model: &str, embedding: Vec<f32>) -> Document {
        Document {
            document_id: id.to_owned(),
            content: id.to_owned(),
            embedding,
            model_name: model.to_owned(),
            metadata: serde_json::Map::new(),
        }
    }

    async fn ids(bench: &Bench, query: Query, model: Option<&str>) -> Result<Vec<String>> {
        let terms = Terms { k: 2, model: model.map(str::to_owned), ..Terms::default() };
        let found = search(&bench.lab, &query, &terms).await?;
        Ok(found.hits.into_iter().map(|hit| hit.document_id).collect())
    }

    #[tokio::test]
    async fn like_this_one_begins_with_itself() {
        let bench = two_models().await;
        let found = ids(&bench, Query::Document { id: "x".to_owned(), model: None }, None).await.unwrap();
        assert_eq!(found, ["x", "y"]);
        let missing = Query::Document { id: "z".to_owned(), model: None };
        let error = ids(&bench, missing, Some("small")).await.unwrap_err();
        assert!(error.to_string().contains("there is no document 'z' under model 'small'"), "{error}");
    }

    #[tokio::test]
    async fn a_vector_belongs_to_the_only_model_of_its_dimension() {
        let bench = two_models().await;
        let vector = |embedding| Query::Vector { model: None, embedding };
        assert_eq!(ids(&bench, vector(vec![0.1, 0.9]), None).await.unwrap(), ["y", "x"]);
        let error = ids(&bench, vector(vec![0.1; 3]), None).await.unwrap_err();
        assert!(error.to_string().starts_with("no stored model has 3 dimensions"), "{error}");

        bench.documents.put(&[document("x", "other", vec![1.0, 1.0])]).await.unwrap();
        let error = ids(&bench, vector(vec![0.1, 0.9]), None).await.unwrap_err();
        let named = "choose one with --model (other (2 dimensions), small (2 dimensions))";
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(ids(&bench, vector(vec![0.1, 0.9]), Some("small")).await.unwrap(), ["y", "x"]);
        let both = Query::Document { id: "x".to_owned(), model: None };
        let error = ids(&bench, both, None).await.unwrap_err();
        assert!(error.to_string().contains("under several models"), "{error}");
    }

    #[tokio::test]
    async fn text_is_searched_under_its_own_model_only() {
        let bench = two_models().await;
        let error = ids(&bench, Query::Text("cat".to_owned()), Some("small")).await.unwrap_err();
        assert!(
            error.to_string().contains(
                "'small' is not here to embed a text (here: labtop-static-256-2): set [embed.models.small]"
            ),
            "{error}"
        );
        let empty = Bench::embedded();
        let error = ids(&empty, Query::Text("cat".to_owned()), None).await.unwrap_err();
        assert!(error.to_string().contains("add some with labtop docs add FILE"), "{error}");
        assert!(models(&empty.lab).await.unwrap().is_empty());
        let random = Query::Random { model: None, seed: Some(1) };
        let error = ids(&empty, random.clone(), None).await.unwrap_err();
        assert!(error.to_string().contains("labtop demo"), "{error}");
        assert_eq!(ids(&bench, random, Some("small")).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn documents_of_a_table_that_is_gone_are_not_mixed_in_and_what_to_do_is_told() {
        let bench = Bench::embedded();
        let old = document("old", "labtop-static-256", vec![0.1; BuiltIn::DIMENSION]);
        bench.documents.put(&[old]).await.unwrap();
        let text = Query::Text("cat".to_owned());
        let error = ids(&bench, text.clone(), None).await.unwrap_err().to_string();
        for words in [
            "1 are embedded by labtop-static-256",
            "labtop docs add FILE",
            "docs rm --model labtop-static-256",
        ] {
            assert!(error.contains(words), "{error}");
        }
        let error = ids(&bench, text.clone(), Some("labtop-static-256")).await.unwrap_err().to_string();
        assert!(
            error.contains("is the table of an earlier labtop") && error.contains("--like ID"),
            "{error}"
        );
        let like = Query::Document { id: "old".to_owned(), model: None };
        assert_eq!(ids(&bench, like, None).await.unwrap(), ["old"]);
        let texts = [("new".to_owned(), "a cat sat".to_owned(), serde_json::Map::new())];
        add_texts(&bench.lab, &texts).await.unwrap();
        assert_eq!(ids(&bench, text, None).await.unwrap(), ["new"]);
    }

    #[tokio::test]
    async fn a_hybrid_search_finds_what_either_half_does() {
        let bench = two_models().await;
        let texts = [("far", "prices of kittens"), ("odd", "xyzzy-9 manual"), ("cat", "a cat and a kitten")];
        let texts = texts.map(|(id, text)| (id.to_owned(), text.to_owned(), serde_json::Map::new()));
        add_texts(&bench.lab, &texts).await.unwrap();
        let terms = Terms { k: 6, ..Terms::default() };
        let found = hybrid(&bench.lab, "kitten xyzzy-9", &terms).await.unwrap();
        let of = |id: &str| found.hits.iter().find(|hit| hit.document_id == id).unwrap();
        assert_eq!((of("odd").text_rank.is_some(), of("a dog ran").text_rank), (true, None));
        assert_eq!((found.by_meaning, found.by_words, found.hits.len()), (6, 3, 6));
        assert!(found.hits.iter().all(|hit| hit.distance.is_some()));
        assert!(found.hits.is_sorted_by(|a, b| a.score >= b.score));
        let both = found.hits.iter().position(|hit| hit.text_rank.is_none()).unwrap();
        assert_eq!(both, 3, "what both found comes before what one did");
    }

    #[test]
    fn ranks_are_fused() {
        let near = |id: &str| DocumentHit {
            document_id: id.to_owned(),
            model_name: "m".to_owned(),
            content: String::new(),
            metadata: Metadata::new(),
            distance: 0.1,
        };
        let word = |id: &str| TextHit {
            document_id: id.to_owned(),
            model_name: "m".to_owned(),
            content: String::new(),
            metadata: Metadata::new(),
            score: 1.0,
        };
        let hits = fused(vec![near("a"), near("b"), near("c")], vec![word("d"), word("c")]);
        let ids: Vec<&str> = hits.iter().map(|hit| hit.document_id.as_str()).collect();
        assert_eq!(ids, ["c", "a", "d", "b"]);
        assert_eq!(hits[0].score, 1.0 / 63.0 + 1.0 / 62.0);
        assert_eq!((hits[2].distance, hits[2].text_rank, hits[1].text_rank), (None, Some(1), None));
    }

    #[test]
    fn random_vectors_are_as_published() {
        let vector = random_vector(10_000, 1);
        let mean = vector.iter().sum::<f32>() / 10_000.0;
        let variance = vector.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.005 && (variance.sqrt() - 0.1).abs() < 0.005);
        assert_eq!(vector, random_vector(10_000, 1));
        assert_ne!(vector, random_vector(10_000, 2));
    }
}
