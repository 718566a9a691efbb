//! The embedding models that can be had here, by the name that their vectors are stored under.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{OpsError, Result};
use crate::config::{self, EmbedModel};
use crate::embed::http::{CachePlace, Endpoint, Http};
use crate::embed::{BuiltIn, Embedder};

/// What `embed.cache` says to keep none.
const NO_CACHE: &str = "off";

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Embedders {
    chosen: Arc<dyn Embedder>,
    by_name: Arc<BTreeMap<String, Arc<dyn Embedder>>>,
}

impl Embedders {
    /// As the settings have them. Nobody is asked yet.
    pub fn of(settings: &config::Embed) -> Self {
        let cache = cache_place(settings);
        let mut by_name: BTreeMap<String, Arc<dyn Embedder>> = settings
            .models
            .iter()
            .map(|(name, model)| (name.clone(), of_settings(name, model, cache.as_ref())))
            .collect();
        let built_in: Arc<dyn Embedder> = Arc::new(BuiltIn);
        by_name.insert(BuiltIn::MODEL_NAME.to_owned(), built_in.clone());
        // The settings are checked to name one of them.
        let chosen = by_name.get(&settings.model).cloned().unwrap_or(built_in);
        Embedders { chosen, by_name: Arc::new(by_name) }
    }

    /// What new documents are embedded by.
    pub fn chosen(&self) -> &Arc<dyn Embedder> {
        &self.chosen
    }

    /// The model of that name, to embed what is to be compared with its documents.
    pub fn named(&self, model: &str) -> Result<&Arc<dyn Embedder>> {
        self.by_name.get(model).ok_or_else(|| {
            if is_retired(model) {
                return OpsError::Invalid(format!(
                    "'{model}' is the table of an earlier labtop and no longer here: its vectors cannot be compared with those of {}. \
                     {RENEWAL}",
                    BuiltIn::MODEL_NAME
                ));
            }
            let here: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
            OpsError::Invalid(format!(
                "'{model}' is not here to embed a text (here: {}): set [embed.models.{}] with the url of a server that has it (or the \
                 path of a folder), or give the vector",
                here.join(", "),
                key(model)
            ))
        })
    }

    /// The model of that name, or the chosen one where none is named.
    pub fn named_or_chosen(&self, model: Option<&str>) -> Result<&Arc<dyn Embedder>> {
        model.map_or(Ok(&self.chosen), |model| self.named(model))
    }

    /// Whether texts can be embedded by that model.
    pub fn has(&self, model: &str) -> bool {
        self.by_name.contains_key(model)
    }
}

/// Whether vectors of that name were made by a table that earlier versions had built in, and that no text can be embedded by any more.
/// A model of the settings may have taken the name.
pub(super) fn is_retired(model: &str) -> bool {
    BuiltIn::RETIRED.contains(&model)
}

/// What is to be done with what such a table embedded.
pub(super) const RENEWAL: &str = "Add the texts again (labtop docs add FILE; a collection under another name), or search by a document \
                                  (--like ID), which needs no text to be embedded";

/// A name as TOML wants it in a table's header.
fn key(model: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !model.is_empty() && model.chars().all(bare) { model.to_owned() } else { format!("\"{model}\"") }
}

fn of_settings(name: &str, model: &EmbedModel, cache: Option<&CachePlace>) -> Arc<dyn Embedder> {
    // The settings are checked: a folder is named only where its models can be run.
    #[cfg(feature = "embed-onnx")]
    if let Some(folder) = &model.path {
        use crate::embed::onnx::{Onnx, Place};
        let (name, folder) = (name.to_owned(), folder.clone());
        return Arc::new(Onnx::new(Place { name, folder, dimension: model.dimension, batch: model.batch }));
    }
    Arc::new(Http::new(endpoint(name, model), cache.cloned()))
}

fn endpoint(name: &str, model: &EmbedModel) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        url: model.url.clone().unwrap_or_default(),
        model: model.model.clone().unwrap_or_else(|| name.to_owned()),
        dimension: model.dimension,
        api_key: model.api_key.clone(),
        batch: model.batch,
        batch_chars: model.batch_chars,
        concurrency: model.concurrency,
        timeout: Duration::from_millis(model.timeout_ms),
        retries: model.retries,
    }
}

fn cache_place(settings: &config::Embed) -> Option<CachePlace> {
    let folder = if settings.cache.as_os_str().is_empty() { usual_folder()? } else { settings.cache.clone() };
    let most = settings.cache_mb * 1024 * 1024;
    (folder != Path::new(NO_CACHE)).then_some(CachePlace { folder, most })
}

/// None without a home.
fn usual_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folder = etcetera::choose_base_strategy().ok()?.cache_dir();
    Some(folder.join("labtop").join("embeddings"))
}
