//! The activity tab.

use jiff::SignedDuration;

use crate::domain::outbox::OutboxState;
use crate::domain::worker::{Doing, Kind, State, Worker};
use crate::tui::context::Effect;
use crate::tui::testing::data::{Data, at};
use crate::tui::testing::{Stage, down, health};
use crate::worker::protocol::{
    Answer, Cancel, Command, Event, JobState, JobUpdate, LogLevel, LogLine, Slot, Ticket,
};

fn job(ticket: u64, state: JobState, done: u64) -> Event {
    let what = format!("batch sentiment v{ticket}");
    Event::Job(JobUpdate { ticket: Ticket(ticket), what, state, done, total: 12, failed: ticket % 2 })
}

fn busy(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height, Data::with_runs(3));
    stage.hear(job(901, JobState::Running, 0)).hear(job(902, JobState::Running, 0));
    stage.wait(42);
    stage.hear(job(901, JobState::Completed, 12)).hear(job(902, JobState::Running, 7));
    let mut roles = health(["experiments", "documents", "collections", "analytics"]);
    roles[2] = down("collections", "Chroma", stage.now, 42);
    stage.hear(Event::Health(roles));
    for (second, level, text) in [
        (1, LogLevel::Info, "opened data/labtop.duckdb"),
        (2, LogLevel::Warn, "collections: \u{1b}[31mconnection refused\u{1b}[0m\nsecond line"),
        (3, LogLevel::Error, "collections are down"),
    ] {
        let at = at(0) + SignedDuration::from_secs(second);
        stage.hear(Event::Log(LogLine { at, level, source: "store".to_owned(), text: text.to_owned() }));
    }
    stage.press("5");
    stage
}

#[test]
fn jobs_health_and_log_are_on_one_screen() {
    insta::assert_snapshot!("activity_80", busy(80, 24).screen());
    insta::assert_snapshot!("activity_160", busy(160, 45).screen());
}

fn worker(pid: u32, state: State, running: Vec<Doing>) -> Worker {
    let session = pid == 4;
    Worker {
        name: format!("lab\u{1b}[31m-{pid}:{pid}:9f3a01"),
        kind: if session { Kind::Session } else { Kind::Worker },
        state,
        host: Some("lab".to_owned()),
        pid: Some(pid),
        version: (!session).then(|| "0.1.0".to_owned()),
        labels: if pid == 1 { vec!["gpu".to_owned(), "zone:eu".to_owned()] } else { Vec::new() },
        runners: vec!["simulate".to_owned()],
        parallel: (!session).then_some(2),
        started_at: Some(at(0)),
        heartbeat_at: Some(at(5)),
        running,
    }
}

fn doing(experiment: i64) -> Doing {
    let (model, dataset) = ("XGBoost".to_owned(), "sentiment_v3".to_owned());
    Doing { experiment, attempt: 1, model, dataset, batch: Some(1), started_at: Some(at(1)) }
}

fn shared(width: u16, height: u16) -> Stage {
    let mut stage = busy(width, height);
    stage.data.workers = vec![
        worker(1, State::Alive, vec![doing(41), doing(42)]),
        worker(2, State::Alive, Vec::new()),
        worker(3, State::Lost, Vec::new()),
        worker(4, State::Alive, vec![doing(43)]),
    ];
    stage.hear(Event::Changed);
    stage
}

#[test]
fn workers_and_what_each_is_doing_are_shown() {
    insta::assert_snapshot!("workers_160", shared(160, 45).screen());
}

#[test]
fn workers_are_shown_where_there_is_little_room() {
    insta::assert_snapshot!("workers_80", shared(80, 24).screen());
}

#[test]
fn the_keys_go_to_the_workers_and_back() {
    let mut stage = shared(160, 45);
    stage.press("<tab>y");
    assert!(stage.effects.contains(&Effect::Copy(
        "lab\u{1b}[31m-1:1:9f3a01 ● 2/2 gpu zone:eu #41 XGBoost · sentiment_v3, #42 XGBoost · sentiment_v3".to_owned()
    )));
    stage.data.workers.clear();
    stage.hear(Event::Changed).press("x");
    assert!(
        stage.commands().contains(&&Command::Cancel(Cancel::Job(Ticket(902)))),
        "the keys are with the jobs again"
    );
}

#[test]
fn many_changes_are_read_one_after_the_other() {
    let reads = |stage: &Stage| {
        stage.commands().iter().filter(|command| matches!(command, Command::Read(Slot::Workers, _))).count()
    };
    let mut stage = busy(80, 24);
    stage.silent = true;
    let before = reads(&stage);
    stage.hear(Event::Changed).hear(Event::Changed).hear(Event::Changed);
    assert_eq!(reads(&stage), before + 1, "none is broken off for the next");
    let ticket = stage.sent.last().unwrap().ticket;
    let answer = || Event::Answer { ticket, slot: Slot::Workers, result: Ok(Answer::Workers(Vec::new())) };
    stage.hear(answer());
    assert_eq!(reads(&stage), before + 2, "what changed meanwhile");
    stage.hear(answer());
    assert_eq!(reads(&stage), before + 2);
    stage.press("1");
    let hidden = reads(&stage);
    stage.hear(Event::Experiment(Box::new(crate::tui::testing::data::running(1))));
    assert_eq!(reads(&stage), hidden, "nobody looks");
}

#[test]
fn before_anything_happened_it_says_so() {
    insta::assert_snapshot!(Stage::new(80, 24, Data::default()).press("5").screen());
}

#[test]
fn the_selected_job_is_cancelled() {
    let mut stage = busy(80, 24);
    stage.press("x");
    assert!(stage.commands().contains(&&Command::Cancel(Cancel::Job(Ticket(902)))));
    stage.press("jx");
    assert!(stage.screen().contains("nothing to cancel here"));
}

#[test]
fn the_log_follows_its_end_until_it_is_scrolled() {
    let mut stage = Stage::new(80, 24, Data::default());
    let line = |number: i64| LogLine {
        at: at(number),
        level: LogLevel::Info,
        source: "test".to_owned(),
        text: format!("line {number}"),
    };
    for number in 0..100 {
        stage.hear(Event::Log(line(number)));
    }
    stage.press("5");
    assert!(stage.screen().contains("line 99"));
    stage.press("<tab><tab>k").hear(Event::Log(line(100)));
    assert!(!stage.screen().contains("line 100"), "{}", stage.screen());
    stage.press("G").hear(Event::Log(line(101)));
    assert!(stage.screen().contains("line 101"));
}

#[test]
fn what_waits_in_the_outbox_is_told() {
    let mut stage = busy(160, 45);
    assert!(!stage.screen().contains("outbox"));
    let oldest = Some(stage.now - SignedDuration::from_secs(200));
    let last_error = Some("connection refused".to_owned());
    stage.hear(Event::Outbox(OutboxState { waiting: 12, refused: 1, oldest, last_error }));
    let screen = stage.screen();
    assert!(screen.contains("outbox: 12 wait, 1 refused"), "{screen}");
    assert!(screen.contains("the oldest for 3:20: connection refused"), "{screen}");
}
