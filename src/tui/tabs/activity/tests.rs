//! The activity tab.

use std::time::Duration;

use jiff::SignedDuration;

use crate::tui::testing::data::{Data, at};
use crate::tui::testing::{Stage, down, health};
use crate::worker::protocol::{
    Cancel, Command, Event, JobState, JobUpdate, LogLevel, LogLine, Ticket, Timings,
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
    let took = |base: u64| (1..=30).map(|step| Duration::from_micros(base * step * step)).collect();
    stage.hear(Event::Timings(vec![
        Timings { role: "experiments", answered: 1204, failed: 0, took: took(50) },
        Timings { role: "collections", answered: 30, failed: 3, took: took(2000) },
    ]));
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
