//! `docs` and `collections`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use labtop::config;
use serde_json::json;

use crate::support::labtop::{Labtop, Ran};
use crate::support::servers;

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
        ran.stderr.contains("d.jsonl:2: the embedding has 2 dimensions, those of m have 3"),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.json(&["docs", "ls"]), json!([]));
    let vector = lab.write("v.json", "[1, 2]");
    assert_eq!(lab.run(&["docs", "search", "--vector", &vector]).code, 2);
}

#[test]
fn a_filter_is_about_the_metadata_and_the_embedded_store_needs_no_index() {
    let lab = Labtop::new();
    let file = lab.write(
        "d.jsonl",
        "{\"id\": \"cat\", \"text\": \"A small cat sleeps\", \"metadata\": {\"year\": 2019}}\n\
         {\"id\": \"dog\", \"text\": \"A small dog sleeps\", \"metadata\": {\"year\": 2021}}\n",
    );
    lab.ok(&["docs", "add", &file]);
    let search = ["docs", "search", "cat", "--filter", "year > 2019"];
    let hits = lab.json(&search);
    assert_eq!((hits.as_array().unwrap().len(), &hits[0]["document_id"]), (1, &json!("dog")));
    let told = lab.run(&search).stderr;
    assert!(told.starts_with("1 found in ") && told.ends_with(": exact scan\n"), "{told}");
    assert_eq!(lab.json(&["docs", "search", "cat", "--exact"]).as_array().unwrap().len(), 2);
    let nothing = lab.run(&["docs", "search", "cat", "--filter", "year=1"]);
    assert_eq!((nothing.code, nothing.stderr.as_str()), (0, "Nothing found: no document fits year = 1.\n"));
    let wrong = lab.run(&["docs", "search", "cat", "--filter", "year"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("expected one of = !="), "{}", wrong.stderr);

    assert_eq!(lab.json(&["docs", "index", "ls"]), json!([]));
    for arguments in
        [&["docs", "index", "ls"][..], &["docs", "index", "create"], &["docs", "index", "drop", "x"]]
    {
        let ran = lab.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stderr.contains("compares every vector"), "{}", ran.stderr);
    }
}

/// The program on a PostgreSQL database with 300 documents of a model `m`.
async fn with_documents() -> Option<(Labtop, Vec<(String, String)>, config::Postgres)> {
    let (settings, database) = servers::postgres().await?;
    let lab = Labtop::new().keeping(database);
    let line = |n: u32| {
        format!(
            "{{\"id\": \"d{n}\", \"text\": \"t\", \"embedding\": [1, {n}], \"model\": \"m\", \"metadata\": {{\"n\": {n}}}}}\n"
        )
    };
    let file = lab.write("d.jsonl", &(0..300).map(line).collect::<String>());
    let mut variables = servers::postgres_variables(&settings);
    variables.push(("LABTOP__ROLES__DOCUMENTS".to_owned(), "postgres".to_owned()));
    let added = lab.command().envs(variables.clone()).args(["docs", "add", &file]).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    lab.write("v.json", "[1, 7]");
    Some((lab, variables, settings))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_built_listed_searched_along_and_dropped() {
    let Some((lab, variables, _)) = with_documents().await else { return };
    let run = |arguments: &[&str]| {
        Ran::from(lab.command().envs(variables.clone()).args(arguments).output().unwrap())
    };
    let search = ["docs", "search", "--vector", "v.json", "--metric", "l2", "-k", "3"];
    assert!(run(&search).stderr.contains("exact scan, no index for l2"), "{:?}", run(&search));
    let built = run(&["docs", "index", "create", "--distance", "l2", "--m", "8"]);
    assert!(built.code == 0 && built.stdout.starts_with("Built hnsw_l2_m_"), "{built:?}");
    let listed = run(&["docs", "index", "ls", "--format", "json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let name = listed[0]["name"].as_str().unwrap().to_owned();
    assert_eq!(
        (&listed[0]["model_name"], &listed[0]["kind"], &listed[0]["m"], &listed[0]["state"]),
        (&json!("m"), &json!("hnsw"), &json!(8), &json!("ready"))
    );
    let along = run(&search);
    assert!(along.stderr.contains("HNSW index scan, ef_search 100"), "{along:?}");
    assert!(along.stdout.starts_with("Document: d7, Distance: 0.0000\n"), "{along:?}");
    let more = run(&[&search[..], &["--ef-search", "300"]].concat());
    assert!(more.stderr.contains("ef_search 300"), "{more:?}");
    let exact = run(&[&search[..], &["--exact"]].concat());
    assert!(exact.stderr.ends_with(": exact scan\n") && exact.stdout == along.stdout, "{exact:?}");

    let twice = run(&["docs", "index", "create", "--distance", "l2"]);
    assert!(twice.code == 2 && twice.stderr.contains("there is one already"), "{twice:?}");
    let read_only = run(&["--read-only", "docs", "index", "drop", &name]);
    assert_eq!(read_only.code, 2);
    assert_eq!(run(&["docs", "index", "drop", &name]).stdout, format!("Dropped {name}\n"));
    let none = run(&["docs", "index", "ls"]);
    assert!(none.stderr.contains("`labtop docs index create` builds one"), "{none:?}");
    assert_eq!(run(&["docs", "index", "drop", "--broken"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_build_and_nothing_of_it_is_left() {
    let Some((lab, variables, settings)) = with_documents().await else { return };
    // A build waits for whoever has written to the table and is not done.
    let other = servers::plainly(&settings).await;
    let writing = "BEGIN; UPDATE ml_schema.document_embeddings SET content = 'x' WHERE document_id = 'd1'";
    other.batch_execute(writing).await.unwrap();
    let mut command = lab.command();
    command.envs(variables.clone()).args(["docs", "index", "create"]);
    let mut building = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(building.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().starts_with("waiting for transactions of others to end")));
    rustix::process::kill_process(rustix::process::Pid::from_child(&building), rustix::process::Signal::INT)
        .unwrap();
    // What is left is dropped once the other is done.
    let look = servers::plainly(&settings).await;
    let cancelled = async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND state = 'active' \
                   AND datname = current_database()";
        while look.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0 {}
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), cancelled).await.unwrap();
    let code = tokio::task::spawn_blocking(move || building.wait()).await.unwrap().unwrap().code();
    assert_eq!(code, Some(130));
    let left = Ran::from(
        lab.command().envs(variables).args(["docs", "index", "ls", "--format", "json"]).output().unwrap(),
    );
    assert_eq!(left.stdout, "[]\n", "{left:?}");
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
