//! `docs` and `collections`.

use serde_json::json;

use crate::support::labtop::Labtop;

#[test]
fn documents_are_found_by_meaning() {
    let lab = Labtop::new();
    let file = lab.write(
        "d.jsonl",
        "{\"id\": \"cat\", \"text\": \"A small cat sleeps on the sofa\", \"metadata\": {\"kind\": \"animal\"}}\n\
         {\"id\": \"lr\", \"text\": \"The learning rate was too high and training diverged\"}\n",
    );
    assert_eq!(lab.ok(&["docs", "add", &file]), "Stored 2 embeddings\n");
    lab.ok(&["docs", "add", "--id", "net", "--text", "Measure the bandwidth of a network"]);
    let hits = lab.json(&["docs", "search", "kitten on a couch", "-k", "2"]);
    assert_eq!(hits.as_array().unwrap().len(), 2);
    assert_eq!(
        (&hits[0]["document_id"], &hits[0]["metadata"]),
        (&json!("cat"), &json!({ "kind": "animal" }))
    );
    let stdout = lab.ok(&["docs", "search", "gradient step size", "-k", "1"]);
    let first = stdout.lines().next().unwrap();
    assert!(first.starts_with("Document: lr, Distance: 0."), "{stdout}");
    assert_eq!(
        stdout.lines().nth(1).unwrap(),
        "Content: The learning rate was too high and training diverg..."
    );
    assert_eq!(lab.json(&["docs", "ls"]).as_array().unwrap().len(), 3);
}

#[test]
fn a_vector_of_another_dimension_is_refused_and_nothing_is_stored() {
    let lab = Labtop::new();
    let file = lab.write(
        "d.jsonl",
        "{\"id\": \"a\", \"text\": \"x\", \"embedding\": [1, 0, 0], \"model\": \"m\"}\n\
         {\"id\": \"b\", \"text\": \"y\", \"embedding\": [1, 0], \"model\": \"m\"}\n",
    );
    let ran = lab.run(&["docs", "add", &file]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("'b'") || ran.stderr.contains("b:") || ran.stderr.contains("b "),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.json(&["docs", "ls"]), json!([]));
    let vector = lab.write("v.json", "[1, 2]");
    assert_eq!(lab.run(&["docs", "search", "--vector", &vector]).code, 2);
}

#[test]
fn collections_from_create_to_query() {
    let lab = Labtop::new();
    let made = lab.ok(&["collections", "create", "notes", "--metadata", "{\"owner\": \"me\"}"]);
    assert_eq!(made, "Created collection: notes\n");
    let taken = lab.run(&["collections", "create", "notes"]);
    assert_eq!(taken.code, 2);
    assert!(taken.stderr.starts_with("Error creating collection: "), "{}", taken.stderr);
    assert_eq!(lab.run(&["collections", "create", "a b"]).code, 2);
    let file = lab.write(
        "r.jsonl",
        "{\"id\": \"1\", \"document\": \"the sound is good\", \"metadata\": {\"rating\": 5}}\n\
         {\"id\": \"2\", \"document\": \"it arrived broken\", \"metadata\": {\"rating\": 1}}\n",
    );
    assert_eq!(lab.ok(&["collections", "add", "notes", &file]), "Added 2 documents to notes\n");
    let twice = lab.run(&["collections", "add", "notes", &file]);
    assert_eq!(twice.code, 2, "{twice:?}");
    let hits = lab.json(&["collections", "query", "notes", "great audio"]);
    assert_eq!((&hits[0]["id"], hits.as_array().unwrap().len()), (&json!("1"), 2));
    let hits = lab.json(&["collections", "query", "notes", "great audio", "--where", "{\"rating\": 1}"]);
    assert_eq!(hits[0]["id"], "2");
    let page = lab.json(&["collections", "get", "notes", "--limit", "1", "--offset", "1"]);
    assert_eq!(page[0]["document"], "it arrived broken");
    assert_eq!(lab.ok(&["collections", "rm", "notes", "--yes"]), "Deleted collection: notes\n");
    assert_eq!(lab.run(&["collections", "get", "notes"]).code, 2);
}
