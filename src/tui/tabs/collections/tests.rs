//! The collections tab.

use std::time::Duration;

use crossterm::event::KeyCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::collection::{
    CollectionEdit, Hnsw, NewCollection, RecordEdit, RecordFilter, RecordHit, RecordPage, Space, StoredRecord,
};
use crate::domain::database::KnownDatabase;
use crate::domain::document::Metadata;
use crate::tui::context::Effect;
use crate::tui::popups::Stay;
use crate::tui::tabs::testing::{Desk, body, down, popup_text, tumble};
use crate::tui::testing::Stage;
use crate::tui::testing::data::Data;
use crate::worker::protocol::{
    Answer, BackendState, CollectionChange, Command, DatabaseChange, ExportForm, Failure, Likeness, Read,
    RecordQuestion, Request, RoleHealth, Ticket, Write,
};

fn object(value: Value) -> Metadata {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

fn collection(name: &str, records: u64) -> Collection {
    Collection {
        name: name.to_owned(),
        metadata: object(json!({"description": "Customer reviews", "version": 1})),
        space: Space::Cosine,
        hnsw: Hnsw::default(),
        dimension: (records > 0).then_some(384),
        records,
        problem: None,
    }
}

fn record(id: &str, document: &str) -> StoredRecord {
    StoredRecord {
        id: id.to_owned(),
        document: Some(document.to_owned()),
        metadata: object(json!({"rating": 5, "verified_purchase": true, "category": "audio"})),
        embedding: None,
    }
}

fn page(offset: usize, count: usize) -> Answer {
    let records =
        (offset..offset + count).map(|index| record(&format!("r{index:04}"), &format!("text {index}")));
    Answer::Records { collection: "product_reviews".to_owned(), offset, records: records.collect() }
}

fn reviews() -> Answer {
    let records = vec![
        record("review_1", "These headphones have amazing sound quality and great bass"),
        record("review_2", "The battery life is disappointing, only lasts 2 hours"),
    ];
    Answer::Records { collection: "product_reviews".to_owned(), offset: 0, records }
}

fn list(records: u64) -> Answer {
    Answer::Collections(vec![
        collection("xgboost_sentiment_analysis_v3", 5),
        collection("product_reviews", records),
        collection("empty-one", 0),
    ])
}

/// Looks at `product_reviews`.
fn desk(width: u16, height: u16) -> Desk<Collections> {
    let mut desk = Desk::new(Collections::default(), width, height);
    desk.refresh().answer(Slot::Collections, Ok(list(2)));
    desk.act(Action::Down).answer(Slot::Records, Ok(reviews()));
    desk.requests();
    desk
}

/// Looks at a collection of many records.
fn large(height: u16) -> Desk<Collections> {
    let mut desk = Desk::new(Collections::default(), 80, height);
    desk.refresh().answer(Slot::Collections, Ok(list(10_000)));
    desk.act(Action::Down).answer(Slot::Records, Ok(page(0, 100)));
    desk.act(Action::Open);
    desk.requests();
    desk
}

fn pages(desk: &mut Desk<Collections>) -> Vec<usize> {
    let offset = |read| match read {
        Read::Records { page: RecordPage { offset, limit: 100, .. }, .. } => offset,
        other => panic!("{other:?}"),
    };
    desk.reads().into_iter().map(offset).collect()
}

#[test]
fn names_records_and_detail() {
    let mut small = desk(80, 21);
    insta::assert_snapshot!("small", small.screen());
    small.act(Action::Open).act(Action::Down).act(Action::Open);
    insta::assert_snapshot!("small_detail", small.screen());
    let mut large = desk(160, 42);
    insta::assert_snapshot!("large", large.screen());
    large.act(Action::Open).act(Action::Down);
    insta::assert_snapshot!("large_record", large.screen());
    insta::assert_snapshot!("smallest", desk(60, 12).screen());
}

#[test]
fn empty_loading_and_failed() {
    let mut desk = Desk::new(Collections::default(), 80, 21);
    desk.refresh();
    insta::assert_snapshot!("loading", desk.screen());
    desk.answer(Slot::Collections, Ok(Answer::Collections(Vec::new())));
    insta::assert_snapshot!("empty", desk.screen());
    desk.refresh().answer(Slot::Collections, Err(down()));
    insta::assert_snapshot!("failed", desk.screen());
}

#[test]
fn a_failure_leaves_old_data_in_view() {
    let mut desk = desk(80, 21);
    desk.refresh().answer(Slot::Collections, Err(down()));
    desk.act(Action::Filter).submit("sound").answer(Slot::Records, Err(down()));
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn odd_texts_are_shown_safely_and_aligned() {
    let mut huge = record("huge", &"long word ".repeat(100_000));
    huge.metadata.insert("blob".to_owned(), json!("x".repeat(1 << 20)));
    let records = vec![
        record("\u{1b}[31mred\u{1b}[0m", "escape \u{1b}[2J and\ttab and\nnew line"),
        record("日本語", "全角文字は二桁の幅を取る e\u{301}tude"),
        huge,
        StoredRecord { document: None, metadata: Metadata::new(), ..record("bare", "") },
    ];
    let mut odd = collection("product_reviews", 4);
    odd.metadata = object(json!({"\u{1b}]0;title\u{7}": "a\nb", "big": "y".repeat(1 << 20)}));
    let mut desk = Desk::new(Collections::default(), 80, 21);
    desk.refresh().answer(Slot::Collections, Ok(Answer::Collections(vec![odd])));
    let answer = Answer::Records { collection: "product_reviews".to_owned(), offset: 0, records };
    desk.answer(Slot::Records, Ok(answer));
    insta::assert_snapshot!("odd_small", desk.screen());
    desk.resize(160, 42).act(Action::Open);
    insta::assert_snapshot!("odd_large", desk.screen());
}

#[test]
fn only_pages_around_the_cursor_are_read() {
    let mut desk = large(21);
    desk.act(Action::PageDown).act(Action::Down);
    assert_eq!(pages(&mut desk), [0usize; 0]);
    desk.act(Action::Bottom);
    assert_eq!(pages(&mut desk), [9_942]);
    assert!(desk.screen().contains("···"), "{}", desk.screen());
}

#[test]
fn a_page_answered_too_late_is_followed_by_the_right_one() {
    let mut desk = large(21);
    desk.act(Action::Bottom).act(Action::Top);
    assert_eq!(pages(&mut desk), [9_942]);
    desk.act(Action::Bottom);
    assert_eq!(pages(&mut desk), [0usize; 0]);
}

#[test]
fn a_collection_that_shrank_is_browsed_to_its_end() {
    let mut desk = large(21);
    desk.act(Action::Bottom).answer(Slot::Records, Ok(page(9_942, 3)));
    assert!(desk.screen().contains("9,945 of 9,945"), "{}", desk.screen());
    assert_eq!(desk.requests().len(), 2);
    desk.act(Action::Up);
    assert!(desk.requests().is_empty());
}

#[test]
fn a_question_with_a_condition() {
    let mut desk = desk(80, 21);
    desk.act(Action::Filter).submit(r#"good sound where {"rating": 5}"#);
    let read = question(Likeness::Text("good sound".to_owned()), json!({"rating": 5}), 5);
    let ticket = {
        let requests = desk.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].command, Command::Read(Slot::Records, read));
        requests[0].ticket
    };
    let hits = vec![RecordHit { record: record("review_1", "amazing sound"), distance: 0.4321 }];
    let found =
        Answer::RecordHits { collection: "product_reviews".to_owned(), hits, took: Duration::from_millis(7) };
    desk.hear(&Event::Answer { ticket, slot: Slot::Records, result: Ok(found) });
    insta::assert_snapshot!("found", desk.screen());
    desk.act(Action::Back);
    assert!(desk.screen().contains("review_2"));
}

#[test]
fn a_wrong_condition_is_told_under_the_line() {
    let mut desk = desk(80, 21);
    desk.act(Action::Filter).submit(r#"good where {"rating": }"#);
    assert!(desk.requests().is_empty() && desk.tab.is_typing());
    insta::assert_snapshot!(desk.screen());
    desk.key(KeyCode::Esc);
    assert!(desk.tab.problem.is_none());
}

#[test]
fn a_question_while_a_page_loads_leaves_nothing_waiting() {
    let mut desk = large(21);
    desk.act(Action::Bottom).act(Action::Filter).submit("sound");
    let found =
        |hits| Answer::RecordHits { collection: "product_reviews".to_owned(), hits, took: Duration::ZERO };
    desk.answer(Slot::Records, Ok(found(Vec::new())));
    assert!(!desk.tab.is_busy());
    desk.requests();
    desk.act(Action::Back);
    assert_eq!(pages(&mut desk), [9_942]);
}

#[test]
fn the_same_collection_stays_selected_when_others_come() {
    let mut desk = desk(80, 21);
    desk.refresh();
    let mut more = vec![collection("aaa", 1), collection("bbb", 1), collection("product_reviews", 3)];
    desk.answer(Slot::Collections, Ok(Answer::Collections(more.clone())));
    assert_eq!(desk.tab.selected().map(|selected| selected.name.as_str()), Some("product_reviews"));
    desk.requests();
    more.pop();
    desk.refresh().answer(Slot::Collections, Ok(Answer::Collections(more)));
    assert_eq!(desk.tab.records.collection.as_deref(), Some("bbb"));
}

#[test]
fn many_changes_lead_to_one_read_at_a_time() {
    let mut desk = desk(80, 21);
    desk.refresh().refresh().refresh();
    assert_eq!(desk.reads(), [Read::Collections]);
}

#[test]
fn deleting_asks_and_names_what_goes() {
    let mut desk = desk(80, 21);
    desk.act(Action::Delete);
    confirm(&mut desk, "product_reviews", &Write::RemoveCollection("product_reviews".to_owned()));
    desk.act(Action::Open).act(Action::Mark).act(Action::Mark).act(Action::Delete);
    let ids = vec!["review_1".to_owned(), "review_2".to_owned()];
    confirm(&mut desk, "2", &Write::RemoveRecords { collection: "product_reviews".to_owned(), ids });
    desk.hear(&Event::Done { ticket: Ticket(77), result: Ok("Deleted 2 records".to_owned()) });
    assert_eq!(desk.tab.records.marks(), 0);
}

fn confirm(desk: &mut Desk<Collections>, word: &str, write: &Write) {
    let mut popup = desk.popups.pop().expect("nothing was asked");
    desk.with(|_, cx| {
        popup.key(KeyEvent::from(KeyCode::Enter), cx);
    });
    assert_eq!(desk.writes(), [], "Enter alone is no yes");
    desk.with(|_, cx| {
        for key in word.chars().map(KeyCode::Char).chain([KeyCode::Enter]) {
            popup.key(KeyEvent::from(key), cx);
        }
    });
    assert_eq!(desk.writes(), std::slice::from_ref(write));
}

#[test]
fn forms_make_what_was_typed() {
    let mut desk = desk(80, 21);
    desk.act(Action::Create);
    fill(&mut desk, &["reviews", "of customers", r#"{"version": 2}"#, ""]);
    let metadata = object(json!({"version": 2, "description": "of customers"}));
    let write = Write::CreateCollection(NewCollection::new("reviews", &metadata, Space::Cosine));
    assert_eq!(desk.writes(), [write]);
    desk.act(Action::Add);
    fill(&mut desk, &["r1", "good", ""]);
    let write = Write::AddRecord {
        collection: "product_reviews".to_owned(),
        id: "r1".to_owned(),
        text: "good".to_owned(),
        metadata: Metadata::new(),
        replace: false,
    };
    assert_eq!(desk.writes(), [write]);
    desk.act(Action::Create);
    fill(&mut desk, &["reviews", "", "", "", "200", "", "50"]);
    let hnsw =
        Hnsw { ef_construction: Some(200), max_neighbors: None, ef_search: Some(50), ..Hnsw::default() };
    let new = NewCollection { hnsw, ..NewCollection::new("reviews", &Metadata::new(), Space::Cosine) };
    assert_eq!(desk.writes(), [Write::CreateCollection(new)]);
}

fn question(by: Likeness, condition: Value, n_results: usize) -> Read {
    let filter = RecordFilter { r#where: condition.as_object().cloned(), where_document: None };
    Read::QueryCollection(RecordQuestion { collection: "product_reviews".to_owned(), by, n_results, filter })
}

fn hits() -> Answer {
    let hits = vec![RecordHit { record: record("review_2", "battery"), distance: 0.1 }];
    Answer::RecordHits { collection: "product_reviews".to_owned(), hits, took: Duration::ZERO }
}

/// Takes what stands in a field away, then types.
fn retype(desk: &mut Desk<Collections>, texts: &[&str]) {
    let mut popup = desk.popups.pop().expect("no form was opened");
    desk.with(|_, cx| {
        for text in texts {
            popup.key(KeyEvent::new(KeyCode::Char('u'), crossterm::event::KeyModifiers::CONTROL), cx);
            for character in text.chars() {
                popup.key(KeyEvent::from(KeyCode::Char(character)), cx);
            }
            popup.key(KeyEvent::from(KeyCode::Tab), cx);
        }
        popup.key(KeyEvent::from(KeyCode::Enter), cx);
    });
}

#[test]
fn a_collection_is_renamed_changed_copied_and_written() {
    let mut desk = desk(80, 21);
    let name = || "product_reviews".to_owned();
    desk.act(Action::Rename);
    retype(&mut desk, &["all_reviews"]);
    let edit = CollectionEdit { name: Some("all_reviews".to_owned()), metadata: None };
    assert_eq!(desk.writes(), [Write::Collection(CollectionChange::Edit { name: name(), edit })]);
    desk.act(Action::Edit);
    retype(&mut desk, &[r#"{"version": 2}"#]);
    let edit = CollectionEdit { name: None, metadata: Some(object(json!({"version": 2}))) };
    assert_eq!(desk.writes(), [Write::Collection(CollectionChange::Edit { name: name(), edit })]);
    desk.act(Action::Duplicate);
    fill(&mut desk, &[""]);
    let copy = CollectionChange::Copy { from: name(), to: "product_reviews_copy".to_owned() };
    assert_eq!(desk.writes(), [Write::Collection(copy)]);

    desk.read_only = true;
    desk.act(Action::Rename);
    retype(&mut desk, &["other"]);
    assert_eq!(desk.writes(), []);
    desk.act(Action::Export);
    retype(&mut desk, &["out.parquet", "no"]);
    let export = ExportForm { collection: name(), path: "out.parquet".into(), ..ExportForm::default() };
    assert_eq!(desk.writes(), [Write::Collection(CollectionChange::Export(export))], "a file may be written");
}

#[test]
fn a_form_names_the_field_that_is_wrong() {
    for (action, texts, told) in [
        (Action::Rename, &["a b"][..], "only letters, digits"),
        (Action::Rename, &["product_reviews"], "called so already"),
        (Action::Duplicate, &["product_reviews"], "another name"),
        (Action::Edit, &[r#"{"a": {}}"#], "`a` must be a text"),
        (Action::Export, &["out.csv"], ".jsonl or .parquet"),
        (Action::Export, &["out.jsonl", "perhaps"], "vectors: yes or no"),
        (Action::Create, &["new", "", "", "l3"], "unknown space 'l3'"),
        (Action::Create, &["new", "", "", "l2", "many"], "ef_construction must be a whole"),
    ] {
        let mut desk = desk(100, 21);
        desk.act(action);
        let mut popup = desk.popups.pop().unwrap();
        desk.with(|_, cx| {
            for text in texts {
                popup.key(KeyEvent::new(KeyCode::Char('u'), crossterm::event::KeyModifiers::CONTROL), cx);
                for character in text.chars() {
                    popup.key(KeyEvent::from(KeyCode::Char(character)), cx);
                }
                popup.key(KeyEvent::from(KeyCode::Tab), cx);
            }
            popup.key(KeyEvent::from(KeyCode::Enter), cx);
        });
        assert_eq!(desk.writes(), [], "{told}");
        let shown = crate::tui::tabs::testing::popup_text(&*popup, 100, 21);
        assert!(shown.contains(told), "{told}: {shown}");
    }
}

#[test]
fn a_record_is_edited_and_keys_taken_out_go() {
    let mut desk = desk(80, 21);
    desk.act(Action::Open).act(Action::Edit);
    fill(&mut desk, &["", ""]);
    assert_eq!(desk.writes(), [], "nothing was changed");
    desk.act(Action::Edit);
    retype(&mut desk, &["Fine", r#"{"rating": 4, "category": "audio"}"#]);
    let edit = RecordEdit {
        id: "review_1".to_owned(),
        document: Some("Fine".to_owned()),
        embedding: None,
        metadata: object(json!({"rating": 4, "verified_purchase": null})),
    };
    let update = CollectionChange::UpdateRecord { collection: "product_reviews".to_owned(), edit };
    assert_eq!(desk.writes(), [Write::Collection(update)]);
}

#[test]
fn what_is_like_a_record_or_a_vector_is_asked_for() {
    let mut desk = desk(80, 21);
    desk.act(Action::LikeThis);
    assert!(desk.reads().is_empty(), "no record is selected");
    desk.act(Action::Open).act(Action::LikeThis);
    let like = |condition, count| question(Likeness::Record("review_1".to_owned()), condition, count);
    assert_eq!(desk.reads(), [like(Value::Null, 5)]);
    desk.act(Action::Filter).submit(r#" where {"rating": 5}"#);
    assert_eq!(desk.reads(), [like(json!({"rating": 5}), 5)]);
    desk.act(Action::MoreResults);
    assert_eq!(desk.reads(), [like(json!({"rating": 5}), 10)]);
    desk.act(Action::Back).requests();
    desk.act(Action::Filter).submit("[1, 0]");
    assert_eq!(desk.tab.problem.as_deref(), Some("vector: it has 2 dimensions, the collection has 384"));
    assert!(desk.reads().is_empty() && desk.tab.is_typing());
}

#[test]
fn conditions_alone_narrow_the_list_page_by_page() {
    let mut desk = large(21);
    desk.act(Action::Filter);
    insta::assert_snapshot!("operators", desk.screen());
    desk.submit(r#"where {"rating": 5}"#);
    let condition = |read| match read {
        Read::Records { page: RecordPage { offset, filter, .. }, .. } => Some((offset, filter.r#where)),
        Read::CountRecords { .. } => None,
        other => panic!("{other:?}"),
    };
    let asked =
        |desk: &mut Desk<Collections>| desk.reads().into_iter().filter_map(condition).collect::<Vec<_>>();
    let rating = Some(object(json!({"rating": 5})));
    assert_eq!(desk.effects.len(), 2, "a page, and how many there are");
    desk.answer(Slot::RecordCount, Err(down())).answer(Slot::Records, Ok(page(0, 100)));
    assert!(desk.screen().contains("1 of 100+"), "{}", desk.screen());
    assert_eq!(asked(&mut desk), [(0, rating.clone())]);
    desk.act(Action::Bottom).answer(Slot::Records, Ok(page(43, 69)));
    assert_eq!(asked(&mut desk), [(43, rating)]);
    desk.act(Action::Bottom);
    assert!(desk.screen().contains("112 of 112"), "{}", desk.screen());
    desk.act(Action::Back).answer(Slot::Records, Ok(page(0, 100)));
    assert_eq!(asked(&mut desk), [(0, None)]);
    assert!(desk.screen().contains("1 of 10,000"), "{}", desk.screen());
}

#[test]
fn those_that_fit_are_counted_as_far_as_that_is_cheap() {
    let mut desk = large(21);
    desk.act(Action::Filter).submit(r#"where {"rating": 5}"#).answer(Slot::Records, Ok(page(0, 100)));
    let filter = RecordFilter { r#where: Some(object(json!({"rating": 5}))), where_document: None };
    let collection = "product_reviews".to_owned();
    let count = Read::CountRecords { collection, filter, most: 10_001 };
    assert_eq!(desk.tab.records.total(), 101, "a row stands for those that may follow");
    desk.answer(Slot::RecordCount, Ok(Answer::RecordCount(4213)));
    assert!(desk.screen().contains("1 of 4,213 "), "{}", desk.screen());
    assert!(desk.reads().contains(&count));
    desk.act(Action::Bottom).answer(Slot::Records, Ok(page(4150, 63)));
    assert!(desk.screen().contains("4,213 of 4,213"), "{}", desk.screen());
    desk.refresh().answer(Slot::Collections, Ok(list(10_000)));
    assert!(desk.screen().contains("of 4,213 "), "until it is counted anew: {}", desk.screen());
    desk.answer(Slot::RecordCount, Ok(Answer::RecordCount(10_001)));
    assert!(desk.screen().contains("of 10,000+"), "{}", desk.screen());
}

#[test]
fn the_vector_of_a_record_is_shown_on_demand() {
    let mut desk = desk(160, 42);
    desk.act(Action::Open).act(Action::ShowVector);
    let whole = StoredRecord { embedding: Some(vec![0.5, -0.25]), ..record("review_1", "x") };
    let records = vec![whole];
    let answer = Answer::Records { collection: "product_reviews".to_owned(), offset: 0, records };
    desk.answer(Slot::Vector, Ok(answer));
    let shown = desk.screen();
    assert!(shown.contains("vector · 2 dimensions") && shown.contains("[0.5, -0.25]"), "{shown}");
    desk.act(Action::Down);
    assert!(!desk.screen().contains("vector ·"), "of another record");
}

#[test]
fn a_record_leads_to_its_run() {
    let mut desk = desk(80, 21);
    desk.act(Action::Open).act(Action::GoRun);
    assert!(desk.goals.is_empty() && desk.toasts.len() == 1, "a review is about no run");
    let key = "0190c8a1-0000-7000-8000-000000000007";
    let mut course = record(&format!("{key}/course"), "Course");
    course.metadata = object(json!({"experiment_id": 7, "kind": "course"}));
    let records = vec![course];
    let answer = Answer::Records { collection: "product_reviews".to_owned(), offset: 0, records };
    desk.refresh().answer(Slot::Collections, Ok(list(1))).answer(Slot::Records, Ok(answer));
    desk.act(Action::GoRun);
    assert_eq!(desk.goals, [Goal::Run { id: 7, key: Some(key.to_owned()) }]);
}

#[test]
fn another_tab_leads_to_the_records_of_a_run() {
    let mut desk = Desk::new(Collections::default(), 80, 21);
    let goal = |collection: &str| Goal::Records {
        collection: collection.to_owned(),
        question: r#"where {"experiment_id": 7}"#.to_owned(),
    };
    desk.refresh().with(|tab, cx| tab.reach(&goal("product_reviews"), cx));
    desk.answer(Slot::Collections, Ok(list(2)));
    assert_eq!(desk.tab.records.collection.as_deref(), Some("product_reviews"));
    let read = desk.reads().into_iter().rfind(|read| matches!(read, Read::Records { .. }));
    assert!(
        matches!(&read, Some(Read::Records { page, .. }) if page.filter.r#where == Some(object(json!({"experiment_id": 7})))),
        "{read:?}"
    );
    desk.with(|tab, cx| tab.reach(&goal("nowhere"), cx));
    assert_eq!(desk.toasts.pop().map(|toast| toast.text).as_deref(), Some("there is no collection nowhere"));
}

#[test]
fn the_selected_one_is_followed_to_its_new_name() {
    let mut desk = desk(80, 21);
    let renamed = vec![
        collection("all_reviews", 2),
        collection("xgboost_sentiment_analysis_v3", 5),
        collection("empty-one", 0),
    ];
    desk.refresh().answer(Slot::Collections, Ok(Answer::Collections(renamed)));
    assert_eq!(desk.tab.selected().map(|selected| selected.name.as_str()), Some("all_reviews"));
    assert_eq!(desk.tab.records.collection.as_deref(), Some("all_reviews"));
}

#[test]
fn changes_ask_the_same_question_again() {
    let mut desk = desk(80, 21);
    desk.act(Action::Filter).submit("sound").answer(Slot::Records, Ok(hits()));
    desk.requests();
    desk.refresh().answer(Slot::Collections, Ok(list(3)));
    let text = Likeness::Text("sound".to_owned());
    assert_eq!(desk.reads(), [Read::Collections, question(text, Value::Null, 5)]);
    assert!(desk.screen().contains("review_2"), "what was found stays in view");
}

/// Types into the fields of the topmost form and sends it.
fn fill(desk: &mut Desk<Collections>, texts: &[&str]) {
    let mut popup = desk.popups.pop().expect("no form was opened");
    desk.with(|_, cx| {
        for text in texts {
            for character in text.chars() {
                popup.key(KeyEvent::from(KeyCode::Char(character)), cx);
            }
            popup.key(KeyEvent::from(KeyCode::Tab), cx);
        }
        popup.key(KeyEvent::from(KeyCode::Enter), cx);
    });
}

#[test]
fn clicks_and_wheel_reach_their_panes() {
    let mut desk = desk(160, 42);
    desk.click(5, 2);
    assert_eq!(desk.tab.records.collection.as_deref(), Some("empty-one"));
    desk.click(5, 3).answer(Slot::Records, Ok(reviews()));
    desk.click(60, 5);
    assert_eq!((desk.tab.focus, desk.tab.records.cursor().selected), (Focus::Records, 1));
    desk.click(60, 30);
    assert_eq!(desk.tab.focus, Focus::Detail);
    desk.mouse(MouseEventKind::ScrollDown, 60, 5);
    desk.click(60, 1);
    assert!(desk.tab.is_typing());
}

#[test]
fn the_document_is_copied() {
    let mut desk = desk(80, 21);
    desk.act(Action::Open).act(Action::Copy);
    let Some(Effect::Copy(text)) = desk.effects.pop() else { panic!("nothing was copied") };
    assert!(text.starts_with("These headphones"));
    desk.act(Action::CopyLine);
    let Some(Effect::Copy(line)) = desk.effects.pop() else { panic!("nothing was copied") };
    assert!(
        line.starts_with("review_1\tThese headphones") && line.ends_with("\"category\":\"audio\"}"),
        "{line}"
    );
}

#[test]
fn the_keys_of_the_whole_screen_lead_here() {
    let mut stage = Stage::new(160, 45, Data::default());
    stage.silent = true;
    stage.press("3");
    answer(&mut stage, Slot::Collections, list(2));
    stage.press("j");
    answer(&mut stage, Slot::Records, reviews());
    stage.press("<enter>j");
    insta::assert_snapshot!("whole_screen", body(&stage.screen()));
    stage.press("d");
    insta::assert_snapshot!("whole_screen_delete", body(&stage.screen()));
    stage.press("1<enter>");
    let ids = vec!["review_2".to_owned()];
    let write = Write::RemoveRecords { collection: "product_reviews".to_owned(), ids };
    assert_eq!(*stage.last_command(), Command::Write(write));
    stage.press("nnew_one<tab><tab>{oops<enter>");
    insta::assert_snapshot!("whole_screen_form", body(&stage.screen()));
}

fn health(backend: &'static str, place: &str) -> Event {
    let at = jiff::Timestamp::from_second(1_750_000_000).unwrap();
    let (place, version, latency) = (place.to_owned(), "1".to_owned(), Duration::ZERO);
    let state = BackendState::Up { since: at, place, version, latency };
    Event::Health(vec![RoleHealth { role: "collections", backend, state }])
}

fn databases(tenant: &str, names: &[&str]) -> Answer {
    let known = names.iter().map(|name| KnownDatabase {
        database: Database::new(tenant, *name),
        collections: Some(name.len() as u64),
    });
    let home = Database::new("default_tenant", "default_database");
    Answer::Databases { home, tenant: tenant.to_owned(), databases: known.collect() }
}

/// Keys to the popup that is open.
fn press(desk: &mut Desk<Collections>, keys: &str) -> Stay {
    let mut popup = desk.popups.pop().unwrap();
    let mut stay = Stay::Open;
    desk.with(|_, cx| {
        for key in crate::tui::keys::parse(keys).unwrap() {
            stay = popup.key(key, cx);
        }
    });
    if stay == Stay::Open {
        desk.popups.insert(0, popup);
    }
    stay
}

fn popup(desk: &Desk<Collections>) -> String {
    popup_text(desk.popups.last().unwrap().as_ref(), 100, 30)
}

fn tell(desk: &mut Desk<Collections>, event: &Event) {
    let mut popup = desk.popups.pop().unwrap();
    desk.with(|_, cx| {
        popup.hear(event, cx);
    });
    desk.popups.push(popup);
}

/// Answers the newest request into the popup that is open.
fn tell_databases(desk: &mut Desk<Collections>, result: Result<Answer, Failure>) -> Read {
    let Request { ticket, command } = desk.requests().pop().unwrap();
    let Command::Read(slot, read) = command else { panic!("{command:?}") };
    tell(desk, &Event::Answer { ticket, slot, result });
    read
}

#[test]
fn another_database_is_looked_into() {
    let mut desk = desk(100, 30);
    desk.hear(&health("Chroma", "http://localhost:8000 default_tenant/default_database"));
    desk.act(Action::Databases);
    let read =
        tell_databases(&mut desk, Ok(databases("default_tenant", &["default_database", "team_a", "team_b"])));
    assert_eq!(read, Read::Databases { tenant: None });
    insta::assert_snapshot!("databases", popup(&desk));
    assert_eq!(press(&mut desk, "am_b<enter>"), Stay::Close);
    let there = Database::new("default_tenant", "team_b");
    assert_eq!(desk.goals, [Goal::Database(there.clone())]);

    desk.with(|tab, cx| tab.reach(&Goal::Database(there.clone()), cx));
    assert_eq!(desk.tab.collections(), [], "nothing is kept of the one before");
    desk.answer(Slot::Collections, Ok(list(2)));
    assert!(desk.screen().contains("default_tenant/team_b"), "{}", desk.screen());
    let at = |read: Read| read.at(Some(&there));
    let records = Read::Records {
        collection: "empty-one".to_owned(),
        page: RecordPage { limit: 100, ..RecordPage::default() },
    };
    assert_eq!(desk.reads(), [at(Read::Collections), at(records)]);
    desk.act(Action::Delete);
    let removal = Write::RemoveCollection("empty-one".to_owned()).at(Some(&there));
    confirm(&mut desk, "empty-one", &removal);
    desk.act(Action::Rename);
    desk.requests();
    press(&mut desk, "x<enter>");
    let edit = CollectionEdit { name: Some("empty-onex".to_owned()), metadata: None };
    let renaming = Write::Collection(CollectionChange::Edit { name: "empty-one".to_owned(), edit });
    assert_eq!(desk.requests()[0].command, Command::Write(renaming.at(Some(&there))));

    let home = Database::new("default_tenant", "default_database");
    desk.with(|tab, cx| tab.reach(&Goal::Database(home), cx));
    assert_eq!(desk.reads(), [Read::Collections], "back in the database of the settings");
}

#[test]
fn what_the_server_does_not_tell_is_typed() {
    let mut desk = desk(100, 30);
    desk.hear(&health("Chroma", "http://localhost:8000 default_tenant/default_database"));
    desk.act(Action::Databases);
    tell_databases(&mut desk, Err(down()));
    assert_eq!(press(&mut desk, "mine<enter>"), Stay::Open, "whose?");
    assert!(popup(&desk).contains("type tenant/database"), "{}", popup(&desk));
    assert_eq!(press(&mut desk, "<ctrl+u>lab2/<enter>"), Stay::Open);
    let read = tell_databases(&mut desk, Ok(databases("lab2", &["exp"])));
    assert_eq!(read, Read::Databases { tenant: Some("lab2".to_owned()) });
    assert!(popup(&desk).contains("Databases of lab2"), "{}", popup(&desk));
    assert_eq!(press(&mut desk, "new<enter>"), Stay::Open, "it is known not to be there");
    assert!(popup(&desk).contains("lab2 has no database new: ctrl+n creates it"), "{}", popup(&desk));
    press(&mut desk, "<ctrl+n>");
    let made = Write::Database(DatabaseChange::Create(Database::new("lab2", "new")));
    assert_eq!(desk.requests()[0].command, Command::Write(made));
    tell(&mut desk, &Event::Changed);
    tell_databases(&mut desk, Ok(databases("lab2", &["exp", "new"])));
    assert_eq!(press(&mut desk, "<enter>"), Stay::Close);
    assert_eq!(desk.goals, [Goal::Database(Database::new("lab2", "new"))]);
}

#[test]
fn the_embedded_store_is_one_database() {
    let mut desk = desk(100, 30);
    desk.hear(&health("DuckDB", "lab.duckdb")).act(Action::Databases);
    assert!(desk.popups.is_empty() && desk.requests().is_empty());
    assert_eq!(desk.toasts[0].text, SINGLE);
}

fn answer(stage: &mut Stage, slot: Slot, answer: Answer) {
    let ticket = stage.sent.last().unwrap().ticket;
    stage.hear(Event::Answer { ticket, slot, result: Ok(answer) });
}

fn by_chance(read: &Read, number: u16) -> Result<Answer, Failure> {
    match (read, number % 4) {
        (_, 0) => Err(down()),
        (Read::Collections, 1) => Ok(Answer::Collections(Vec::new())),
        (Read::Collections, _) => Ok(list(u64::from(number) * 7)),
        (Read::CountRecords { most, .. }, _) => Ok(Answer::RecordCount(u64::from(number).min(*most))),
        (Read::QueryCollection(_), _) => {
            let hits = vec![RecordHit { record: record("review_1", "amazing sound"), distance: 0.4321 }];
            Ok(Answer::RecordHits { collection: "product_reviews".to_owned(), hits, took: Duration::ZERO })
        }
        (Read::Records { page: asked, .. }, 1) => Ok(page(asked.offset, usize::from(number) % 100)),
        (Read::Records { page: asked, .. }, _) => Ok(page(asked.offset, asked.limit)),
        (read, _) => panic!("{read:?} was not expected"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_happens_is_a_panic(steps in prop::collection::vec((0u8..6, 0u16..400, 0u16..400), 0..60)) {
        tumble(Collections::default(), &steps, by_chance);
    }
}
