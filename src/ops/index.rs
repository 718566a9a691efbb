//! Indexes over documents: list, build, drop. Nothing else in labtop ever builds one.

use tokio_util::sync::CancellationToken;

use super::{Lab, OpsError, Result, Stop};
use crate::domain::index::{BuildProgress, Index, IndexState, NewIndex};
use crate::store::documents::DocumentIndexes;
use crate::store::{Backend, ErrorKind, StoreError};

/// What to say where a store has no indexes.
pub fn none_needed(lab: &Lab) -> String {
    let backend: Backend = lab.settings.roles.documents.into();
    format!(
        "{backend} compares every vector: its searches miss nothing, and there is no index to make or to drop."
    )
}

/// Every index, by model and name; `None` where the store has none and needs none.
pub async fn list(lab: &Lab) -> Result<Option<Vec<Index>>> {
    match lab.documents.indexes() {
        Some(indexes) => Ok(Some(indexes.list().await?)),
        None => Ok(None),
    }
}

/// Builds one, telling how far it is; `None` where the store has none and needs none. Stopped, it leaves nothing behind.
pub async fn create(
    lab: &Lab,
    new: &NewIndex,
    told: &(dyn Fn(BuildProgress) + Send + Sync),
    stop: &Stop,
) -> Result<Option<Index>> {
    let Some(indexes) = lab.documents.indexes() else { return Ok(None) };
    let token: CancellationToken = stop.child();
    match indexes.build(new, told, &token).await {
        Err(error) if error.kind == ErrorKind::Cancelled && stop.is_stopped() => Err(OpsError::Cancelled),
        built => Ok(Some(built?)),
    }
}

/// Drops the index of that name, or the broken ones of a model, or all of one; says which went.
pub async fn remove(lab: &Lab, which: &Which) -> Result<Option<Vec<String>>> {
    let Some(indexes) = lab.documents.indexes() else { return Ok(None) };
    let names = match which {
        Which::Named(name) => vec![name.clone()],
        Which::OfModel(model) => {
            let of_model = |index: &Index| index.model_name == *model;
            found(indexes, of_model, &format!("there is no index over documents of '{model}'")).await?
        }
        Which::Broken => {
            let broken = |index: &Index| index.state == IndexState::Broken;
            found(indexes, broken, "no index is broken").await?
        }
    };
    for name in &names {
        indexes.remove(name).await?;
    }
    Ok(Some(names))
}

/// Which indexes to drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Named(String),
    OfModel(String),
    Broken,
}

async fn found(
    indexes: &dyn DocumentIndexes,
    wanted: impl Fn(&Index) -> bool,
    otherwise: &str,
) -> Result<Vec<String>> {
    let all = indexes.list().await?.into_iter();
    let names: Vec<String> = all.filter(|index| wanted(index)).map(|index| index.name).collect();
    if names.is_empty() {
        let missing =
            StoreError::new(ErrorKind::NotFound, Backend::Postgres, "dropping the index", otherwise);
        return Err(missing.remedy("`labtop docs index ls` lists them.").into());
    }
    Ok(names)
}
