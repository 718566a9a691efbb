//! Which vectors may lie beside each other: those of one model and dimension, none without a direction where angles are measured.

use std::collections::HashMap;

use super::super::collection::model_of;
use super::super::document::NewDocument;
use super::super::search::{WITHOUT_DIRECTION, is_zero};
use super::super::{Lab, Result};
use super::{Ingest, Target};
use crate::domain::collection::{Collection, Space, check_metadata};
use crate::domain::document::Distance;

/// What is known of the places that documents go to, and is learnt from their first ones.
#[derive(Debug, Default)]
pub struct Places {
    /// For documents that name no model.
    usual: String,
    /// By model; none where no document is wanted.
    models: Option<HashMap<String, Shape>>,
    collection: Option<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    dimension: Option<usize>,
    cosine: bool,
}

/// The collection that is wanted.
#[derive(Debug)]
struct Kept {
    /// None until something goes into a new one, or where it does not say.
    model: Option<String>,
    is_new: bool,
    shape: Shape,
}

impl Places {
    /// `usual` is the model of documents that name none; `there` the collection, if it exists.
    pub async fn of(lab: &Lab, job: &Ingest, usual: &str, there: Option<&Collection>) -> Result<Self> {
        let models = match job.target {
            Target::Collections => None,
            _ => Some(lab.documents.models().await?),
        };
        let shape = |dimension, cosine| Shape { dimension, cosine };
        let models = models.map(|models| {
            let known = models
                .into_iter()
                .map(|model| (model.name, shape(Some(model.dimension), model.distance == Distance::Cosine)));
            known.collect()
        });
        let collection = (job.target != Target::Documents).then(|| Kept {
            model: there.and_then(|there| model_of(lab, there)).map(str::to_owned),
            is_new: there.is_none(),
            shape: there
                .map_or(shape(None, true), |there| shape(there.dimension, there.space == Space::Cosine)),
        });
        Ok(Places { usual: usual.to_owned(), models, collection })
    }

    /// What is wrong with a document there; what is right is remembered.
    pub fn check(&mut self, document: &NewDocument) -> Result<(), String> {
        let model = document.model.as_ref().unwrap_or(&self.usual);
        if let Some(kept) = &mut self.collection {
            check_metadata(&document.metadata)?;
            if kept.is_new && document.embedding.is_some() && document.model.is_none() {
                return Err(NAMELESS.to_owned());
            }
            let known = kept.model.get_or_insert_with(|| model.clone());
            if known != model {
                return Err(format!("the model is {model}, and the collection holds vectors of {known}"));
            }
        }
        let Some(embedding) = &document.embedding else { return Ok(()) };
        if let Some(kept) = &mut self.collection {
            kept.shape.check(embedding, "those of the collection")?;
        }
        if let Some(models) = &mut self.models {
            let model = document.model.as_ref().ok_or(NAMELESS)?;
            // The first vector of a new model says how many dimensions all have.
            let new = Shape { dimension: None, cosine: true };
            models.entry(model.clone()).or_insert(new).check(embedding, &format!("those of {model}"))?;
        }
        Ok(())
    }
}

const NAMELESS: &str = "an embedding without `model`: say which model made it (or --model NAME for all)";

impl Shape {
    fn check(&mut self, embedding: &[f32], others: &str) -> Result<(), String> {
        let known = *self.dimension.get_or_insert(embedding.len());
        if known != embedding.len() {
            return Err(format!("the embedding has {} dimensions, {others} have {known}", embedding.len()));
        }
        if self.cosine && is_zero(embedding) {
            return Err(format!("the embedding {WITHOUT_DIRECTION}"));
        }
        Ok(())
    }
}
