//! From rows to documents with vectors: what is stored already is left out, the rest is embedded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::collection::{embedder_of, model_of};
use super::super::document::NewDocument;
use super::super::embedders::Embedders;
use super::super::{Lab, OpsError, Result};
use super::read::Lot;
use super::{Ingest, OnError, Target, at};
use crate::domain::collection::{Collection, Record, RecordPage};
use crate::domain::document::{Document, content_hash};
use crate::embed::{EmbedError, Embedder};
use crate::store::ErrorKind;
use crate::store::collections::CollectionStore;
use crate::store::documents::DocumentStore;

/// A lot that can be stored.
#[derive(Debug, Default)]
pub struct Prepared {
    pub documents: Vec<Document>,
    pub records: Vec<Record>,
    /// What a new collection says that its vectors were made by.
    pub model: String,
    pub rows: u64,
    pub unchanged: u64,
    pub bad: Vec<(usize, String)>,
    /// The last line of the lot.
    pub last: usize,
    pub share: Option<f64>,
}

/// What it takes to prepare lots on any thread.
pub struct Preparer {
    job: Ingest,
    documents: Arc<dyn DocumentStore>,
    collections: Arc<dyn CollectionStore>,
    embedders: Embedders,
    /// For rows that name no model.
    usual: String,
    /// Why a text cannot be embedded by that one, where the collection is at odds with it.
    unusable: Option<String>,
    collection: String,
    /// It was not there when the work began.
    is_new: bool,
}

impl Preparer {
    /// `there` is the collection that is wanted, if it exists.
    pub fn new(lab: &Lab, job: &Ingest, there: Option<&Collection>) -> Self {
        let (usual, unusable) = match (&job.model, there) {
            // It may be known by name only: then every row must bring its vector.
            (Some(model), _) => (model.clone(), None),
            (None, Some(there)) => match embedder_of(lab, there) {
                Ok(embedder) => (embedder.model_name().to_owned(), None),
                Err(error) => {
                    (model_of(lab, there).unwrap_or(&there.name).to_owned(), Some(error.to_string()))
                }
            },
            (None, None) => (lab.embedders.chosen().model_name().to_owned(), None),
        };
        Preparer {
            job: job.clone(),
            documents: lab.documents.clone(),
            collections: lab.collections.clone(),
            embedders: lab.embedders.clone(),
            usual,
            unusable,
            collection: job.collection(),
            is_new: there.is_none(),
        }
    }

    /// The model of rows that name none.
    pub fn usual_model(&self) -> &str {
        &self.usual
    }

    pub async fn prepare(&self, lot: Lot) -> Result<Prepared> {
        let mut prepared = Prepared {
            rows: lot.rows.len() as u64 + lot.repeated,
            unchanged: lot.repeated,
            last: lot.rows.last().map_or(0, |(line, _)| *line),
            share: lot.share,
            model: self.usual.clone(),
            ..Prepared::default()
        };
        let mut rows = Vec::with_capacity(lot.rows.len());
        for (line, row) in lot.rows {
            match row {
                Ok(row) => rows.push(row),
                Err(why) => self.bad(line, why, &mut prepared)?,
            }
        }
        let there = self.there(&rows).await?;
        let before = rows.len();
        rows.retain(|row| !(there.documents.contains(&row.id) && there.records.contains(&row.id)));
        prepared.unchanged += (before - rows.len()) as u64;
        let made = self.embedded(rows, &mut prepared).await?;
        prepared.bad.sort_by_key(|(line, _)| *line);
        if let Some(first) = made.first() {
            prepared.model.clone_from(&first.model_name);
        }
        if self.job.target != Target::Documents {
            let wanted = made.iter().filter(|document| !there.records.contains(&document.document_id));
            prepared.records = wanted.cloned().map(record).collect();
        }
        if self.job.target != Target::Collections {
            prepared.documents = made;
            prepared.documents.retain(|document| !there.documents.contains(&document.document_id));
        }
        Ok(prepared)
    }

    fn bad(&self, line: usize, why: String, prepared: &mut Prepared) -> Result<()> {
        if self.job.on_error == OnError::Fail {
            return Err(at(&self.job.source, line, &why));
        }
        prepared.bad.push((line, why));
        Ok(())
    }

    /// Which of the rows are stored already, word for word, in each place; everywhere that nothing is wanted in. Rows that
    /// bring a vector are always stored: it may be another one.
    async fn there(&self, rows: &[NewDocument]) -> Result<There> {
        let bare: Vec<&NewDocument> = rows.iter().filter(|row| row.embedding.is_none()).collect();
        let all = || bare.iter().map(|row| row.id.clone()).collect();
        Ok(match self.job.target {
            Target::Documents => There { documents: self.documents_there(&bare).await?, records: all() },
            Target::Collections => There { documents: all(), records: self.records_there(&bare).await? },
            Target::Both => There {
                documents: self.documents_there(&bare).await?,
                records: self.records_there(&bare).await?,
            },
        })
    }

    async fn documents_there(&self, rows: &[&NewDocument]) -> Result<HashSet<String>> {
        let mut by_model: HashMap<&str, Vec<String>> = HashMap::new();
        for row in rows {
            by_model.entry(self.model_of(row)).or_default().push(row.id.clone());
        }
        let mut stored = HashMap::new();
        for (model, ids) in by_model {
            let stubs = self.documents.stubs(model, &ids).await?;
            stored.extend(stubs.into_iter().map(|stub| ((model, stub.document_id.clone()), stub)));
        }
        let same = |row: &&&NewDocument| {
            let stub = stored.get(&(self.model_of(row), row.id.clone()));
            stub.is_some_and(|stub| {
                stub.content_hash == content_hash(&row.text) && stub.metadata == row.metadata
            })
        };
        Ok(rows.iter().filter(same).map(|row| row.id.clone()).collect())
    }

    async fn records_there(&self, rows: &[&NewDocument]) -> Result<HashSet<String>> {
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        // What came into a collection that was not there when we began is ours, and each of our rows comes once.
        if self.is_new || ids.is_empty() {
            return Ok(HashSet::new());
        }
        let page = RecordPage { limit: ids.len(), ids, ..RecordPage::default() };
        let stored = match self.collections.records(&self.collection, &page).await {
            Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
            stored => stored?,
        };
        let stored: HashMap<&str, _> = stored.iter().map(|record| (record.id.as_str(), record)).collect();
        let same = |row: &&&NewDocument| {
            stored.get(row.id.as_str()).is_some_and(|record| {
                record.document.as_ref() == Some(&row.text) && record.metadata == row.metadata
            })
        };
        Ok(rows.iter().filter(same).map(|row| row.id.clone()).collect())
    }

    fn model_of<'a>(&'a self, row: &'a NewDocument) -> &'a str {
        row.model.as_deref().unwrap_or_else(|| self.usual_model())
    }

    /// Gives a vector to every row that brought none, model by model; the rows stay in their order.
    async fn embedded(&self, rows: Vec<NewDocument>, prepared: &mut Prepared) -> Result<Vec<Document>> {
        let mut by_model: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.embedding.is_none()) {
            by_model.entry(self.model_of(row).to_owned()).or_default().push(index);
        }
        let mut vectors: HashMap<usize, Vec<f32>> = HashMap::new();
        for (model, indices) in by_model {
            let unusable = self.unusable.as_ref().filter(|_| model == self.usual);
            let embedder = match (unusable, self.embedders.named(&model)) {
                (None, Ok(embedder)) => embedder,
                (unusable, named) => {
                    let told = || named.err().map(|error| error.to_string()).unwrap_or_default();
                    let why = unusable.cloned().unwrap_or_else(told);
                    for index in indices {
                        self.bad(rows[index].line, why.clone(), prepared)?;
                    }
                    continue;
                }
            };
            self.embed(embedder.as_ref(), &rows, &indices, &mut vectors, prepared).await?;
        }
        let mut documents = Vec::with_capacity(rows.len());
        for (index, row) in rows.into_iter().enumerate() {
            let model_name = self.model_of(&row).to_owned();
            let NewDocument { id: document_id, text: content, metadata, embedding, .. } = row;
            if let Some(embedding) = embedding.or_else(|| vectors.remove(&index)) {
                documents.push(Document { document_id, content, embedding, model_name, metadata });
            }
        }
        Ok(documents)
    }

    /// Embeds the texts of these rows. A text that the model refuses is a bad row; those around it are asked for anew.
    async fn embed(
        &self,
        embedder: &dyn Embedder,
        rows: &[NewDocument],
        indices: &[usize],
        vectors: &mut HashMap<usize, Vec<f32>>,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let mut open = vec![indices];
        while let Some(part) = open.pop() {
            let texts: Vec<String> = part.iter().map(|&index| rows[index].text.clone()).collect();
            let (place, why) = match embedder.embed(&texts).await {
                Ok(made) => {
                    vectors.extend(part.iter().copied().zip(made));
                    continue;
                }
                Err(EmbedError::Empty { index, model }) => {
                    (index, format!("the text has no word that the embedding model {model} knows"))
                }
                Err(EmbedError::Text { index, model, why }) => {
                    (index, format!("the embedding model {model} refuses the text: {why}"))
                }
                Err(error) => return Err(OpsError::Embed(error)),
            };
            let (before, rest) = part.split_at(place.min(part.len()));
            let Some((refused, behind)) = rest.split_first() else {
                return Err(OpsError::Invalid(why));
            };
            self.bad(rows[*refused].line, why, prepared)?;
            open.extend([behind, before].into_iter().filter(|part| !part.is_empty()));
        }
        Ok(())
    }
}

/// Ids of what is stored as it is.
struct There {
    documents: HashSet<String>,
    records: HashSet<String>,
}

fn record(document: Document) -> Record {
    Record {
        id: document.document_id,
        document: Some(document.content),
        embedding: document.embedding,
        metadata: document.metadata,
    }
}
