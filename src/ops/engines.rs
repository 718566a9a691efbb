//! One question put to every engine that holds the same documents, so that their answers can be compared.

use std::time::{Duration, Instant};

use super::collection::{self, CollectionQuery};
use super::search::{Query, Terms, search};
use super::{Lab, OpsError, Result};
use crate::domain::collection::{Collection, RecordFilter};
use crate::domain::index::{Nearest, Scan};
use crate::store::Role;

/// Collections that are looked at, whether they hold what was found.
const LOOKED_AT: usize = 50;

/// Collections that are asked.
const ASKED: usize = 2;

/// What one engine answered.
#[derive(Debug)]
pub struct Side {
    /// "PostgreSQL", "the collection notes in Chroma"
    pub place: String,
    /// Along an index, or by comparing every vector.
    pub how: String,
    /// True where nothing nearer can have been missed.
    pub exact: bool,
    pub took: Duration,
    /// Ids with their distances, nearest first.
    pub hits: Result<Vec<(String, f64)>>,
}

/// Asks the document store as `terms` say, once more by comparing every vector where that went along an index, and the
/// collections that hold what was found. The first side is that of the document store; an error there is one of all.
pub async fn side_by_side(lab: &Lab, query: &Query, terms: &Terms) -> Result<Vec<Side>> {
    let begun = Instant::now();
    let Nearest { hits, scan } = search(lab, query, terms).await?;
    let took = begun.elapsed();
    let model = hits.first().map(|hit| hit.model_name.clone());
    let ids: Vec<String> = hits.iter().map(|hit| hit.document_id.clone()).collect();
    let place = lab.backend(Role::Documents).to_string();
    let exact = matches!(scan, Scan::Exact(_));
    let hits = Ok(hits.into_iter().map(|hit| (hit.document_id, hit.distance)).collect());
    let mut sides = vec![Side { place: place.clone(), how: scan.to_string(), exact, took, hits }];
    if !exact {
        let terms = Terms { exact: true, ef_search: None, ..terms.clone() };
        let begun = Instant::now();
        let found = search(lab, query, &terms).await;
        let took = begun.elapsed();
        let hits =
            found.map(|found| found.hits.into_iter().map(|hit| (hit.document_id, hit.distance)).collect());
        sides.push(Side { place, how: "every vector compared".to_owned(), exact: true, took, hits });
    }
    if let Some(model) = model {
        for name in holding(lab, &model, &ids).await? {
            sides.push(in_collection(lab, &name, query, terms).await);
        }
    }
    Ok(sides)
}

/// Collections of vectors as long as the model's that hold some of these documents.
async fn holding(lab: &Lab, model: &str, ids: &[String]) -> Result<Vec<String>> {
    let models = lab.documents.models().await?;
    let dimension = models.iter().find(|one| one.name == model).map(|one| one.dimension);
    let fits =
        |one: &Collection| one.problem.is_none() && one.dimension.is_some() && one.dimension == dimension;
    let mut names = Vec::new();
    for one in lab.collections.list().await?.into_iter().filter(fits).take(LOOKED_AT) {
        if !lab.collections.existing(&one.name, ids).await?.is_empty() {
            names.push(one.name);
            if names.len() == ASKED {
                break;
            }
        }
    }
    Ok(names)
}

async fn in_collection(lab: &Lab, name: &str, query: &Query, terms: &Terms) -> Side {
    let backend = lab.backend(Role::Collections);
    let exact = backend == crate::store::Backend::DuckDb;
    let asked = match query {
        Query::Text(text) => Ok(CollectionQuery::Text(text.clone())),
        Query::Document { id, .. } => Ok(CollectionQuery::Record(id.clone())),
        Query::Vector { embedding, .. } => Ok(CollectionQuery::Vector(embedding.clone())),
        Query::Random { .. } => {
            Err(OpsError::Invalid("a random vector is another for each engine".to_owned()))
        }
    };
    let filter = RecordFilter { r#where: terms.filter.to_where(), where_document: None };
    let begun = Instant::now();
    let hits = match asked {
        Ok(asked) => collection::query(lab, name, &asked, terms.k, &filter).await,
        Err(error) => Err(error),
    };
    let hits = hits.map(|hits| hits.into_iter().map(|hit| (hit.record.id, hit.distance)).collect());
    Side {
        place: format!("{name} in {backend}"),
        how: if exact { "every vector compared" } else { "along its HNSW index" }.to_owned(),
        exact,
        took: begun.elapsed(),
        hits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::collection::{NewCollection, Space};
    use crate::domain::document::Metadata;
    use crate::ops::collection::{NewRecord, add, create};
    use crate::ops::document::add_texts;
    use crate::ops::tests::settings;

    #[tokio::test]
    async fn those_that_hold_the_documents_are_asked() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::open(settings(&folder.path().join("lab.duckdb"))).unwrap();
        let texts = ["a cat sat on the mat", "stock prices fell", "the kitten sleeps"];
        let text = |number: usize| (format!("d{number}"), texts[number].to_owned(), Metadata::new());
        add_texts(&lab, &[text(0), text(1), text(2)]).await.unwrap();
        for name in ["same", "other"] {
            create(&lab, &NewCollection::new(name, &Metadata::new(), Space::Cosine)).await.unwrap();
            let record = |number: usize| NewRecord {
                id: Some(format!("{}{number}", if name == "same" { "d" } else { "x" })),
                document: Some(texts[number].to_owned()),
                ..NewRecord::default()
            };
            add(&lab, name, vec![record(0), record(1)]).await.unwrap();
        }
        let query = Query::Text("cats".to_owned());
        let terms = Terms { k: 2, ..Terms::default() };
        let sides = side_by_side(&lab, &query, &terms).await.unwrap();
        let told: Vec<_> = sides.iter().map(|side| (side.place.as_str(), side.exact)).collect();
        assert_eq!(told, [("DuckDB", true), ("same in DuckDB", true)]);
        let ids = |side: &Side| -> Vec<String> {
            side.hits.as_ref().unwrap().iter().map(|(id, _)| id.clone()).collect()
        };
        assert_eq!((ids(&sides[0]).len(), ids(&sides[1])), (2, vec!["d0".to_owned(), "d1".to_owned()]));

        let random = Query::Random { model: None, seed: Some(1) };
        let sides = side_by_side(&lab, &random, &terms).await.unwrap();
        assert!(sides[1].hits.is_err());
    }
}
