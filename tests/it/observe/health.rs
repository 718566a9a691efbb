//! A server that goes and comes: told at once, asked again, and what is on screen is read again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use labtop::config::{self, Flags, Places, Variables};
use labtop::ops::Lab;
use labtop::worker::protocol::{BackendState, Command, Event, Read, Request, RoleHealth, Slot, Ticket};
use labtop::worker::{self, Worker};
use tempfile::TempDir;

use crate::support::chroma::{closed_port, open};
use crate::support::labtop::Labtop;
use crate::support::terminal::Terminal;

/// A worker whose collections are at `chroma`, and everything else in a file.
fn start(chroma: SocketAddr) -> (TempDir, Worker) {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { store: Some(folder.path().join("lab.duckdb")), ..Flags::default() };
    let variables: Variables = [
        ("CHROMA_URL".to_owned(), format!("http://{chroma}")),
        ("LABTOP__ROLES__COLLECTIONS".to_owned(), "chroma".to_owned()),
    ]
    .into();
    let settings = config::load(&flags, &Places::default(), &variables).unwrap();
    (folder, worker::start(Arc::new(Lab::open(settings).unwrap()), None))
}

async fn send(worker: &Worker, ticket: u64, command: Command) {
    worker.requests.send(Request { ticket: Ticket(ticket), command }).await.unwrap();
}

/// The next event that is wanted, and when it came.
async fn next<T>(worker: &mut Worker, wanted: impl Fn(Event) -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = wanted(worker.events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("waited in vain")
}

fn collections(event: Event) -> Option<BackendState> {
    let Event::Health(roles) = event else { return None };
    let role = roles.into_iter().find(|role| role.role == "collections");
    role.map(|role| role.state).filter(|state| *state != BackendState::Unknown)
}

fn down(event: Event) -> Option<(Timestamp, Timestamp)> {
    match collections(event)? {
        BackendState::Down { since, next_try, why } => {
            assert!(why.message.contains("127.0.0.1") && why.remedy.is_some(), "{why:?}");
            Some((since, next_try))
        }
        _ => None,
    }
}

fn up(event: Event) -> Option<Vec<RoleHealth>> {
    let Event::Health(roles) = &event else { return None };
    let all = roles.clone();
    matches!(collections(event)?, BackendState::Up { .. }).then_some(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_asked_again_with_growing_pauses() {
    let (_folder, mut worker) = start(closed_port());
    let mut pauses = Vec::new();
    let mut beginnings = Vec::new();
    let mut known = Timestamp::MIN;
    for _ in 0..2 {
        // The same news may come again with those of another role.
        let is_news = |event| down(event).filter(|(_, next_try)| *next_try != known);
        let (since, next_try) = next(&mut worker, is_news).await;
        pauses.push(next_try.duration_since(Timestamp::now()).as_secs_f64().ceil());
        beginnings.push(since);
        known = next_try;
    }
    assert_eq!(pauses, [1.0, 2.0]);
    assert_eq!(beginnings[0], beginnings[1], "it is down since the first time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_told_and_what_goes_is_noticed_at_once() {
    let address = closed_port();
    let (_folder, mut worker) = start(address);
    next(&mut worker, down).await;
    let server = open(address).await;
    send(&worker, 1, Command::TryNow).await;
    let roles = next(&mut worker, up).await;
    assert!(roles.iter().all(|role| !matches!(role.state, BackendState::Down { .. })), "{roles:?}");
    next(&mut worker, |event| (event == Event::Changed).then_some(())).await;
    // While it is up nobody asks. The first who does is told, and so is everybody.
    drop(server);
    send(&worker, 2, Command::Read(Slot::Collections, Read::Collections)).await;
    next(&mut worker, down).await;
    let _server = open(address).await;
    send(&worker, 3, Command::Read(Slot::Collections, Read::Collections)).await;
    next(&mut worker, up).await;
}

#[test]
fn the_dashboard_tells_what_is_down_and_what_is_back() {
    let lab = Labtop::new();
    let address = closed_port();
    let url = format!("http://{address}");
    let environment = [("CHROMA_URL", url.as_str()), ("LABTOP__ROLES__COLLECTIONS", "chroma")];
    let mut terminal = Terminal::start(lab.folder.path(), &[], &environment, 160, 45);
    terminal.wait_for("collections ✗ Chroma down");
    terminal.press("3");
    terminal.wait_for("Error listing collections");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(open(address));
    terminal.press("5r");
    terminal.wait_for("collections: Chroma is back after");
    terminal.wait("the outage is over", |screen| !screen.contains("✗"));
    terminal.press("3");
    terminal.wait_for("No collections yet");
    drop(server);
    terminal.press("\x12");
    terminal.wait_for("collections ✗ Chroma down");
    terminal.press("q");
    assert_eq!(terminal.wait_for_end(), 0);
}
