//! The app, the worker and the stores in this process, drawn on a screen of cells: fast.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use labtop::config::{self, Flags, Places, Settings};
use labtop::ops::news::Nobody;
use labtop::ops::{Lab, demo};
use labtop::store::experiments::ExperimentQuery;
use labtop::tui::context::Effect;
use labtop::tui::keymap::Keymap;
use labtop::tui::theme::Theme;
use labtop::tui::{App, Message, Options};
use labtop::worker::protocol::{Event, JobState, Ticket};
use labtop::worker::{self, Worker};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use tokio::sync::mpsc::error::TrySendError;

use super::happening::{Happening, Happenings};
use super::{HANG, Memory, Trail, extent};
use crate::support::servers;

/// Jobs that may run at the same time.
const JOBS: usize = 4;

/// Happenings between two looks at what the worker said, at most.
const STRIDE: u64 = 16;

/// Of so many frames one is drawn, since drawing is most of the work.
const DRAWN: u32 = 6;

struct Soak {
    app: App,
    worker: Worker,
    screen: Terminal<TestBackend>,
    running: HashSet<Ticket>,
    slowest: Duration,
    frames: u64,
}

impl Soak {
    fn tell(&mut self, message: Message) {
        let begun = Instant::now();
        let mut waiting = self.app.update(Timestamp::now(), message);
        self.slowest = self.slowest.max(begun.elapsed());
        while !waiting.is_empty() {
            for effect in std::mem::take(&mut waiting) {
                // The others are for the terminal.
                let Effect::Send(request) = effect else { continue };
                match self.worker.requests.try_send(*request) {
                    Ok(()) => {}
                    Err(TrySendError::Full(request)) => {
                        let refused = Message::Refused(Box::new(request));
                        waiting.extend(self.app.update(Timestamp::now(), refused));
                    }
                    Err(TrySendError::Closed(_)) => panic!("the worker has ended"),
                }
            }
        }
    }

    fn hear(&mut self, event: Event) {
        if let Event::Job(job) = &event {
            match job.state {
                JobState::Waiting | JobState::Running => self.running.insert(job.ticket),
                _ => self.running.remove(&job.ticket),
            };
        }
        self.tell(Message::Worker(Box::new(event)));
    }

    /// Takes what the worker said, and waits while it is behind.
    async fn listen(&mut self) {
        while let Ok(event) = self.worker.events.try_recv() {
            self.hear(event);
        }
        while self.running.len() > JOBS {
            self.hear_one().await;
        }
    }

    async fn settle(&mut self) {
        while !self.app.is_idle() {
            self.hear_one().await;
        }
    }

    async fn hear_one(&mut self) {
        match tokio::time::timeout(HANG, self.worker.events.recv()).await {
            Ok(Some(event)) => self.hear(event),
            Ok(None) => panic!("the worker has ended"),
            Err(_) => panic!("the worker says nothing while {:?} run", self.running),
        }
    }

    fn draw(&mut self) {
        let begun = Instant::now();
        let frame = self.screen.draw(|frame| self.app.draw(frame)).unwrap();
        let control = frame.buffer.content.iter().find(|cell| cell.symbol().chars().any(char::is_control));
        assert_eq!(control, None, "control characters never reach the terminal");
        self.slowest = self.slowest.max(begun.elapsed());
        self.frames += 1;
    }
}

async fn soak(settings: Settings, short: u64) {
    let (count, seed) = extent(short);
    let lab = Arc::new(Lab::open(settings.clone()).unwrap());
    demo::load(&lab, &Nobody).await.unwrap();
    let size = Size::new(120, 40);
    let mut soak = Soak {
        app: App::new(Options::of(&settings), Keymap::load(None), Theme::default()),
        worker: worker::start(lab.clone(), None),
        screen: Terminal::new(TestBackend::new(size.width, size.height)).unwrap(),
        running: HashSet::new(),
        slowest: Duration::ZERO,
        frames: 0,
    };
    let mut happenings = Happenings::new(ChaCha8Rng::seed_from_u64(seed), size);
    let (mut trail, mut memory) = (Trail::new(seed), Memory::of(std::process::id()));
    let begun = Instant::now();
    soak.tell(Message::Resize(size));
    soak.tell(Message::Start);
    soak.settle().await;
    while trail.count < count {
        let happening = happenings.next().unwrap_or(Happening::Tick);
        trail.note(&happening);
        if let Happening::Resize(size) = happening {
            soak.screen.backend_mut().resize(size.width, size.height);
        }
        soak.tell(happening.into());
        if happenings.random().random_ratio(1, DRAWN) {
            soak.draw();
        }
        if trail.count.is_multiple_of(STRIDE) {
            soak.listen().await;
            tokio::task::yield_now().await;
        }
        if trail.count.is_multiple_of(STRIDE * 16) {
            soak.settle().await;
            soak.draw();
        }
        if trail.count.is_multiple_of((count / 100).max(1)) {
            memory.sample();
        }
    }
    soak.settle().await;
    soak.draw();
    let (frames, slowest) = (soak.frames, soak.slowest);
    let everything = ExperimentQuery { with_archived: true, ..ExperimentQuery::default() };
    let runs = lab.experiments.list(&everything).await.unwrap().total;
    println!(
        "in process: seed {seed}, {count} happenings, {frames} frames, {runs} runs in {:.0?}, slowest step {slowest:.0?}, {}",
        begun.elapsed(),
        memory.tell()
    );
    let Soak { worker, .. } = soak;
    drop(worker.requests);
    drop(worker.events);
    tokio::time::timeout(HANG, worker.ended).await.unwrap().unwrap();
    assert!(slowest < HANG / 10, "a step took {slowest:?}");
    memory.must_be_flat(count);
}

fn settings(profile: &str, store: PathBuf) -> Settings {
    let flags = Flags { profile: Some(profile.to_owned()), store: Some(store), ..Flags::default() };
    let batches = concat!(env!("CARGO_MANIFEST_DIR"), "/config/batches").to_owned();
    let variables = [("LABTOP__BATCHES".to_owned(), batches)].into();
    config::load(&flags, &Places::default(), &variables).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_in_process() {
    let folder = tempfile::tempdir().unwrap();
    soak(settings("embedded", folder.path().join("lab.duckdb")), 4000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_in_process() {
    let (Some((postgres, _database)), Some((chroma, _collections))) =
        (servers::postgres().await, servers::chroma().await)
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { postgres, chroma, ..settings("servers", folder.path().join("lab.duckdb")) };
    soak(settings, 2000).await;
}
