//! A collection's records as a file.

use std::path::Path;

use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::pages::Pages;
use crate::analytics::record_file::RecordFile;
use crate::domain::collection::{RecordFilter, StoredRecord};
use crate::domain::document::Metadata;
use crate::ops::export::{at, beside, settle};
use crate::ops::{Lab, OpsError, Result, Stop, Watcher};

/// Which records go into a file, and what of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordExport {
    pub filter: RecordFilter,
    pub with_embeddings: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    JsonLines,
    Parquet,
}

/// One line: what `labtop collections add` reads.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: &'a Metadata,
}

/// Writes a collection's records to a `.jsonl` or `.parquet` file; says how many. The file appears whole or not at all.
///
/// In Parquet, `embedding` is a list of floats and `metadata` JSON text.
pub async fn to_file(
    lab: &Lab,
    name: &str,
    path: &Path,
    export: &RecordExport,
    watcher: &dyn Watcher,
    stop: &Stop,
) -> Result<u64> {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    let kind = match ending.as_deref() {
        Some("jsonl" | "ndjson") => Kind::JsonLines,
        Some("parquet") => Kind::Parquet,
        _ => {
            return Err(OpsError::Invalid(format!(
                "{}: end the file's name in .jsonl or .parquet, so that the format is known",
                path.display()
            )));
        }
    };
    let collection = lab.collections.get(name).await?;
    let pages = Pages::new(lab, &collection, export, watcher, stop);
    let dimension = collection.dimension.filter(|_| export.with_embeddings);
    let draft = beside(path);
    let written = match kind {
        Kind::JsonLines => lines(pages, &draft).await,
        Kind::Parquet => parquet(pages, &draft, dimension).await,
    };
    settle(&draft, path, written).await
}

async fn lines(mut pages: Pages<'_>, path: &Path) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path).await.map_err(at(path))?);
    while let Some(lot) = pages.next().await? {
        for StoredRecord { id, document, metadata, embedding } in &lot {
            let (document, embedding) = (document.as_deref(), embedding.as_deref());
            let line = Line { id, document, embedding, metadata };
            let line = serde_json::to_string(&line).map_err(|error| at(path)(error.into()))? + "\n";
            file.write_all(line.as_bytes()).await.map_err(at(path))?;
        }
    }
    file.flush().await.map_err(at(path))?;
    Ok(pages.count())
}

async fn parquet(mut pages: Pages<'_>, path: &Path, dimension: Option<usize>) -> Result<u64> {
    let mut file = RecordFile::create(path, dimension)?;
    while let Some(lot) = pages.next().await? {
        file = blocking(path, move || {
            file.put(&lot)?;
            Ok(file)
        })
        .await?;
    }
    blocking(path, move || file.finish()).await?;
    Ok(pages.count())
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> crate::store::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| at(path)(std::io::Error::other(error)))??)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::pages::LOT;
    use super::*;
    use crate::domain::collection::{NewCollection, RecordPage, Space};
    use crate::ops::collection::{add, create, parse_records, records};
    use crate::ops::news::Nobody;
    use crate::ops::tests::settings;

    struct Bench {
        lab: Lab,
        folder: tempfile::TempDir,
    }

    async fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::open(settings(&folder.path().join("lab.duckdb"))).unwrap();
        let bench = Bench { lab, folder };
        for name in ["notes", "again"] {
            create(&bench.lab, &NewCollection::new(name, &Metadata::new(), Space::L2)).await.unwrap();
        }
        let text = (0..LOT + 3).map(|number| {
            let record =
                json!({"id": format!("r{number}"), "embedding": [number, 0.1], "metadata": {"n": number}});
            format!("{record}\n")
        });
        let path = bench.folder.path().join("in.jsonl");
        std::fs::write(&path, text.collect::<String>()).unwrap();
        let records = parse_records(&path).await.unwrap();
        add(&bench.lab, "notes", records).await.unwrap();
        bench
    }

    async fn export(bench: &Bench, file: &str, export: &RecordExport) -> Result<u64> {
        let path = bench.folder.path().join(file);
        to_file(&bench.lab, "notes", &path, export, &Nobody, &Stop::default()).await
    }

    #[tokio::test]
    async fn what_was_written_is_read_back_the_same() {
        let bench = bench().await;
        let with = RecordExport { with_embeddings: true, ..RecordExport::default() };
        assert_eq!(export(&bench, "out.jsonl", &with).await.unwrap(), LOT as u64 + 3);
        let read = parse_records(&bench.folder.path().join("out.jsonl")).await.unwrap();
        add(&bench.lab, "again", read).await.unwrap();
        let page = RecordPage { limit: 2 * LOT, with_embeddings: true, ..RecordPage::default() };
        let [one, other] = ["notes", "again"].map(|name| records(&bench.lab, name, &page));
        assert_eq!(one.await.unwrap(), other.await.unwrap());
    }

    #[tokio::test]
    async fn parquet_has_vectors_as_lists() {
        let bench = bench().await;
        let condition = json!({ "n": { "$lt": 2 } });
        let filter = RecordFilter { r#where: condition.as_object().cloned(), where_document: None };
        let with = RecordExport { filter, with_embeddings: true };
        assert_eq!(export(&bench, "out.parquet", &with).await.unwrap(), 2);
        let path = bench.folder.path().join("out.parquet");
        let sql = format!(
            "SELECT id, embedding[2]::DOUBLE, (metadata->>'n')::BIGINT FROM '{}' ORDER BY id DESC LIMIT 1",
            path.display()
        );
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let row: (String, f64, i64) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert_eq!((row.0.as_str(), row.1 as f32, row.2), ("r1", 0.1, 1));
        let without = RecordExport::default();
        assert_eq!(export(&bench, "plain.parquet", &without).await.unwrap(), LOT as u64 + 3);
    }

    #[tokio::test]
    async fn a_failed_export_leaves_nothing_behind() {
        let bench = bench().await;
        let condition = json!({ "n": { "$near": 2 } });
        let filter = RecordFilter { r#where: condition.as_object().cloned(), where_document: None };
        let wrong = RecordExport { filter, ..RecordExport::default() };
        assert!(export(&bench, "out.jsonl", &wrong).await.is_err());
        let error = export(&bench, "out.csv", &RecordExport::default()).await.unwrap_err();
        assert!(error.to_string().contains(".jsonl or .parquet"), "{error}");
        let files = std::fs::read_dir(bench.folder.path()).unwrap();
        let names: Vec<String> =
            files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
        assert!(!names.iter().any(|name| name.starts_with("out")), "{names:?}");
    }
}
