//! The map of the documents of one model, with a question and what it found lit.

use super::document::Query;
use super::search::one_document;
use super::{Lab, OpsError, Result};
use crate::domain::document::EmbeddingModel;
use crate::domain::embedding_map::{DocumentPoint, EmbeddingMap, Plane, Points, Spot};

/// Documents that are drawn beside the hits: more would only cover each other.
const SAMPLE: u64 = 2000;

/// What a map is to show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// The one that new documents are embedded by when none, or the largest where that has no documents.
    pub model: Option<String>,
    /// What was asked; a text or a document of that model.
    pub query: Option<Query>,
    /// Documents that are to be on it.
    pub hits: Vec<String>,
}

/// Lays the documents flat by the first two principal components of a sample, so that a question moves nothing on the map.
pub async fn map(lab: &Lab, wish: &Wish) -> Result<EmbeddingMap> {
    let Some(model) = model(lab, wish.model.as_deref()).await? else {
        return Ok(EmbeddingMap::default());
    };
    let sample = lab.documents.points(&model.name, &Points::Sample(SAMPLE)).await?;
    let hits = lab.documents.points(&model.name, &Points::These(wish.hits.clone())).await?;
    let asked = match &wish.query {
        Some(Query::Text(text)) => {
            let embedder = lab.embedders.named(&model.name)?;
            embedder.embed(std::slice::from_ref(text)).await?.pop()
        }
        Some(Query::Document { id, .. }) => Some(one_document(lab, id, Some(&model.name)).await?.embedding),
        Some(Query::Vector { embedding, .. }) => Some(embedding.clone()),
        Some(Query::Random { .. }) | None => None,
    };
    let order = wish.hits.clone();
    let drawn =
        tokio::task::spawn_blocking(move || drawn(&model, sample, hits, asked.as_deref(), &order)).await;
    drawn.map_err(|error| OpsError::Invalid(format!("drawing the map: {error}")))
}

async fn model(lab: &Lab, name: Option<&str>) -> Result<Option<EmbeddingModel>> {
    let models = lab.documents.models().await?;
    if let Some(name) = name {
        return Ok(models.into_iter().find(|model| model.name == name));
    }
    let filled = || models.iter().filter(|model| model.documents > 0);
    let chosen = lab.embedders.chosen().model_name();
    let usual = filled().find(|model| model.name == chosen);
    Ok(usual.or_else(|| filled().max_by_key(|model| model.documents)).cloned())
}

fn drawn(
    model: &EmbeddingModel,
    sample: Vec<DocumentPoint>,
    hits: Vec<DocumentPoint>,
    asked: Option<&[f32]>,
    order: &[String],
) -> EmbeddingMap {
    let rows: Vec<&[f32]> = sample.iter().map(|point| point.embedding.as_slice()).collect();
    let plane = Plane::of(&rows);
    let spot = |point: DocumentPoint| {
        let DocumentPoint { document_id, excerpt, metadata, embedding } = point;
        Spot { document_id, excerpt, metadata, at: plane.place(&embedding) }
    };
    let rank = |id: &str| order.iter().position(|hit| hit == id);
    let mut hits: Vec<Spot> = hits.into_iter().map(spot).collect();
    hits.sort_by_key(|hit| rank(&hit.document_id));
    let others = sample.into_iter().filter(|point| rank(&point.document_id).is_none());
    EmbeddingMap {
        model_name: model.name.clone(),
        documents: model.documents,
        spots: others.map(spot).collect(),
        hits,
        query: asked.map(|vector| plane.place(vector)),
        shares: plane.shares,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::Metadata;
    use crate::ops::document::add_texts;
    use crate::ops::tests::Bench;

    #[tokio::test]
    async fn hits_and_question_are_on_the_map_and_move_nothing() {
        let bench = Bench::embedded();
        assert_eq!(map(&bench.lab, &Wish::default()).await.unwrap(), EmbeddingMap::default());
        let texts = ["a cat", "a kitten", "a dog", "stock prices", "the stock market", "bond prices"];
        let texts = texts.map(|text| (text.to_owned(), text.to_owned(), Metadata::new()));
        add_texts(&bench.lab, &texts).await.unwrap();

        let bare = map(&bench.lab, &Wish::default()).await.unwrap();
        assert_eq!((bare.spots.len(), bare.documents, bare.query, bare.hits.len()), (6, 6, None, 0));
        assert!(bare.shares[0] >= bare.shares[1] && bare.shares[1] > 0.0, "{:?}", bare.shares);
        let at = |map: &EmbeddingMap, id: &str| {
            map.spots.iter().chain(&map.hits).find(|spot| spot.document_id == id).unwrap().at
        };
        let far = |one: &str, other: &str| (at(&bare, one).0 - at(&bare, other).0).abs();
        assert!(far("stock prices", "bond prices") < far("stock prices", "a cat"));

        let wish = Wish {
            query: Some(Query::Document { id: "a cat".to_owned(), model: None }),
            hits: ["a kitten", "gone", "a cat"].map(str::to_owned).to_vec(),
            ..Wish::default()
        };
        let lit = map(&bench.lab, &wish).await.unwrap();
        let ids: Vec<&str> = lit.hits.iter().map(|hit| hit.document_id.as_str()).collect();
        assert_eq!((ids, lit.spots.len()), (vec!["a kitten", "a cat"], 4));
        assert_eq!(lit.query, Some(at(&lit, "a cat")));
        assert!(texts.iter().all(|(id, ..)| at(&lit, id) == at(&bare, id)));
    }
}
