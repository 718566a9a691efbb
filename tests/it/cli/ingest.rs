//! `docs add` from every kind of file, what it refuses, and going on where it broke off; `docs get`, `rm`, `stats`.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use labtop::analytics::parquet;
use labtop::config;
use labtop::domain::table::Table;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::labtop::{Labtop, Ran};
use crate::support::servers;

/// Id and metadata of what is stored, by id.
fn stored(lab: &Labtop) -> Vec<(String, Value)> {
    let all = lab.json(&["docs", "ls", "--limit", "1000"]);
    let row = |row: &Value| (row["document_id"].as_str().unwrap().to_owned(), row["metadata"].clone());
    all.as_array().unwrap().iter().map(row).collect()
}

fn from_stdin(lab: &Labtop, arguments: &[&str], text: &str) -> Ran {
    let mut command = lab.command();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Ran::from(child.wait_with_output().unwrap())
}

#[test]
fn every_kind_of_file_is_read_with_fields_that_are_named() {
    let lab = Labtop::new();
    let table = Table {
        columns: vec!["package".into(), "says".into(), "section".into(), "size".into()],
        rows: vec![
            vec![json!("iperf"), json!("bandwidth measuring tool"), json!("net"), json!(7)],
            vec![json!("vim"), json!("an editor of texts"), json!("editors"), json!(8)],
        ],
        truncated: false,
    };
    let written = lab.folder.path().join("p.parquet");
    parquet::write(&table, &written).unwrap();
    let files = [
        written.display().to_string(),
        lab.write(
            "p.jsonl",
            "{\"package\": \"iperf\", \"says\": \"bandwidth measuring tool\", \"section\": \"net\", \"size\": 7}\n\
             {\"package\": \"vim\", \"says\": \"an editor of texts\", \"section\": \"editors\", \"size\": 8}\n",
        ),
        lab.write(
            "p.csv",
            "package,says,section,size\niperf,\"bandwidth measuring tool\",net,7\nvim,an editor of texts,editors,8\n",
        ),
        lab.write(
            "p.tsv",
            "package\tsays\tsection\tsize\niperf\tbandwidth measuring tool\tnet\t7\nvim\tan editor of texts\teditors\t8\n",
        ),
    ];
    let expected = [
        ("iperf".to_owned(), json!({ "section": "net", "size": 7 })),
        ("vim".to_owned(), json!({ "section": "editors", "size": 8 })),
    ];
    for file in &files {
        let fields = ["--id", "package", "--text", "says", "--metadata", "section, size"];
        assert_eq!(
            lab.ok(&[&["docs", "add", file][..], &fields].concat()),
            "Stored 2 embeddings\n",
            "{file}"
        );
        assert_eq!(stored(&lab), expected, "{file}");
        assert_eq!(lab.json(&["docs", "search", "network speed", "-k", "1"])[0]["document_id"], "iperf");
        let again = lab.run(&[&["docs", "add", file][..], &fields].concat());
        assert_eq!((again.code, again.stdout.as_str()), (0, "Stored 0 embeddings\n"), "{file}");
        assert!(again.stderr.contains("2 unchanged"), "{again:?}");
        assert_eq!(lab.ok(&["docs", "rm", "--filter", "size > 0", "--yes"]), "Deleted 2 documents\n");
    }
    // Several at once; the names of what is told are those of the files.
    let names = lab.json(&["docs", "add", &files[1], &files[2], "--id", "package", "--text", "says"]);
    assert_eq!((&names["stored"], &names["unchanged"]), (&json!(2), &json!(2)));
}

#[test]
fn texts_are_cut_as_wanted_and_come_from_stdin_too() {
    let lab = Labtop::new();
    let file = lab.write("notes.txt", "A fox\njumps over it.\n\nThe dog sleeps.\n");
    let ids = |lab: &Labtop| stored(lab).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    for (split, expected) in [
        ("line", &["notes-1", "notes-2", "notes-4"][..]),
        ("paragraph", &["notes-1", "notes-4"]),
        ("file", &["notes"]),
    ] {
        lab.ok(&["docs", "add", &file, "--split", split]);
        assert_eq!(ids(&lab), expected, "{split}");
        lab.ok(&[&["docs", "rm", "--yes"][..], expected].concat());
    }
    let rows = "{\"id\": \"a\", \"text\": \"one word\"}\n{\"id\": \"b\", \"text\": \"two words\"}\n";
    let ran = from_stdin(&lab, &["docs", "add", "-", "--as", "jsonl"], rows);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "Stored 2 embeddings\n"), "{ran:?}");
    assert_eq!(ids(&lab), ["a", "b"]);
    // Lines from stdin are known by what they say, so that the same ones are the same documents.
    for (text, count) in [("one\ntwo\none\n", 2), ("three\ntwo\n", 1)] {
        let ran = from_stdin(&lab, &["docs", "add", "-"], text);
        assert_eq!((ran.code, ran.stdout), (0, format!("Stored {count} embeddings\n")));
    }
    assert_eq!(ids(&lab).len(), 5);
    let ran = from_stdin(&lab, &["docs", "add", "-", "--as", "parquet"], "x");
    assert!(ran.code == 2 && ran.stderr.contains("Parquet cannot be read from stdin"), "{ran:?}");
}

#[test]
fn a_bad_row_ends_it_or_is_passed_over() {
    let lab = Labtop::new();
    let mut text: String = (0..1500).map(line).collect();
    text.push_str("{\"id\": \"odd\", \"text\": \"\"}\nnonsense\n");
    text.extend((1500..1600).map(line));
    let file = lab.write("long.jsonl", &text);
    let ran = lab.run(&["docs", "add", &file]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert!(ran.stderr.contains("long.jsonl:1501: the text is empty"), "{ran:?}");
    assert!(ran.stderr.contains("Stored by then, up to line 1000 of"), "{ran:?}");
    assert!(ran.stderr.contains("--on-error skip"), "{ran:?}");
    assert_eq!(lab.json(&["docs", "stats"])[0]["documents"], 1000);
    let ran = lab.run(&["docs", "add", &file, "--on-error", "skip", "--format", "json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &told["stored"], &told["unchanged"]), (0, &json!(600), &json!(1000)), "{ran:?}");
    assert_eq!(told["skipped"], 2);
    assert_eq!(told["bad"][0], json!({ "line": 1501, "why": "the text is empty" }));
    assert!(ran.stderr.contains("long.jsonl:1502: column 2: expected ident"), "{ran:?}");
    let none = lab.run(&["docs", "add", "none.jsonl"]);
    assert!(none.code == 1 && none.stderr.contains("none.jsonl"), "{none:?}");
}

fn line(number: usize) -> String {
    format!("{{\"id\": \"d{number}\", \"text\": \"word {number}\"}}\n")
}

/// A program that is reading from a pipe and has stored two lots.
fn in_the_middle(lab: &Labtop) -> (Child, ChildStdin) {
    let mut command = lab.command();
    command.args(["docs", "add", "-", "--as", "jsonl"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all((0..2500).map(line).collect::<String>().as_bytes()).unwrap();
    stdin.flush().unwrap();
    // Another process sees whole lots, and no half ones.
    while lab.json(&["docs", "stats"])[0]["documents"] != 2000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
    (child, stdin)
}

#[test]
fn what_was_killed_in_the_middle_goes_on_there() {
    let lab = Labtop::new();
    let (mut child, stdin) = in_the_middle(&lab);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().code(), None);
    drop(stdin);
    let file = lab.write("all.jsonl", &(0..3000).map(line).collect::<String>());
    let told = lab.json(&["docs", "add", &file]);
    assert_eq!((&told["stored"], &told["unchanged"]), (&json!(1000), &json!(2000)));
    assert_eq!(lab.json(&["docs", "stats"])[0]["documents"], 3000);
}

#[test]
fn ctrl_c_ends_between_two_lots_and_says_what_is_stored() {
    let lab = Labtop::new();
    let (child, stdin) = in_the_middle(&lab);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("stored up to line 2000: 2000 documents"), "{ran:?}");
    assert_eq!(lab.json(&["docs", "stats"])[0]["documents"], 2000);
}

#[test]
fn a_document_is_shown_whole_found_by_words_and_deleted() {
    let lab = Labtop::new();
    let rows = "{\"id\": \"a\", \"text\": \"A cat\\nsleeps\", \"kind\": \"animal\"}\n\
                {\"id\": \"b\", \"text\": \"error code XJ-42 of the scanner\", \"kind\": \"manual\"}\n\
                {\"id\": \"c\", \"text\": \"A kitten plays\", \"kind\": \"animal\"}\n";
    lab.ok(&["docs", "add", &lab.write("d.jsonl", rows)]);
    let shown = lab.ok(&["docs", "get", "a"]);
    assert!(
        shown.starts_with("Document: a\nModel: labtop-static-256-2 (256 dimensions)\nSHA-256: "),
        "{shown}"
    );
    assert!(shown.ends_with("kind: \"animal\"\n\nA cat\nsleeps\n"), "{shown}");
    let json = lab.json(&["docs", "get", "a", "--embedding"]);
    assert_eq!(
        (&json[0]["content"], json[0]["embedding"].as_array().unwrap().len()),
        (&json!("A cat\nsleeps"), 256)
    );
    let missing = lab.run(&["docs", "get", "z"]);
    assert!(missing.code == 2 && missing.stderr.contains("there is no document 'z'"), "{missing:?}");

    let stats = lab.json(&["docs", "stats"]);
    assert_eq!(
        (&stats[0]["documents"], &stats[0]["dimension"], &stats[0]["here"]),
        (&json!(3), &json!(256), &json!(true))
    );
    assert!(stats[0]["bytes"].as_u64().unwrap() > 3 * 256 * 4, "{stats}");

    let like = lab.json(&["docs", "search", "--like", "a", "-k", "2"]);
    assert_eq!((&like[0]["document_id"], &like[1]["document_id"]), (&json!("a"), &json!("c")));
    let hybrid = lab.json(&["docs", "search", "kitten xj", "--hybrid", "-k", "3"]);
    let row =
        |id: &str| hybrid.as_array().unwrap().iter().find(|hit| hit["document_id"] == id).unwrap().clone();
    assert_eq!((&row("a")["text_rank"], row("b")["vector_rank"].is_u64()), (&Value::Null, true));
    assert!(row("b")["text_rank"].is_u64() && row("c")["text_rank"].is_u64(), "{hybrid}");
    let filtered = lab.json(&["docs", "search", "kitten xj", "--hybrid", "--filter", "kind = animal"]);
    assert!(filtered.as_array().unwrap().iter().all(|hit| hit["document_id"] != "b"), "{filtered}");

    let asked = lab.run(&["docs", "rm", "--filter", "kind = animal"]);
    assert!(asked.code == 2 && asked.stderr.contains("Delete 2 documents for good"), "{asked:?}");
    assert_eq!(lab.run(&["docs", "rm", "--yes"]).code, 2, "everything is not deleted by saying nothing");
    let none = lab.run(&["docs", "rm", "z"]);
    assert!(none.code == 2 && none.stderr.contains("there is no such document"), "{none:?}");
    assert_eq!(lab.ok(&["docs", "rm", "--filter", "kind = animal", "--yes"]), "Deleted 2 documents\n");
    assert_eq!(lab.ok(&["docs", "rm", "b", "z", "--yes"]), "Deleted 1 documents\n");
    assert_eq!(lab.json(&["docs", "ls"]), json!([]));
}

#[test]
fn documents_go_to_a_collection_too_and_both_are_searched_side_by_side() {
    let lab = Labtop::new();
    let rows = "{\"id\": \"cat\", \"text\": \"A small cat sleeps\"}\n{\"id\": \"net\", \"text\": \"network bandwidth\"}\n";
    let file = lab.write("Some Notes.jsonl", rows);
    let told = lab.json(&["docs", "add", &file, "--to", "both"]);
    assert_eq!(
        (&told["stored"], &told["records"], &told["collection"]),
        (&json!(2), &json!(2), &json!("some-notes"))
    );
    let again = lab.json(&["docs", "add", &file, "--to", "both"]);
    assert_eq!((&again["stored"], &again["records"], &again["unchanged"]), (&json!(0), &json!(0), &json!(2)));
    let search =
        |arguments: &[&str]| lab.json(&[&["docs", "search", "kitten", "-k", "2"][..], arguments].concat());
    let there = search(&["--engine", "collections", "--collection", "some-notes"]);
    assert_eq!(there[0]["id"], "cat");
    let both = search(&["--engine", "both", "--collection", "some-notes"]);
    assert_eq!((&both["shared"], &both["documents"][0]["document_id"]), (&json!(2), &json!("cat")));
    let elsewhere = lab.run(&["docs", "add", &file, "--collection", "other"]);
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("--collection is for"), "{elsewhere:?}");
}

/// Where documents go, and what says so.
struct Place {
    lab: Labtop,
    to: &'static [&'static str],
    search: &'static [&'static str],
    /// Lists what is stored.
    list: &'static [&'static str],
}

const TO_COLLECTION: &[&str] = &["--to", "collections", "--collection", "notes"];
const IN_COLLECTION: &[&str] = &["--engine", "collections", "--collection", "notes"];

fn documents(lab: Labtop) -> Place {
    Place { lab, to: &[], search: &[], list: &["docs", "ls"] }
}

fn collection(lab: Labtop) -> Place {
    Place { lab, to: TO_COLLECTION, search: IN_COLLECTION, list: &["collections", "ls"] }
}

async fn on_postgres() -> Option<Labtop> {
    let (settings, database) = servers::postgres().await?;
    let mut variables = servers::postgres_variables(&settings);
    variables.push(("LABTOP__ROLES__DOCUMENTS".to_owned(), "postgres".to_owned()));
    Some(Labtop::new().keeping(database).with(variables))
}

async fn on_chroma() -> Option<Labtop> {
    let (config::Chroma { url, database, .. }, place) = servers::chroma().await?;
    let variables = vec![
        ("LABTOP__CHROMA__URL".to_owned(), url),
        ("LABTOP__CHROMA__DATABASE".to_owned(), database),
        ("LABTOP__ROLES__COLLECTIONS".to_owned(), "chroma".to_owned()),
    ];
    Some(Labtop::new().keeping(place).with(variables))
}

/// What is wrong in a file, and what is said of it.
fn bad_files() -> Vec<(String, &'static str)> {
    let good = "{\"id\": \"good\", \"text\": \"a word\", \"embedding\": [1, 2], \"model\": \"m\"}\n";
    let with = |row: &str| format!("{good}{row}\n");
    vec![
        (
            with("{\"id\": \"b\", \"text\": \"x\", \"embedding\": [1], \"model\": \"m\"}"),
            ":2: the embedding has 1 dimensions, those of",
        ),
        (with("{\"id\": \"b\", \"text\": \" \"}"), ":2: the text is empty"),
        (
            with("{\"id\": \"b\", \"text\": \"x\", \"embedding\": [NaN, 1], \"model\": \"m\"}"),
            ":2: column 40: expected value",
        ),
        (
            with("{\"id\": \"b\", \"text\": \"x\", \"embedding\": [1, 1e39], \"model\": \"m\"}"),
            ":2: figure 2 of the embedding is 1e+39",
        ),
        (
            with("{\"id\": \"b\", \"text\": \"x\", \"embedding\": [0, 0], \"model\": \"m\"}"),
            ":2: the embedding is all zeros",
        ),
        (
            with("{\"id\": \"good\", \"text\": \"y\", \"embedding\": [2, 1], \"model\": \"m\"}"),
            ":2: the id 'good' is taken by line 1",
        ),
        (
            with(&format!("{{\"id\": \"b\", \"text\": \"{}\"}}", "word ".repeat(2_000_000))),
            ":2: the text has 10.0 MB",
        ),
        (with("{\"id\": \"b\", \"text\": \"x\", \"embedding\": [1, 2]}"), ":2: an embedding without `model`"),
        (with("{\"id\": \"b\"}"), ":2: no text"),
    ]
}

/// Every refusal says what and where, and leaves nothing behind.
fn refuses_what_is_wrong(place: &Place) {
    let Place { lab, to, search, list } = place;
    for (text, words) in bad_files() {
        let file = lab.write("bad.jsonl", &text);
        let ran = lab.run(&[&["docs", "add", &file][..], to].concat());
        assert_eq!(ran.code, 2, "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("bad.jsonl{words}")), "{words}: {}", ran.stderr);
        assert_eq!(lab.json(list), json!([]), "{words}");
    }
    let good =
        lab.write("good.jsonl", "{\"id\": \"a\", \"text\": \"x\", \"embedding\": [1, 2], \"model\": \"m\"}");
    lab.ok(&[&["docs", "add", &good][..], to].concat());
    let other = lab
        .write("other.jsonl", "{\"id\": \"b\", \"text\": \"x\", \"embedding\": [1, 2, 3], \"model\": \"m\"}");
    let ran = lab.run(&[&["docs", "add", &other][..], to].concat());
    assert!(ran.code == 2 && ran.stderr.contains(":1: the embedding has 3 dimensions, those of"), "{ran:?}");
    for (vector, words) in [
        ("[0, 0]", "the vector to search by is all zeros"),
        ("[1, 2, 3]", "dimension"),
        ("[1, 1e39]", "number out of range"),
        ("[1, \"x\"]", "expected one JSON array of numbers"),
    ] {
        let vector = lab.write("v.json", vector);
        let ran = lab.run(&[&["docs", "search", "--vector", &vector][..], search].concat());
        assert!(ran.code == 2 && ran.stderr.contains(words), "{words}: {ran:?}");
    }
    let ran = lab.run(&[&["docs", "search", "x", "--filter", "year ="][..], search].concat());
    assert_eq!(ran.code, 2, "{ran:?}");
    let vector = lab.write("v.json", "[1, 2]");
    let hits = lab.json(&[&["docs", "search", "--vector", &vector][..], search].concat());
    assert_eq!(hits.as_array().unwrap().len(), 1);
}

/// What only collections are asked.
fn refuses_names_and_conditions(lab: &Labtop) {
    let file =
        lab.write("good.jsonl", "{\"id\": \"a\", \"text\": \"x\", \"embedding\": [1, 2], \"model\": \"m\"}");
    for name in ["a b", "ab", "-abc"] {
        let collection = format!("--collection={name}");
        let ran = lab.run(&["docs", "add", &file, "--to", "collections", &collection]);
        assert!(ran.code == 2 && ran.stderr.contains(name), "{ran:?}");
    }
    let nested = lab.write(
        "nested.jsonl",
        "{\"id\": \"n\", \"text\": \"x\", \"deep\": {\"a\": 1}, \"embedding\": [1, 2], \"model\": \"m\"}",
    );
    let ran = lab.run(&[&["docs", "add", &nested][..], TO_COLLECTION].concat());
    assert!(
        ran.code == 2 && ran.stderr.contains("nested.jsonl:1: metadata `deep` must be a text"),
        "{ran:?}"
    );
    assert!(lab.json(&["collections", "ls"]).as_array().unwrap().iter().all(|one| one["name"] == "notes"));
    // Each in its own words: the embedded store names the operator, Chroma the clause.
    for (condition, words) in
        [("{\"a\": {\"$foo\": 1}}", ["$foo", "where clause"]), ("[]", ["expected a JSON object"; 2])]
    {
        let query = ["collections", "query", "notes", "--vector", "v.json", "--where", condition];
        let ran = lab.run(&query);
        assert!(ran.code == 2 && words.iter().any(|word| ran.stderr.contains(word)), "{condition}: {ran:?}");
    }
    for (records, words) in [
        ("{\"id\": \"z\", \"embedding\": [0, 0]}", "all zeros"),
        ("{\"id\": \"z\", \"embedding\": [1]}", "dimension"),
        ("{\"id\": \"z\", \"embedding\": [1, 1e39]}", "number out of range"),
    ] {
        let file = lab.write("records.jsonl", records);
        let ran = lab.run(&["collections", "add", "notes", &file]);
        assert!(ran.code == 2 && ran.stderr.contains(words), "{words}: {ran:?}");
    }
    assert_eq!(lab.json(&["collections", "get", "notes"]).as_array().unwrap().len(), 1);
}

#[test]
fn what_is_wrong_is_refused_embedded() {
    refuses_what_is_wrong(&documents(Labtop::new()));
    let place = collection(Labtop::new());
    refuses_what_is_wrong(&place);
    refuses_names_and_conditions(&place.lab);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_on_postgres() {
    let Some(lab) = on_postgres().await else { return };
    refuses_what_is_wrong(&documents(lab));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_on_chroma() {
    let Some(lab) = on_chroma().await else { return };
    let place = collection(lab);
    refuses_what_is_wrong(&place);
    refuses_names_and_conditions(&place.lab);
}

/// The same commands on servers as on the file of its own.
#[tokio::test(flavor = "multi_thread")]
async fn servers_keep_what_is_added_and_know_it_again() {
    let (Some(postgres), Some(chroma)) = (on_postgres().await, on_chroma().await) else { return };
    let rows: String = (0..1200).map(line).collect();
    for Place { lab, to, search, .. } in [documents(postgres), collection(chroma)] {
        let file = lab.write(
            "d.jsonl",
            &format!("{rows}{{\"id\": \"cat\", \"text\": \"a cat sleeps\", \"n\": 1, \"list\": [\"a\"]}}\n"),
        );
        let add = [&["docs", "add", &file][..], to].concat();
        let count = |told: &Value| told["stored"].as_u64().unwrap() + told["records"].as_u64().unwrap();
        let told = lab.json(&add);
        assert_eq!((count(&told), &told["unchanged"]), (1201, &json!(0)), "{told}");
        let again = lab.json(&add);
        assert_eq!((count(&again), &again["unchanged"]), (0, &json!(1201)), "{again}");
        // One among many like it: Chroma's index may lose the one that lies far from a thousand others.
        let hits = lab.json(&[&["docs", "search", "word 737", "-k", "1"][..], search].concat());
        let id = hits[0].get("document_id").or(hits[0].get("id")).unwrap();
        assert_eq!(id, "d737");
    }
}

/// Answers by the first letter of each text.
fn by_letter(request: &Request) -> ResponseTemplate {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let vector = |text: &Value| {
        let first = text.as_str().unwrap().bytes().next().unwrap();
        json!({ "embedding": [f64::from(first) - 96.0, 1.0, 0.5] })
    };
    let data: Vec<Value> = body["input"].as_array().unwrap().iter().map(vector).collect();
    ResponseTemplate::new(200).set_body_json(json!({ "data": data }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_behind_a_server_embeds_documents_and_what_is_compared_with_them() {
    let server = MockServer::start().await;
    let asks =
        Mock::given(method("POST")).and(path("/v1/embeddings")).and(header("authorization", "Bearer k3y"));
    asks.respond_with(by_letter).mount(&server).await;
    let lab = Labtop::new().with(vec![("LETTERS_KEY".to_owned(), "k3y".to_owned())]);
    let models = format!("[embed.models.letters]\nurl = '{}'\napi_key_env = 'LETTERS_KEY'\n", server.uri());
    lab.write("labtop.toml", &format!("[embed]\nmodel = 'letters'\n{models}"));
    let file = lab.write("t.txt", "ant\nzebra\nmouse\n");
    assert_eq!(lab.ok(&["docs", "add", &file]), "Stored 3 embeddings\n");
    let stats = lab.json(&["docs", "stats"]);
    assert_eq!((&stats[0]["model_name"], &stats[0]["dimension"]), (&json!("letters"), &json!(3)));
    assert_eq!(lab.json(&["docs", "search", "zoo", "-k", "1"])[0]["content"], "zebra");
    let asked = server.received_requests().await.unwrap().len();
    // Out of the cache: the same texts are not asked for again, in a collection neither.
    lab.ok(&["docs", "add", &file, "--to", "collections", "--collection", "animals"]);
    assert_eq!(server.received_requests().await.unwrap().len(), asked);
    assert!(Path::new(&lab.folder.path().join(".cache/labtop/embeddings")).is_dir());
    // A collection remembers its model when another one is chosen.
    lab.write("labtop.toml", &models);
    let query = ["collections", "query", "animals", "arm", "-k", "1"];
    assert_eq!(lab.json(&query)[0]["document"], "ant");
    let other = lab.run(&[
        "docs",
        "add",
        &file,
        "--to",
        "collections",
        "--collection",
        "animals",
        "--model",
        "labtop-static-256-2",
    ]);
    assert!(other.code == 2 && other.stderr.contains("the collection holds vectors of letters"), "{other:?}");
    assert_eq!(lab.json(&["docs", "search", "zoo", "-k", "1", "--model", "letters"])[0]["content"], "zebra");
    // Whoever has no such model is told how to come by it.
    lab.write("labtop.toml", "");
    for arguments in [&["docs", "search", "zoo", "--model", "letters"][..], &query] {
        let ran = lab.run(arguments);
        assert!(ran.code == 2 && ran.stderr.contains("set [embed.models.letters]"), "{arguments:?}: {ran:?}");
    }
    let vector = lab.write("v.json", "[26, 1, 0.5]");
    let hits = lab.json(&["docs", "search", "--vector", &vector, "--model", "letters", "-k", "1"]);
    assert_eq!(hits[0]["content"], "zebra");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_told_and_nothing_is_stored() {
    let lab = Labtop::new();
    let address = crate::support::chroma::closed_port();
    let models = format!("[embed.models.far]\nurl = 'http://{address}'\nretries = 0\n");
    lab.write("labtop.toml", &format!("[embed]\nmodel = 'far'\n{models}"));
    let file = lab.write("t.txt", "ant\n");
    let ran = lab.run(&["docs", "add", &file]);
    assert!(ran.code == 3 && ran.stderr.contains("cannot be reached"), "{ran:?}");
    assert_eq!(lab.json(&["docs", "ls"]), json!([]));
}
