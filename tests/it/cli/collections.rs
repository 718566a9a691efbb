//! `labtop collections`: questions, counts and databases.

use serde_json::json;

use crate::support::labtop::Labtop;

/// A lab with three records of two dimensions.
fn filled() -> Labtop {
    let lab = Labtop::new();
    let file = lab.write(
        "records.jsonl",
        "{\"id\": \"east\", \"embedding\": [1, 0], \"metadata\": {\"n\": 1}}\n\
         {\"id\": \"north\", \"embedding\": [0, 1], \"metadata\": {\"n\": 2}}\n\
         {\"id\": \"west\", \"embedding\": [-1, 0], \"metadata\": {\"n\": 3}}\n",
    );
    lab.ok(&["collections", "create", "winds"]);
    lab.ok(&["collections", "add", "winds", &file]);
    lab
}

#[test]
fn records_are_found_by_another_one_and_by_a_pasted_vector() {
    let lab = filled();
    let first = |arguments: &[&str]| {
        let hits = lab.json(&[&["collections", "query", "winds", "-k", "2"], arguments].concat());
        [&hits[0]["id"], &hits[1]["id"]].map(|id| id.as_str().unwrap().to_owned())
    };
    assert_eq!(first(&["--like", "north"])[0], "north");
    assert_eq!(first(&["--vector", "[-1, 0.2]"]), ["west", "north"]);
    assert_eq!(first(&["--vector", "[-1, 0.2]", "--where", r#"{"n": {"$lt": 3}}"#])[0], "north");
    for (wrong, told) in [
        (&["--like", "nobody"][..], "there is no record 'nobody'"),
        (&["--vector", "[0, 0]"], "is all zeros"),
        (&["--vector", "[1, x]"], "the vector: expected one JSON array of numbers"),
    ] {
        let ran = lab.run(&[&["collections", "query", "winds"], wrong].concat());
        assert!(ran.code == 2 && ran.stderr.contains(told), "{ran:?}");
    }
    let ran = lab.run(&["collections", "update", "winds", "east", "--vector", "[0, 0]"]);
    assert!(ran.code == 2 && ran.stderr.contains("of record 'east' is all zeros"), "{ran:?}");
    lab.ok(&["collections", "update", "winds", "east", "--vector", "[-1, 0.1]"]);
    assert_eq!(first(&["--vector", "[-1, 0.1]"])[0], "east");
}

#[test]
fn records_that_fit_are_counted() {
    let lab = filled();
    assert_eq!(lab.ok(&["collections", "count", "winds"]), "3\n");
    let some = lab.json(&["collections", "count", "winds", "--where", r#"{"n": {"$gte": 2}}"#]);
    assert_eq!(some, json!({ "collection": "winds", "records": 2 }));
    let ran = lab.run(&["collections", "count", "winds", "--where", r#"{"n": {"$in": [1, "x"]}}"#]);
    assert!(ran.code == 2 && ran.stderr.contains("where: $in of 'n': the list mixes kinds"), "{ran:?}");
    let ran = lab.run(&["collections", "rm-records", "winds", "--where", "{}", "--yes"]);
    assert!(ran.code == 2 && ran.stderr.contains("would delete every record"), "{ran:?}");
    assert_eq!(lab.ok(&["collections", "count", "winds"]), "3\n");
}

#[test]
fn the_operators_of_conditions_are_listed() {
    let help = Labtop::new().ok(&["collections", "query", "--help"]);
    // Where the lines break depends on the width.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("Operators: $eq $ne $gt $gte $lt $lte $in $nin $and $or $contains"), "{help}");
    assert!(help.contains("Operators: $contains $not_contains $regex $not_regex $and $or"), "{help}");
}

#[test]
fn the_embedded_store_is_one_database() {
    let lab = Labtop::new();
    for arguments in [
        &["collections", "databases", "ls"][..],
        &["collections", "databases", "create", "another"],
        &["collections", "ls", "--database", "another"],
        &["collections", "--tenant", "somebody", "ls"],
    ] {
        let ran = lab.run(arguments);
        assert!(ran.code == 2 && ran.stderr.contains("is one database and has no tenants"), "{ran:?}");
    }
}
