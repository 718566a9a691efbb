//! Ingest over a lab of fakes: every kind of file, what is wrong in one, and going on where it broke off.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::analytics::parquet;
use crate::domain::document::Document;
use crate::domain::table::Table;
use crate::ops::tests::{Bench, FOREVER, Witness};
use crate::store::collections::CollectionStore;

fn file(bench: &Bench, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = bench.folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn run(bench: &Bench, job: &Ingest) -> Result<Report> {
    ingest(&bench.lab, job, &Witness::default(), &Stop::default()).await
}

fn job(path: PathBuf) -> Ingest {
    Ingest::of(Source::File(path))
}

fn stored(bench: &Bench) -> Vec<Document> {
    bench.documents.kept.lock().unwrap().values().cloned().collect()
}

/// Id, text and metadata of what is stored.
fn rows(bench: &Bench) -> Vec<(String, String, Value)> {
    let row = |document: Document| (document.document_id, document.content, Value::Object(document.metadata));
    stored(bench).into_iter().map(row).collect()
}

fn expected(rows: &[(&str, &str, Value)]) -> Vec<(String, String, Value)> {
    rows.iter().map(|(id, text, metadata)| ((*id).to_owned(), (*text).to_owned(), metadata.clone())).collect()
}

#[tokio::test]
async fn every_kind_of_file_says_the_same() {
    let bench = Bench::embedded();
    let table = Table {
        columns: vec!["id".into(), "text".into(), "stars".into(), "lang".into()],
        rows: vec![
            vec![json!("a"), json!("good product"), json!(5), json!("en")],
            vec![json!("b"), json!("bad product"), json!(1), json!(null)],
        ],
        truncated: false,
    };
    let path = bench.folder.path().join("r.parquet");
    parquet::write(&table, &path).unwrap();
    let jsonl = "{\"id\": \"a\", \"text\": \"good product\", \"stars\": 5, \"metadata\": {\"lang\": \"en\"}}\n\n\
                 {\"document_id\": \"b\", \"content\": \"bad product\", \"stars\": 1}";
    let paths = [
        path,
        file(&bench, "r.jsonl", jsonl),
        file(&bench, "r.csv", "id,text,stars,lang\r\na,\"good product\",5,en\nb,bad product,1,\n"),
        file(&bench, "r.tsv", "id\ttext\tstars\tlang\na\tgood product\t5\ten\nb\tbad product\t1\t\n"),
    ];
    for path in paths {
        bench.documents.kept.lock().unwrap().clear();
        let report = run(&bench, &job(path.clone())).await.unwrap();
        assert_eq!((report.documents, report.rows, report.unchanged), (2, 2, 0), "{path:?}");
        let metadata = (json!({ "stars": 5, "lang": "en" }), json!({ "stars": 1 }));
        let wanted = expected(&[("a", "good product", metadata.0), ("b", "bad product", metadata.1)]);
        assert_eq!(rows(&bench), wanted, "{path:?}");
    }
}

#[tokio::test]
async fn a_text_is_cut_into_lines_paragraphs_or_not_at_all() {
    let bench = Bench::embedded();
    let path = file(&bench, "notes.txt", "The quick fox\njumps.\n\n\nA slow run.\n");
    let none = || json!({});
    for (split, wanted) in [
        (
            Split::Line,
            vec![
                ("notes-1", "The quick fox", none()),
                ("notes-2", "jumps.", none()),
                ("notes-5", "A slow run.", none()),
            ],
        ),
        (
            Split::Paragraph,
            vec![("notes-1", "The quick fox\njumps.", none()), ("notes-5", "A slow run.", none())],
        ),
        (Split::File, vec![("notes", "The quick fox\njumps.\n\n\nA slow run.", none())]),
    ] {
        bench.documents.kept.lock().unwrap().clear();
        run(&bench, &Ingest { split, ..job(path.clone()) }).await.unwrap();
        assert_eq!(rows(&bench), expected(&wanted), "{split:?}");
    }
}

#[tokio::test]
async fn what_is_there_already_is_neither_embedded_nor_written() {
    let bench = Bench::embedded();
    let path = file(
        &bench,
        "n.jsonl",
        "{\"id\":\"a\",\"text\":\"one word\",\"n\":1}\n{\"id\":\"b\",\"text\":\"two words\"}",
    );
    let both = Ingest { target: Target::Both, ..job(path.clone()) };
    let report = run(&bench, &both).await.unwrap();
    assert_eq!((report.documents, report.records, report.collection.is_some()), (2, 2, true));
    let again = run(&bench, &both).await.unwrap();
    assert_eq!((again.documents, again.records, again.unchanged), (0, 0, 2));
    // Another text, another metadata: each is another document.
    std::fs::write(&path, "{\"id\":\"a\",\"text\":\"one word\",\"n\":2}\n{\"id\":\"b\",\"text\":\"new words\"}\n{\"id\":\"c\",\"text\":\"third\"}").unwrap();
    let report = run(&bench, &both).await.unwrap();
    assert_eq!((report.documents, report.records, report.unchanged), (3, 3, 0));
    // What only one place lacks goes there.
    let collection = report.collection.unwrap();
    bench.collections.remove_records(&collection, &["b".to_owned()]).await.unwrap();
    let report = run(&bench, &both).await.unwrap();
    assert_eq!((report.documents, report.records, report.unchanged), (0, 1, 2));
}

#[tokio::test]
async fn a_bad_row_is_named_and_nothing_of_its_lot_is_stored() {
    let bench = Bench::embedded();
    let long = format!("{{\"text\": \"{}\"}}", "word ".repeat(2_000_000));
    let cases = [
        ("{\"text\": \"a\"}\n{\"txt\": \"b\"}", ":2: no text: none of the fields text,"),
        ("{\"text\": \"a\"}\n\n{oops", ":3: column 2: key must be a string"),
        ("[1]", ":1: expected an object"),
        ("{\"text\": \"a word\", \"embedding\": [1]}", ":1: an embedding without `model`"),
        (
            "{\"text\": \"a word\", \"embedding\": [1e39], \"model\": \"m\"}",
            ":1: figure 1 of the embedding is 1e+39",
        ),
        (
            "{\"text\": \"a\", \"embedding\": [1, 2], \"model\": \"m\"}\n{\"text\": \"b\", \"embedding\": [1], \"model\": \"m\"}",
            ":2: the embedding has 1 dimensions, those of m have 2",
        ),
        ("{\"text\": \"a word\", \"model_name\": \"ada\"}", ":1: 'ada' is not here to embed a text"),
        ("{\"text\": \"a word\"}\n\n{\"text\": \"\"}", ":3: the text is empty"),
        (
            "{\"text\": \"a word\"}\n{\"text\": \"\u{1f389}\"}",
            ":2: the text has no word that the embedding model",
        ),
        ("{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}", ":2: the id 'a' is taken by line 1"),
        (long.as_str(), ":1: the text has 10.0 MB"),
    ];
    for (text, message) in cases {
        let path = file(&bench, "bad.jsonl", text);
        let error = run(&bench, &job(path)).await.unwrap_err();
        assert!(error.to_string().contains(&format!("bad.jsonl{message}")), "{message}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
    let error = run(&bench, &job(file(&bench, "bad.txt", b"good\n\xff\xfe\n"))).await.unwrap_err();
    assert!(error.to_string().contains("bad.txt:2: byte 1 of the line is no UTF-8"), "{error}");
    let error = run(&bench, &job(file(&bench, "bad.csv", "text,n\nword,1\nword\n"))).await.unwrap_err();
    assert!(error.to_string().contains("bad.csv:3: 1 fields where the header has 2"), "{error}");
    let error = run(&bench, &job(bench.folder.path().join("none.csv"))).await.unwrap_err();
    assert!(matches!(error, OpsError::File { .. }), "{error}");
    let error = run(&bench, &job(file(&bench, "bad.parquet", "no Parquet"))).await.unwrap_err();
    assert!(error.to_string().contains("bad.parquet"), "{error}");
    assert!(stored(&bench).is_empty());
}

#[tokio::test]
async fn bad_rows_are_passed_over_when_so_wanted() {
    let bench = Bench::embedded();
    // Texts without a word in every place of a lot, so that the rest must be embedded around them.
    let text = "\u{1f389}\nfirst\nsecond\n\u{1f389}\n\u{1f389}\nthird\n\u{1f389}\n";
    let skip = Ingest { on_error: OnError::Skip, ..job(file(&bench, "t.txt", text)) };
    let report = run(&bench, &skip).await.unwrap();
    assert_eq!((report.documents, report.skipped, report.rows), (3, 4, 7));
    let lines: Vec<usize> = report.bad.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 4, 5, 7]);
    for document in stored(&bench) {
        let alone = bench.lab.embedder.embed(std::slice::from_ref(&document.content)).await.unwrap();
        assert_eq!(document.embedding, alone[0], "{}", document.content);
    }
}

/// So many lines that are stored, then a bad one, then more.
fn long_file(bench: &Bench, good: usize, bad: bool) -> PathBuf {
    let line = |number: usize| format!("{{\"id\": \"d{number}\", \"text\": \"word {number}\"}}\n");
    let mut text: String = (0..good).map(line).collect();
    if bad {
        text.push_str("{}\n");
    }
    text.extend((good..good + 500).map(line));
    file(bench, "long.jsonl", text)
}

#[tokio::test]
async fn what_came_before_a_bad_row_is_stored_and_told() {
    let bench = Bench::embedded();
    let path = long_file(&bench, 2500, true);
    let error = run(&bench, &job(path.clone())).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("long.jsonl:2501: no text"), "{told}");
    assert!(told.contains("Stored by then, up to line 2000") && told.contains("2000 documents"), "{told}");
    assert!(told.contains("run again; --on-error skip"), "{told}");
    assert_eq!(stored(&bench).len(), 2000);
    let skip = Ingest { on_error: OnError::Skip, ..job(path) };
    let report = run(&bench, &skip).await.unwrap();
    assert_eq!((report.documents, report.unchanged, report.skipped), (1000, 2000, 1));
}

#[tokio::test]
async fn a_store_that_goes_down_is_told_with_what_is_stored() {
    let bench = Bench::embedded();
    let path = long_file(&bench, 500, false);
    bench.documents.down.set(FOREVER);
    let error = run(&bench, &job(path.clone())).await.unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().contains("Stored by then")), (3, false));
    bench.documents.down.set(0);
    assert_eq!(run(&bench, &job(path)).await.unwrap().documents, 1000);
}

#[tokio::test]
async fn it_tells_how_far_it_is_and_stops_between_two_lots() {
    let bench = Bench::embedded();
    let path = long_file(&bench, 4500, false);
    let (witness, stop) = (Witness::default(), Stop::default());
    struct Stopping<'a>(&'a Witness, &'a Stop);
    impl Watcher for Stopping<'_> {
        fn saw(&self, news: News) {
            self.0.saw(news);
            self.1.leave();
        }
    }
    let report = ingest(&bench.lab, &job(path.clone()), &Stopping(&witness, &stop), &stop).await.unwrap();
    assert_eq!((report.stopped, report.documents, report.line), (true, 1000, 1000));
    let progress = |news: &News| match news {
        News::Progress { what, done: 1000, total } => what == "documents" && (4500..5500).contains(total),
        _ => false,
    };
    assert_eq!(witness.count(progress), 1, "{:?}", witness.all());
    let report = run(&bench, &job(path)).await.unwrap();
    assert_eq!((report.stopped, report.documents, report.unchanged), (false, 4000, 1000));
}

#[tokio::test]
async fn vectors_that_come_along_are_kept_under_their_model() {
    let bench = Bench::embedded();
    let text = "{\"id\": \"b\", \"content\": \"bad product\", \"embedding\": [0.1, 0.2, 0.3]}";
    let own = Ingest { model: Some("mine".to_owned()), ..job(file(&bench, "v.jsonl", text)) };
    for _ in 0..2 {
        assert_eq!(run(&bench, &own).await.unwrap().documents, 1, "a vector may be another one each time");
    }
    let document = stored(&bench).remove(0);
    assert_eq!((document.model_name.as_str(), document.embedding), ("mine", vec![0.1, 0.2, 0.3]));
}
