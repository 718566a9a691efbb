//! Jumps from and to runs.

use crate::domain::experiment::Experiment;
use crate::domain::window::{Key, Window};
use crate::tui::action::Action;
use crate::tui::tabs::Tab;
use crate::tui::tabs::testing::Desk;
use crate::tui::testing::Stage;
use crate::tui::testing::data::{Data, run};
use crate::worker::protocol::{Answer, ExperimentRows, ExperimentsRead, Read, Slot};

use super::*;

fn rows(runs: &[Experiment]) -> Answer {
    let keys = runs.iter().map(|run| Key::of_id(run.id)).collect();
    Answer::Experiments(ExperimentRows { rows: runs.to_vec(), keys, position: 0, total: runs.len() as u64 })
}

fn desk() -> Desk<Experiments> {
    let mut desk = Desk::new(Experiments::default(), 80, 21);
    desk.refresh().answer(Slot::Experiments, Ok(rows(&[run(9), run(8)])));
    desk
}

fn sought(desk: &mut Desk<Experiments>, id: ExperimentId, key: Option<&str>) {
    desk.requests();
    let goal = Goal::Run { id, key: key.map(str::to_owned) };
    desk.refresh().with(|tab, cx| tab.reach(&goal, cx));
}

fn asked(desk: &mut Desk<Experiments>) -> ExperimentsRead {
    let mut reads = desk.reads().into_iter().filter_map(|read| match read {
        Read::Experiments(read) => Some(read),
        _ => None,
    });
    reads.next_back().expect("no rows were asked for")
}

fn told(desk: &mut Desk<Experiments>) -> Option<String> {
    desk.toasts.pop().map(|toast| toast.text)
}

#[test]
fn a_run_that_is_far_is_looked_for_without_the_filter() {
    let mut desk = desk();
    desk.act(Action::Filter).submit("model = 'x'").answer(Slot::Experiments, Ok(rows(&[run(9)])));
    sought(&mut desk, 2, Some(&run(2).key.to_string()));
    desk.answer(Slot::Experiments, Ok(rows(&[run(4), run(2), run(1)])));
    let read = asked(&mut desk);
    assert_eq!((read.filter.as_str(), read.with_archived), ("", false));
    assert_eq!(read.window, Window::Around(Key::of_id(2)));
    assert_eq!(desk.tab.list.selected().map(|run| run.id), Some(2));
    assert!(desk.tab.full && desk.tab.detail.id() == Some(2));
    assert_eq!(told(&mut desk).as_deref(), Some("filter and order made way for experiment 2"));
}

#[test]
fn a_run_in_view_is_found_where_it_stands() {
    let mut desk = desk();
    sought(&mut desk, 8, None);
    desk.answer(Slot::Experiments, Ok(rows(&[run(9), run(8)])));
    assert_eq!(asked(&mut desk).window, Window::Around(Key::of_id(8)));
    assert!(desk.tab.full && desk.tab.detail.id() == Some(8));
    assert_eq!(told(&mut desk), None);
}

#[test]
fn a_run_that_is_gone_is_told_and_the_list_is_as_it_was() {
    let mut desk = desk();
    sought(&mut desk, 5, None);
    desk.answer(Slot::Experiments, Ok(rows(&[run(9), run(8)])));
    assert!(asked(&mut desk).with_archived, "it may lie in the archive");
    desk.with(|tab, cx| tab.list.seek(cx, 10, 5));
    desk.answer(Slot::Experiments, Ok(rows(&[run(9), run(8)])));
    assert_eq!(told(&mut desk).as_deref(), Some("experiment 5 is gone"));
    assert!(!asked(&mut desk).with_archived && !desk.tab.full);
}

#[test]
fn the_same_number_in_another_store_is_another_run() {
    let mut desk = desk();
    sought(&mut desk, 8, Some("0190c8a1-0000-7000-8000-000000000007"));
    desk.answer(Slot::Experiments, Ok(rows(&[run(9), run(8)])));
    assert!(told(&mut desk).is_some_and(|told| told.contains("is another run")) && !desk.tab.full);
}

#[test]
fn a_run_leads_to_its_documents_and_to_runs_like_it() {
    let mut desk = desk();
    let collection = collection_name(&run(9).model_type, &run(9).dataset);
    desk.act(Action::GoRecords).act(Action::SimilarRuns);
    let like = format!(
        r#"like:{}/course where {{"$and": [{{"experiment_id": {{"$ne": 9}}}}, {{"kind": "course"}}]}}"#,
        run(9).key
    );
    let goal = |question: String| Goal::Records { collection: collection.clone(), question };
    assert_eq!(desk.goals, [goal(r#"where {"experiment_id": 9}"#.to_owned()), goal(like)]);
    // 7 has failed.
    desk.refresh().answer(Slot::Experiments, Ok(rows(&[run(7)])));
    desk.act(Action::GoRecords);
    assert_eq!((desk.goals.len(), told(&mut desk).is_some()), (2, true));
}

#[test]
fn the_key_leads_to_the_other_tab() {
    let mut stage = Stage::new(80, 24, Data::with_runs(9));
    stage.press("o");
    let name = collection_name(&run(9).model_type, &run(9).dataset);
    let shown = stage.screen();
    assert!(
        shown.contains("No collections yet") && shown.contains(&format!("no collection {name}")),
        "{shown}"
    );
}
