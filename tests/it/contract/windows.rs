//! Windows of the experiments table: a walk meets each row once, in both directions, by every kind of field.

use labtop::domain::experiment::{Experiment, ExperimentId, NewExperiment, Outcome, Status};
use labtop::domain::filter::{Aggregate, Field, Figure, Filter};
use labtop::domain::window::{Key, Window};
use labtop::store::experiments::{ExperimentPage, ExperimentQuery, ExperimentStore, Sort};
use serde_json::json;

use crate::support::backends::Backends;
use crate::support::samples::{completed, object, point, running};

macro_rules! cases {
    ($backend:ident) => {
        super::suite!(
            $backend,
            a_walk_meets_each_row_once,
            a_walk_goes_on_while_rows_come_and_go,
            empty_and_failed_come_last_and_the_newest_first,
            a_window_stands_around_a_run_wherever_it_is,
            the_ends_and_the_middle,
        );
    };
}
cases!(duckdb);
cases!(postgres);

/// One of each kind, and both of what a parameter may be.
fn fields() -> Vec<Field> {
    let curve = |aggregate| Field::Curve(aggregate, "loss".to_owned());
    vec![
        Field::Id,
        Field::Name,
        Field::Status,
        Field::Seed,
        Field::Batch,
        Field::Note,
        Field::Tag,
        Field::Created,
        Field::Finished,
        Field::Figure(Figure::Accuracy),
        Field::Param("depth".to_owned()),
        Field::Param("mixed".to_owned()),
        Field::Metric("extra".to_owned()),
        curve(Aggregate::Last),
        curve(Aggregate::Max),
    ]
}

fn sorts() -> impl Iterator<Item = Sort> {
    fields()
        .into_iter()
        .flat_map(|field| [true, false].map(|descending| Sort { field: field.clone(), descending }))
}

/// Duplicates, gaps, texts among numbers, a curve that broke off, and every end a run can come to.
async fn seed(store: &dyn ExperimentStore) -> Vec<ExperimentId> {
    let mixed = [json!(2), json!("fast"), json!(10), json!(""), json!(null), json!("slow"), json!(2.0)];
    let mut ids = Vec::new();
    for index in 0..28_usize {
        let mut parameters = object(json!({ "mixed": mixed[index % mixed.len()] }));
        if index % 4 != 0 {
            parameters.insert("depth".to_owned(), json!(index % 3));
        }
        let new = NewExperiment {
            parameters,
            seed: (index % 5 != 0).then_some(i64::MAX - (index % 2) as i64),
            tags: if index % 6 == 0 { vec!["b".to_owned(), "a".to_owned()] } else { Vec::new() },
            ..running(["same", "", "other", "Same"][index % 4])
        };
        let id = store.create(&new).await.unwrap().id;
        let last = [0.5, f64::NAN, 0.25][index % 3];
        if index % 5 != 1 {
            store.record(id, 1, &[point("loss", 1, 1.0), point("loss", 2, last)]).await.unwrap();
        }
        let ends = [Status::Completed, Status::Failed, Status::Completed, Status::Cancelled];
        if index % 9 != 8 {
            let results = json!({ "accuracy": (index % 3) as f64 / 2.0, "extra": index % 2 });
            let outcome = Outcome { status: ends[index % 4], ..completed(results) };
            store.finish(id, 1, &outcome).await.unwrap();
        }
        ids.push(id);
    }
    ids
}

fn is_failed(run: &Experiment) -> bool {
    matches!(run.status, Status::Failed | Status::Cancelled | Status::Interrupted)
}

async fn page(store: &dyn ExperimentStore, sort: &Sort, window: Window, limit: u64) -> ExperimentPage {
    let query = ExperimentQuery { sort: sort.clone(), window, limit, ..ExperimentQuery::default() };
    let page = store.list(&query).await.unwrap_or_else(|error| panic!("{sort:?}: {error:?}"));
    assert_eq!(page.rows.len(), page.keys.len());
    assert!(page.rows.iter().zip(&page.keys).all(|(row, key)| row.id == key.id));
    page
}

fn ids(page: &ExperimentPage) -> Vec<ExperimentId> {
    page.rows.iter().map(|row| row.id).collect()
}

async fn a_walk_meets_each_row_once(backends: &Backends) {
    let store = backends.experiments();
    let made = seed(store).await;
    for sort in sorts() {
        let whole = ids(&page(store, &sort, Window::First, 100).await);
        let mut sorted = whole.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, made, "{sort:?}");
        let (mut walked, mut window) = (Vec::new(), Window::First);
        loop {
            let part = page(store, &sort, window, 5).await;
            assert_eq!((part.position, part.total), (walked.len() as u64, made.len() as u64), "{sort:?}");
            walked.extend(ids(&part));
            match part.next() {
                Some(next) => window = next,
                None => break,
            }
        }
        assert_eq!(walked, whole, "{sort:?} downwards");
        let (mut walked, mut window) = (Vec::new(), Window::Last);
        loop {
            let part = page(store, &sort, window, 5).await;
            walked.splice(0..0, ids(&part));
            assert_eq!(part.position as usize, made.len() - walked.len(), "{sort:?}");
            match part.keys.first() {
                Some(first) => window = Window::Before(first.clone()),
                None => break,
            }
        }
        assert_eq!(walked, whole, "{sort:?} upwards");
    }
}

async fn a_walk_goes_on_while_rows_come_and_go(backends: &Backends) {
    let store = backends.experiments();
    let made = seed(store).await;
    for sort in sorts() {
        let (mut walked, mut window) = (Vec::new(), Window::First);
        let mut strangers = Vec::new();
        loop {
            let part = page(store, &sort, window, 5).await;
            walked.extend(ids(&part));
            let Some(next) = part.next() else { break };
            window = next;
            if strangers.len() < 8 {
                let new = NewExperiment {
                    parameters: object(json!({ "depth": 1, "mixed": 2 })),
                    ..running("same")
                };
                strangers.push(store.create(&new).await.unwrap().id);
            }
        }
        // The row that the walk stands on is taken away under it.
        let stranger = store.create(&running("zz")).await.unwrap().id;
        let around = page(store, &sort, Window::Around(Key::of_id(stranger)), 100).await;
        let place = around.rows.iter().position(|row| row.id == stranger).unwrap();
        let (before, after) = (ids(&around)[..place].to_vec(), ids(&around)[place + 1..].to_vec());
        store.finish(stranger, 1, &completed(json!({}))).await.unwrap();
        store.remove(&[stranger]).await.unwrap();
        let key = &around.keys[place];
        assert_eq!(ids(&page(store, &sort, Window::After(key.clone()), 100).await), after, "{sort:?}");
        assert_eq!(ids(&page(store, &sort, Window::Before(key.clone()), 100).await), before, "{sort:?}");
        let gone = page(store, &sort, Window::Around(key.clone()), 100).await;
        assert_eq!(ids(&gone), [before, after].concat(), "{sort:?}");

        let old: Vec<_> = walked.iter().copied().filter(|id| made.contains(id)).collect();
        let all = ids(&page(store, &sort, Window::First, 100).await);
        let expected: Vec<_> = all.into_iter().filter(|id| made.contains(id)).collect();
        assert_eq!(old, expected, "{sort:?}");
        let mut once = walked.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), walked.len(), "{sort:?}");
        for id in &strangers {
            store.finish(*id, 1, &completed(json!({}))).await.unwrap();
        }
        store.remove(&strangers).await.unwrap();
    }
}

async fn empty_and_failed_come_last_and_the_newest_first(backends: &Backends) {
    let store = backends.experiments();
    seed(store).await;
    for sort in sorts().filter(|sort| sort.field != Field::Id) {
        let page = page(store, &sort, Window::First, 100).await;
        let ranks: Vec<_> = page.keys.iter().map(|key| (key.failed, key.value.is_none())).collect();
        assert!(ranks.is_sorted(), "{sort:?}: {ranks:?}");
        assert!(page.rows.iter().zip(&page.keys).all(|(row, key)| is_failed(row) == key.failed));
        assert!(ranks[0] <= (false, true) && ranks.last().unwrap().0, "{sort:?}: {ranks:?}");
        for pair in page.keys.windows(2) {
            let is_tie = (pair[0].failed, &pair[0].value) == (pair[1].failed, &pair[1].value);
            assert!(!is_tie || pair[0].id > pair[1].id, "{sort:?}: {pair:?}");
        }
    }
    let by = |field, descending| Sort { field, descending };
    let mixed = page(store, &by(Field::Param("mixed".to_owned()), false), Window::First, 100).await;
    let values: Vec<_> =
        mixed.rows.iter().filter(|run| !is_failed(run)).map(|run| &run.parameters["mixed"]).collect();
    let texts = values.iter().position(|value| value.is_string()).unwrap();
    assert!(values[..texts].iter().all(|value| value.is_number()), "{values:?}");
    assert!(!values[texts..].iter().any(|value| value.is_number()), "{values:?}");
}

async fn a_window_stands_around_a_run_wherever_it_is(backends: &Backends) {
    let store = backends.experiments();
    let made = seed(store).await;
    for sort in sorts() {
        let whole = ids(&page(store, &sort, Window::First, 100).await);
        for (place, id) in whole.iter().enumerate() {
            // Whatever else the key says, the run is found where it is.
            let part = page(store, &sort, Window::Around(Key::of_id(*id)), 7).await;
            let start = part.position as usize;
            assert_eq!(ids(&part), whole[start..start + 7], "{sort:?} around {id}");
            assert!((start..start + 7).contains(&place), "{sort:?} around {id}");
        }
    }
    let accuracy = Sort { field: Field::Figure(Figure::Accuracy), descending: true };
    let id = made[8];
    let before = page(store, &accuracy, Window::Around(Key::of_id(id)), 3).await;
    store.finish(id, 1, &completed(json!({ "accuracy": 99.0 }))).await.unwrap();
    let after = page(store, &accuracy, Window::Around(Key::of_id(id)), 3).await;
    assert!(before.position > 3);
    assert_eq!((after.position, after.rows[0].id), (0, id), "it went to the top");
}

async fn the_ends_and_the_middle(backends: &Backends) {
    let store = backends.experiments();
    let nothing = page(store, &Sort::default(), Window::Last, 5).await;
    assert_eq!(nothing, ExperimentPage::default());
    let made = seed(store).await;
    let sort = Sort::default();
    let place = |page: &ExperimentPage| (page.position, ids(page));
    let newest: Vec<_> = made.iter().rev().copied().collect();
    assert_eq!(place(&page(store, &sort, Window::At(10), 3).await), (10, newest[10..13].to_vec()));
    assert_eq!(place(&page(store, &sort, Window::At(1000), 3).await), (28, vec![]));
    assert_eq!(place(&page(store, &sort, Window::Last, 3).await), (25, newest[25..].to_vec()));
    let filter = Some(Filter::Or(Vec::new()));
    let query =
        ExperimentQuery { filter, window: Window::Around(Key::of_id(made[3])), ..ExperimentQuery::default() };
    assert_eq!(store.list(&query).await.unwrap(), ExperimentPage::default());
}
