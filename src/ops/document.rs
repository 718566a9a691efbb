//! Documents: add texts with their vectors, look at them, search them.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;

use super::lines::{self, Line};
pub use super::search::{Query, Terms, search};
use super::{Lab, Result, delivery};
use crate::domain::collection::{Record, collection_name};
use crate::domain::document::{Document, DocumentHit, EmbeddingModel, Metadata};
use crate::embed::EmbedError;

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

/// What was stored of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// In the document store.
    pub documents: u64,
    /// The collection, where one was asked for.
    pub collection: Option<String>,
    /// In that collection.
    pub records: u64,
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

/// Adds every text of a file, or none of them.
///
/// With [`Target::Both`] the document store comes first; since adding again replaces, a collection store that was down
/// is made up for by the same command.
pub async fn add_file(lab: &Lab, path: &Path, target: Target) -> Result<Added> {
    let documents = embedded(lab, path, parse_documents(path).await?).await?;
    let mut added = Added::default();
    if documents.is_empty() {
        return Ok(added);
    }
    if matches!(target, Target::Documents | Target::Both) {
        added.documents = lab.documents.put(&documents).await?;
    }
    if matches!(target, Target::Collections | Target::Both) {
        let collection = collection_name(&stem(path), "");
        let records: Vec<Record> = documents.into_iter().map(record).collect();
        let description = format!("documents of {}", path.file_name().unwrap_or_default().to_string_lossy());
        let model = lab.embedder.model_name();
        delivery::put_records(&*lab.collections, model, &collection, &description, &records).await?;
        added.records = records.len() as u64;
        added.collection = Some(collection);
    }
    Ok(added)
}

fn record(document: Document) -> Record {
    Record {
        id: document.document_id,
        document: Some(document.content),
        embedding: document.embedding,
        metadata: document.metadata,
    }
}

/// Gives a vector to every text that brought none.
async fn embedded(lab: &Lab, path: &Path, parsed: Vec<NewDocument>) -> Result<Vec<Document>> {
    let own = lab.embedder.model_name();
    let bare: Vec<&NewDocument> = parsed.iter().filter(|document| document.embedding.is_none()).collect();
    for document in &bare {
        if let Some(other) = document.model.as_deref().filter(|&model| model != own) {
            let why =
                format!("'{other}' is not here to embed the text: give its embedding, or leave `model` out");
            return Err(lines::invalid(path, document.line, &why));
        }
    }
    let texts: Vec<String> = bare.iter().map(|document| document.text.clone()).collect();
    let vectors = lab.embedder.embed(&texts).await.map_err(|error| match &error {
        EmbedError::Empty { index, model } => {
            let line = bare.get(*index).map_or(0, |document| document.line);
            lines::invalid(
                path,
                line,
                &format!("the text has no word that the embedding model {model} knows"),
            )
        }
    })?;
    let mut vectors = vectors.into_iter();
    let mut documents = Vec::with_capacity(parsed.len());
    for document in parsed {
        let NewDocument { id, text, metadata, embedding, model, line } = document;
        let Some(embedding) = embedding.or_else(|| vectors.next()) else {
            return Err(lines::invalid(path, line, "the embedder gave no vector for this text"));
        };
        let model_name = model.unwrap_or_else(|| own.to_owned());
        documents.push(Document { document_id: id, content: text, embedding, model_name, metadata });
    }
    Ok(documents)
}

/// Embeds and stores `(id, text, metadata)`; says how many.
pub async fn add_texts(lab: &Lab, texts: &[(String, String, Metadata)]) -> Result<u64> {
    let contents: Vec<String> = texts.iter().map(|(_, text, _)| text.clone()).collect();
    let vectors = lab.embedder.embed(&contents).await?;
    let documents: Vec<Document> = texts
        .iter()
        .zip(vectors)
        .map(|((id, text, metadata), embedding)| Document {
            document_id: id.clone(),
            content: text.clone(),
            embedding,
            model_name: lab.embedder.model_name().to_owned(),
            metadata: metadata.clone(),
        })
        .collect();
    Ok(lab.documents.put(&documents).await?)
}

/// An object of a `.jsonl` file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonDocument {
    #[serde(alias = "document_id")]
    id: Option<String>,
    #[serde(alias = "content", alias = "document")]
    text: String,
    #[serde(default)]
    metadata: Metadata,
    embedding: Option<Vec<f32>>,
    #[serde(alias = "model_name")]
    model: Option<String>,
}

/// Reads `.jsonl` (an object a line: `text` or `content` or `document`, and optionally `id`, `metadata`, and
/// `embedding` with its `model`) or any other text file (one document on each line that is not blank). Documents
/// without an id are named `FILE-LINE`, so that adding a file again replaces them.
pub async fn parse_documents(path: &Path) -> Result<Vec<NewDocument>> {
    let json = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
    let stem = stem(path);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut documents = Vec::new();
    for line in lines::read(path).await? {
        let mut document = if json { json_document(path, &line)? } else { plain_document(&line) };
        if document.id.is_empty() {
            document.id = format!("{stem}-{}", line.number);
        }
        if let Some(first) = seen.insert(document.id.clone(), line.number) {
            let why = format!("the id '{}' is taken by line {first}", document.id);
            return Err(lines::invalid(path, line.number, &why));
        }
        documents.push(document);
    }
    Ok(documents)
}

fn plain_document(line: &Line) -> NewDocument {
    NewDocument {
        id: String::new(),
        text: line.text.trim().to_owned(),
        metadata: Metadata::new(),
        embedding: None,
        model: None,
        line: line.number,
    }
}

fn json_document(path: &Path, line: &Line) -> Result<NewDocument> {
    let JsonDocument { id, text, metadata, embedding, model } = lines::parse(path, line)?;
    if embedding.is_some() && model.is_none() {
        return Err(lines::invalid(
            path,
            line.number,
            "an embedding without `model`: say which model made it",
        ));
    }
    Ok(NewDocument { id: id.unwrap_or_default(), text, metadata, embedding, model, line: line.number })
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Documents by id, without a query.
pub async fn list(lab: &Lab, model: Option<&str>, offset: u64, limit: u64) -> Result<Vec<DocumentHit>> {
    Ok(lab.documents.list(model, offset, limit).await?)
}

pub async fn models(lab: &Lab) -> Result<Vec<EmbeddingModel>> {
    Ok(lab.documents.models().await?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::ops::tests::{Bench, FOREVER};

    fn file(bench: &Bench, name: &str, text: &str) -> PathBuf {
        let path = bench.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[tokio::test]
    async fn a_text_file_is_a_document_a_line() {
        let bench = Bench::embedded();
        let path = file(&bench, "notes.txt", "The quick fox.\n\nA slow training run.\n");
        let added = add_file(&bench.lab, &path, Target::Both).await.unwrap();
        let collection = Some("notes".to_owned());
        assert_eq!(added, Added { documents: 2, collection, records: 2 });
        add_file(&bench.lab, &path, Target::Both).await.unwrap();
        let listed = list(&bench.lab, None, 0, 10).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|hit| hit.document_id.as_str()).collect();
        assert_eq!(ids, ["notes-1", "notes-3"], "adding again replaces");
        assert_eq!(bench.collections.texts("notes").len(), 2);

        let query = Query::Text("training".to_owned());
        let terms = Terms { k: 1, ..Terms::default() };
        let hits = search(&bench.lab, &query, &terms).await.unwrap().hits;
        assert_eq!(hits[0].content, "A slow training run.");
    }

    #[tokio::test]
    async fn json_lines_bring_ids_metadata_and_vectors() {
        let bench = Bench::embedded();
        let text = r#"{"id": "a", "text": "good product", "metadata": {"stars": 5}}
{"id": "b", "content": "bad product", "embedding": [0.1, 0.2, 0.3], "model": "mine"}
{"document": "average product"}"#;
        let path = file(&bench, "reviews.jsonl", text);
        assert_eq!(add_file(&bench.lab, &path, Target::Documents).await.unwrap().documents, 3);
        let models = models(&bench.lab).await.unwrap();
        let models: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.dimension)).collect();
        assert_eq!(models, [("labtop-static-256", 256), ("mine", 3)]);
        let kept = bench.documents.kept.lock().unwrap();
        let a = &kept[&("labtop-static-256".to_owned(), "a".to_owned())];
        assert_eq!(a.metadata["stars"], json!(5));
        assert!(kept.contains_key(&("labtop-static-256".to_owned(), "reviews-3".to_owned())));
    }

    #[tokio::test]
    async fn a_bad_line_is_named_and_nothing_is_stored() {
        let bench = Bench::embedded();
        let cases = [
            ("{\"text\": \"a\"}\n{\"txt\": \"b\"}", ":2:6: unknown field `txt`"),
            ("{\"text\": \"a word\", \"embedding\": [1]}", ":1: an embedding without `model`"),
            ("{\"text\": \"a word\", \"embedding\": [1e39], \"model\": \"m\"}", ":1:37: number out of range"),
            ("{\"text\": \"a word\", \"model\": \"ada\"}", ":1: 'ada' is not here to embed the text"),
            ("{\"text\": \"a word\"}\n\n{\"text\": \"\"}", ":3: the text has no word"),
            (
                "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}",
                ":2: the id 'a' is taken by line 1",
            ),
        ];
        for (text, message) in cases {
            let path = file(&bench, "bad.jsonl", text);
            let error = add_file(&bench.lab, &path, Target::Both).await.unwrap_err();
            assert!(error.to_string().contains(&format!("bad.jsonl{message}")), "{error}");
        }
        assert!(bench.documents.kept.lock().unwrap().is_empty());
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
