//! Models behind an OpenAI-compatible `/v1/embeddings`: OpenAI, Ollama, llama.cpp, TEI, vLLM.

mod cache;
mod call;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::{EmbedError, Embedder};
use cache::{Cache, Key};
use call::{Client, Refusal};

/// What every model takes.
const PLAIN_WORD: &str = "word";

/// Where a model is, and how it may be asked.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What vectors of this model are stored under.
    pub name: String,
    /// The whole address, or that of the API it belongs to.
    pub url: String,
    /// What the server calls the model.
    pub model: String,
    /// The dimension that is expected; whatever comes first when none.
    pub dimension: Option<usize>,
    pub api_key: Option<SecretString>,
    /// Texts, and characters, in one request. A longer text goes alone.
    pub batch: usize,
    pub batch_chars: usize,
    /// Requests at once, whoever asks.
    pub concurrency: usize,
    pub timeout: Duration,
    pub retries: usize,
}

/// Where vectors are kept that have been made once.
#[derive(Clone, Debug)]
pub struct CachePlace {
    pub folder: PathBuf,
    /// Bytes of one model.
    pub most: u64,
}

/// See the module. Making one does no I/O.
pub struct Http {
    endpoint: Endpoint,
    client: OnceLock<Client>,
    permits: Semaphore,
    dimension: OnceLock<usize>,
    /// The server has made a vector: what it refuses from then on, it refuses for the text's sake.
    answered: AtomicBool,
    cache: Option<Arc<Cache>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("name", &self.endpoint.name).finish_non_exhaustive()
    }
}

impl Http {
    pub fn new(endpoint: Endpoint, cache: Option<CachePlace>) -> Self {
        let dimension = endpoint.dimension.map_or_else(OnceLock::new, OnceLock::from);
        let cache = cache.map(|place| Arc::new(Cache::new(&place, &endpoint)));
        let permits = Semaphore::new(endpoint.concurrency.max(1));
        Http {
            endpoint,
            client: OnceLock::new(),
            permits,
            dimension,
            answered: AtomicBool::new(false),
            cache,
        }
    }

    fn client(&self) -> Result<&Client, EmbedError> {
        if self.client.get().is_none() {
            // Somebody else may have been faster; theirs is as good.
            let _ = self.client.set(Client::new(&self.endpoint)?);
        }
        self.client.get().ok_or_else(|| self.failed("no client could be made"))
    }

    fn failed(&self, why: impl Into<String>) -> EmbedError {
        EmbedError::Failed { model: self.endpoint.name.clone(), why: why.into() }
    }

    /// The texts of one request, named by their indices. One that the server refuses is asked for in halves, to find the
    /// text that is to blame.
    async fn lot(&self, texts: &[String], lot: Vec<usize>) -> Result<Vec<(usize, Vec<f32>)>, EmbedError> {
        let _turn = self.permits.acquire().await.map_err(|_| self.failed("it is being shut down"))?;
        let mut made = Vec::with_capacity(lot.len());
        let mut open = vec![lot];
        while let Some(part) = open.pop() {
            let asked: Vec<&str> = part.iter().map(|&index| texts[index].as_str()).collect();
            match self.client()?.ask(&asked).await {
                Ok(vectors) => {
                    self.answered.store(true, Ordering::Relaxed);
                    let vectors = self.checked(vectors)?;
                    made.extend(part.into_iter().zip(vectors));
                }
                Err(Refusal::Input(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    open.extend([second.to_vec(), first.to_vec()]);
                }
                Err(Refusal::Input(why)) => {
                    if let Some(error) = self.refuses_everything(&why).await {
                        return Err(error);
                    }
                    let index = part.first().copied().unwrap_or_default();
                    return Err(EmbedError::Text { index, model: self.endpoint.name.clone(), why });
                }
                Err(Refusal::Told(error)) => return Err(error),
            }
        }
        self.remember(texts, &made).await;
        Ok(made)
    }

    /// Whether a refusal that sounds like one of a text is none: many servers tell a model that they do not know by the same
    /// status. One that refuses a plain word as well has something against whatever we ask.
    async fn refuses_everything(&self, why: &str) -> Option<EmbedError> {
        if self.answered.load(Ordering::Relaxed) {
            return None;
        }
        match self.client().ok()?.ask(&[PLAIN_WORD]).await {
            Ok(_) => {
                self.answered.store(true, Ordering::Relaxed);
                None
            }
            Err(Refusal::Input(_)) => Some(self.failed(format!(
                "the server refuses every text, one plain word too: {why}. Is the model '{}' there, and one that embeds texts?",
                self.endpoint.model
            ))),
            Err(Refusal::Told(error)) => Some(error),
        }
    }

    /// All of one dimension, finite and of length 1.
    fn checked(&self, vectors: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let unit = |vector: Vec<f32>| {
            let expected = *self.dimension.get_or_init(|| vector.len());
            if vector.len() != expected {
                let got = vector.len();
                return Err(self.failed(format!(
                    "the server gave a vector of {got} dimensions where {expected} were expected: another model answers there, \
                     or `dimension` is wrong"
                )));
            }
            let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            if !length.is_finite() {
                return Err(self.failed("the server gave a vector with NaN or infinity in it"));
            }
            if length == 0.0 {
                return Err(self.failed("the server gave a vector of zeros, which has no direction"));
            }
            Ok(vector.into_iter().map(|value| (f64::from(value) / length) as f32).collect())
        };
        vectors.into_iter().map(unit).collect()
    }

    /// What is in the cache of these texts; nothing where it cannot be read, which is told in the log.
    async fn remembered(&self, texts: &[String]) -> Vec<Option<Vec<f32>>> {
        let nothing = || vec![None; texts.len()];
        let Some(cache) = self.cache.clone() else { return nothing() };
        let keys: Vec<Key> = texts.iter().map(|text| cache.key(text)).collect();
        let expected = self.dimension.get().copied();
        let found = tokio::task::spawn_blocking(move || cache.find(&keys)).await;
        match found {
            Ok(Ok(mut found)) => {
                for vector in &mut found {
                    // Of a model that was another one under this name.
                    *vector = vector.take().filter(|vector| expected.is_none_or(|own| own == vector.len()));
                }
                if let Some(vector) = found.iter().flatten().next() {
                    // Known already when this fails.
                    let _ = self.dimension.set(vector.len());
                }
                found
            }
            Ok(Err(error)) => {
                tracing::warn!("the cache of embeddings cannot be read: {error}");
                nothing()
            }
            Err(_) => nothing(),
        }
    }

    async fn remember(&self, texts: &[String], made: &[(usize, Vec<f32>)]) {
        let Some(cache) = self.cache.clone() else { return };
        let entries: Vec<(Key, Vec<f32>)> =
            made.iter().map(|(index, vector)| (cache.key(&texts[*index]), vector.clone())).collect();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || cache.put(&entries)).await {
            tracing::warn!("the cache of embeddings cannot be written: {error}");
        }
    }
}

#[async_trait]
impl Embedder for Http {
    fn model_name(&self) -> &str {
        &self.endpoint.name
    }

    fn dimension(&self) -> Option<usize> {
        self.dimension.get().copied()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if let Some(index) = texts.iter().position(|text| text.trim().is_empty()) {
            return Err(EmbedError::Empty { index, model: self.endpoint.name.clone() });
        }
        let mut vectors = self.remembered(texts).await;
        let missing = (0..texts.len()).filter(|&index| vectors[index].is_none());
        let lots = lots(texts, missing, self.endpoint.batch, self.endpoint.batch_chars);
        let mut made = stream::iter(lots.into_iter().map(|lot| self.lot(texts, lot)))
            .buffered(self.endpoint.concurrency.max(1));
        while let Some(lot) = made.try_next().await? {
            for (index, vector) in lot {
                vectors[index] = Some(vector);
            }
        }
        drop(made);
        let whole: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
        whole.ok_or_else(|| self.failed("a text got no vector"))
    }
}

/// Cuts texts, named by their indices, into lots of so many texts and characters at most.
fn lots(
    texts: &[String],
    indices: impl Iterator<Item = usize>,
    most: usize,
    most_chars: usize,
) -> Vec<Vec<usize>> {
    let mut lots: Vec<Vec<usize>> = Vec::new();
    let mut characters = 0;
    for index in indices {
        let own = texts[index].chars().count();
        match lots.last_mut() {
            Some(lot) if lot.len() < most && characters + own <= most_chars => {
                lot.push(index);
                characters += own;
            }
            _ => {
                lots.push(vec![index]);
                characters = own;
            }
        }
    }
    lots
}
