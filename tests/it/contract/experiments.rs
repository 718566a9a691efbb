//! The experiment store.

use labtop::domain::experiment::{Edit, Outcome, Status};
use labtop::domain::filter::{Field, Figure};
use labtop::domain::metric::MetricPoint;
use labtop::store::ErrorKind;
use labtop::store::experiments::{Entry, ExperimentQuery, Sort};
use serde_json::{Map, json};

use crate::support::backends::Backends;
use crate::support::samples::{completed, hostile, object, point, running};

macro_rules! cases {
    ($backend:ident) => {
        super::suite!(
            $backend,
            creating_twice_with_one_key_makes_one,
            what_is_created_is_read_back,
            finishing_commits_one_result,
            a_late_attempt_is_fenced_off,
            many_are_written_together_and_each_is_answered,
            points_keep_their_order_and_odd_values,
            a_long_curve_comes_as_its_outline,
            a_note_that_changed_meanwhile_is_not_overwritten,
            lists_sort_page_and_leave_out_the_archived,
            empty_values_come_last_both_ways,
            tags_notes_and_archive,
            removal_spares_the_running,
            what_does_not_exist_is_not_found,
            hostile_texts_come_back_unchanged,
            a_megabyte_is_kept,
        );
    };
}
cases!(duckdb);
cases!(postgres);

async fn creating_twice_with_one_key_makes_one(backends: &Backends) {
    let store = backends.experiments();
    let new = running("one");
    let first = store.create(&new).await.unwrap();
    let again =
        store.create(&labtop::domain::experiment::NewExperiment { name: "two".into(), ..new }).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(store.list(&ExperimentQuery::default()).await.unwrap().total, 1);
}

async fn what_is_created_is_read_back(backends: &Backends) {
    let store = backends.experiments();
    let mut new = running("named");
    new.tags = vec!["a".to_owned(), "b".to_owned()];
    new.parameters = object(json!({ "z": 1, "a": [1, 2.5], "deep": { "x": null }, "big": i64::MAX }));
    new.seed = Some(i64::MIN);
    let made = store.create(&new).await.unwrap();
    let read = store.get(made.id).await.unwrap();
    assert_eq!(made, read);
    assert_eq!((read.key, read.name.as_str(), read.status), (new.key, "named", Status::Running));
    assert_eq!((read.parameters, read.tags, read.seed), (new.parameters, new.tags, new.seed));
    assert_eq!((read.attempt, read.worker.as_deref()), (1, Some("host:1")));
    assert!(read.started_at.is_some() && read.finished_at.is_none());
}

async fn finishing_commits_one_result(backends: &Backends) {
    let store = backends.experiments();
    let id = store.create(&running("x")).await.unwrap().id;
    let outcome = completed(json!({ "accuracy": 0.9134, "inference_time_ms": 124.83, "loss": 0.5 }));
    let done = store.finish(id, 1, &outcome).await.unwrap();
    assert_eq!((done.status, done.figures.accuracy), (Status::Completed, Some(0.9134)));
    assert_eq!((done.figures.inference_time_ms, done.figures.recall), (Some(124.83), None));
    assert_eq!(done.results["loss"], 0.5);
    assert!(done.finished_at.is_some());
    let twice = store.finish(id, 1, &completed(json!({ "accuracy": 0.1 }))).await.unwrap_err();
    assert_eq!(twice.kind, ErrorKind::Conflict);
    assert_eq!(store.get(id).await.unwrap(), done);
}

async fn a_late_attempt_is_fenced_off(backends: &Backends) {
    let store = backends.experiments();
    let id = store.create(&running("x")).await.unwrap().id;
    store.record(id, 1, &[point("loss", 1, 1.0)]).await.unwrap();
    let failed = Outcome {
        status: Status::Failed,
        results: Map::new(),
        error: Some("out of memory".to_owned()),
        finished_at: None,
    };
    assert_eq!(store.finish(id, 1, &failed).await.unwrap().error.as_deref(), Some("out of memory"));
    let late = store.record(id, 1, &[point("loss", 2, 1.0)]).await.unwrap_err();
    assert_eq!(late.kind, ErrorKind::Conflict);
    assert_eq!(backends.queue().requeue(&[id]).await.unwrap(), [id]);
    assert_eq!(store.points(id).await.unwrap(), [], "a new attempt begins without points");
    for error in [
        store.record(id, 1, &[point("loss", 3, 1.0)]).await.unwrap_err(),
        store.finish(id, 1, &completed(json!({}))).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Conflict);
    }
    let again = store.get(id).await.unwrap();
    assert_eq!((again.status, again.attempt, again.error), (Status::Queued, 2, None));
}

async fn many_are_written_together_and_each_is_answered(backends: &Backends) {
    let store = backends.experiments();
    let mut ids = Vec::new();
    for name in ["going", "ending", "ended", "failing"] {
        ids.push(store.create(&running(name)).await.unwrap().id);
    }
    store.finish(ids[2], 1, &completed(json!({ "accuracy": 0.1 }))).await.unwrap();
    let failed = Outcome {
        status: Status::Failed,
        results: Map::new(),
        error: Some("it's \"odd\"\n\u{1F4A5}".to_owned()),
        finished_at: None,
    };
    let entry = |id, attempt, points: &[MetricPoint], outcome: Option<Outcome>| Entry {
        id,
        attempt,
        points: points.to_vec(),
        outcome,
        documents: None,
    };
    let done = completed(json!({ "accuracy": 0.9134, "odd": "it's" }));
    let answers = store
        .commit(&[
            entry(ids[0], 1, &[point("loss", 1, 0.5)], None),
            entry(ids[1], 1, &[point("loss", 1, 0.5), point("loss", 2, 0.25)], Some(done.clone())),
            entry(ids[2], 1, &[point("loss", 1, 0.5)], Some(done.clone())),
            entry(ids[0], 2, &[point("loss", 2, 0.5)], None),
            entry(424_242, 1, &[], Some(done.clone())),
            entry(ids[3], 1, &[], Some(failed)),
            entry(ids[1], 1, &[point("loss", 3, 0.5)], Some(done)),
        ])
        .await
        .unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    let conflict = Some(ErrorKind::Conflict);
    assert_eq!(kinds, [None, None, conflict, conflict, Some(ErrorKind::NotFound), None, conflict]);
    assert_eq!(answers[0].as_ref().unwrap(), &None);
    let ended = answers[1].as_ref().unwrap().as_ref().unwrap();
    assert_eq!((ended.status, ended.figures.accuracy), (Status::Completed, Some(0.9134)));
    assert_eq!(ended, &store.get(ids[1]).await.unwrap());
    let failed = answers[5].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(failed.error.as_deref(), Some("it's \"odd\"\n\u{1F4A5}"));
    let mut counts = Vec::new();
    for id in &ids {
        counts.push(store.points(*id).await.unwrap().len());
    }
    assert_eq!(counts, [1, 2, 0, 0]);
    assert!(store.commit(&[]).await.unwrap().is_empty());
}

async fn points_keep_their_order_and_odd_values(backends: &Backends) {
    let store = backends.experiments();
    let id = store.create(&running("x")).await.unwrap().id;
    store.record(id, 1, &[point("loss", 2, 0.25), point("accuracy", 1, 0.5)]).await.unwrap();
    store.record(id, 1, &[point("loss", 1, f64::NAN), point("loss", 3, f64::NEG_INFINITY)]).await.unwrap();
    store.record(id, 1, &[]).await.unwrap();
    let points = store.points(id).await.unwrap();
    let order: Vec<_> = points.iter().map(|point| (point.name.as_str(), point.step)).collect();
    assert_eq!(order, [("accuracy", 1), ("loss", 1), ("loss", 2), ("loss", 3)]);
    assert!(points[1].value.is_nan());
    assert_eq!((points[2].value, points[3].value), (0.25, f64::NEG_INFINITY));
    assert_eq!(points[0].recorded_at, point("accuracy", 1, 0.0).recorded_at);
}

async fn a_long_curve_comes_as_its_outline(backends: &Backends) {
    let store = backends.experiments();
    let id = store.create(&running("x")).await.unwrap().id;
    let mut points: Vec<_> =
        (0..30_000).map(|step| point("loss", step, (step as f64 / 50.0).sin())).collect();
    points[7_777].value = 9.0;
    points[11_111].value = -9.0;
    points[22_222].value = f64::NAN;
    points.extend((0..50).map(|step| point("accuracy", step * 1_000, 0.5)));
    store.record(id, 1, &points).await.unwrap();
    let outline = store.outline(id, 4_000).await.unwrap();
    assert_eq!(outline.recorded, 30_050);
    let of = |name: &str| outline.points.iter().filter(|point| point.name == name).collect::<Vec<_>>();
    assert_eq!(of("accuracy").len(), 50, "a short curve comes whole");
    let loss = of("loss");
    assert!((400..=2_000).contains(&loss.len()), "{}", loss.len());
    assert!(loss.is_sorted_by(|a, b| a.step < b.step));
    for step in [0, 7_777, 11_111, 22_222, 29_999] {
        let kept = loss.iter().find(|point| point.step == step).unwrap();
        assert_eq!(kept.value.to_bits(), points[step as usize].value.to_bits());
    }
    let most = store.outline(id, 200_000).await.unwrap().points.len();
    assert!((4_000..=10_050).contains(&most), "{most}");
    assert_eq!(store.outline(424_242, 100).await.unwrap().recorded, 0);
}

async fn a_note_that_changed_meanwhile_is_not_overwritten(backends: &Backends) {
    let store = backends.experiments();
    let id = store.create(&running("x")).await.unwrap().id;
    let revise =
        |before: &str, after: &str| Edit::ReviseNote { before: before.to_owned(), after: after.to_owned() };
    assert_eq!(store.edit(id, &revise("", "mine\nand more")).await.unwrap().note, "mine\nand more");
    let refused = store.edit(id, &revise("", "theirs")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("'mine'"), "{}", refused.message);
    assert_eq!(store.get(id).await.unwrap().note, "mine\nand more");
    assert_eq!(store.edit(id, &revise("mine\nand more", "")).await.unwrap().note, "");
    assert_eq!(store.edit(424_242, &revise("", "x")).await.unwrap_err().kind, ErrorKind::NotFound);
}

async fn lists_sort_page_and_leave_out_the_archived(backends: &Backends) {
    let store = backends.experiments();
    let mut ids = Vec::new();
    for accuracy in [0.5, 0.9, 0.7, 0.8] {
        let id = store.create(&running("x")).await.unwrap().id;
        store.finish(id, 1, &completed(json!({ "accuracy": accuracy }))).await.unwrap();
        ids.push(id);
    }
    store.edit(ids[3], &Edit::Archive(true)).await.unwrap();
    let sort = Sort { field: Field::Figure(Figure::Accuracy), descending: true };
    let query = ExperimentQuery { sort, limit: 2, ..ExperimentQuery::default() };
    let page = store.list(&query).await.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[1], ids[2]]);
    assert_eq!(page.total, 3);
    let rest = store.list(&ExperimentQuery { window: page.next().unwrap(), ..query.clone() }).await.unwrap();
    assert_eq!((rest.rows.len(), rest.rows[0].id, rest.position, rest.total), (1, ids[0], 2, 3));
    let all = store.list(&ExperimentQuery { with_archived: true, limit: 10, ..query }).await.unwrap();
    assert_eq!(all.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[1], ids[3], ids[2], ids[0]]);
    let newest = store.list(&ExperimentQuery::default()).await.unwrap();
    assert_eq!(newest.rows[0].id, ids[2]);
}

async fn empty_values_come_last_both_ways(backends: &Backends) {
    let store = backends.experiments();
    let empty = store.create(&running("x")).await.unwrap().id;
    let full = store.create(&running("x")).await.unwrap().id;
    store.finish(full, 1, &completed(json!({ "accuracy": 0.1 }))).await.unwrap();
    let mut other = running("y");
    other.parameters = object(json!({ "depth": 3 }));
    let deep = store.create(&other).await.unwrap().id;
    for descending in [true, false] {
        let sort = Sort { field: Field::Figure(Figure::Accuracy), descending };
        let rows = store.list(&ExperimentQuery { sort, ..ExperimentQuery::default() }).await.unwrap().rows;
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [full, deep, empty]);
        let sort = Sort { field: Field::Param("depth".to_owned()), descending };
        let rows = store.list(&ExperimentQuery { sort, ..ExperimentQuery::default() }).await.unwrap().rows;
        assert_eq!(rows[0].id, deep);
    }
}

async fn tags_notes_and_archive(backends: &Backends) {
    let store = backends.experiments();
    let id = store.create(&running("x")).await.unwrap().id;
    let tags = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
    store.edit(id, &Edit::AddTags(tags(&["b", "a", "b"]))).await.unwrap();
    assert_eq!(store.edit(id, &Edit::AddTags(tags(&["a", "c"]))).await.unwrap().tags, ["b", "a", "c"]);
    assert_eq!(store.edit(id, &Edit::RemoveTags(tags(&["a", "x"]))).await.unwrap().tags, ["b", "c"]);
    assert_eq!(store.edit(id, &Edit::Note("two\nlines".to_owned())).await.unwrap().note, "two\nlines");
    assert!(store.edit(id, &Edit::Archive(true)).await.unwrap().archived_at.is_some());
    let back = store.edit(id, &Edit::Archive(false)).await.unwrap();
    assert_eq!((back.archived_at, back.tags), (None, tags(&["b", "c"])));
}

async fn removal_spares_the_running(backends: &Backends) {
    let store = backends.experiments();
    let running_id = store.create(&running("x")).await.unwrap().id;
    let done = store.create(&running("y")).await.unwrap().id;
    store.record(done, 1, &[point("loss", 1, 1.0)]).await.unwrap();
    store.finish(done, 1, &completed(json!({ "accuracy": 0.5 }))).await.unwrap();
    let refused = store.remove(&[done, running_id]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(store.list(&ExperimentQuery::default()).await.unwrap().total, 2, "nothing was deleted");
    assert_eq!(store.remove(&[done, 999_999]).await.unwrap(), 1);
    assert_eq!(store.points(done).await.unwrap(), []);
    assert_eq!(store.remove(&[]).await.unwrap(), 0);
}

async fn what_does_not_exist_is_not_found(backends: &Backends) {
    let store = backends.experiments();
    for error in [
        store.get(424_242).await.unwrap_err(),
        store.record(424_242, 1, &[point("loss", 1, 1.0)]).await.unwrap_err(),
        store.finish(424_242, 1, &completed(json!({}))).await.unwrap_err(),
        store.edit(424_242, &Edit::Archive(true)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.message.contains("424242"), "{error}");
    }
    assert_eq!(store.points(424_242).await.unwrap(), []);
}

async fn hostile_texts_come_back_unchanged(backends: &Backends) {
    let store = backends.experiments();
    let mut new = running(&hostile());
    new.model_type = hostile();
    new.dataset = hostile();
    new.description = hostile();
    new.tags = vec![hostile()];
    new.parameters = object(json!({ hostile(): hostile() }));
    let made = store.create(&new).await.unwrap();
    store.edit(made.id, &Edit::Note(hostile())).await.unwrap();
    store.record(made.id, 1, &[point(&hostile(), 1, 1.0)]).await.unwrap();
    let read = store.get(made.id).await.unwrap();
    assert_eq!((read.name, read.model_type, read.dataset), (hostile(), hostile(), hostile()));
    assert_eq!((read.description, read.note, read.tags), (hostile(), hostile(), vec![hostile()]));
    assert_eq!(read.parameters, new.parameters);
    assert_eq!(store.points(made.id).await.unwrap()[0].name, hostile());
}

async fn a_megabyte_is_kept(backends: &Backends) {
    let store = backends.experiments();
    let long = "é".repeat(500_000);
    let mut new = running(&long);
    new.parameters = object(json!({ "long": long }));
    let id = store.create(&new).await.unwrap().id;
    let read = store.get(id).await.unwrap();
    assert_eq!(read.name.len(), 1_000_000);
    assert_eq!(read.parameters["long"].as_str().map(str::len), Some(1_000_000));
}
