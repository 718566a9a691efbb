//! The usher: interrupts a long read when another process waits for the file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use duckdb::InterruptHandle;

use super::lease::Lease;

/// How long a read goes on though somebody waits. It has twice as long each time it is done again, so that the longest
/// one comes to its end some time.
const GRACE: Duration = Duration::from_millis(200);

/// How often it looks whether somebody waits, while a read goes on.
const LOOK: Duration = Duration::from_millis(25);

/// A thread that sleeps until a read begins, and looks around while it goes on.
#[derive(Debug)]
pub struct Usher {
    post: Arc<Post>,
}

#[derive(Debug, Default)]
struct Post {
    watch: Mutex<Watch>,
    bell: Condvar,
}

#[derive(Default)]
struct Watch {
    read: Option<Read>,
    closed: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// One that goes on.
struct Read {
    handle: Arc<InterruptHandle>,
    yielded: Arc<AtomicBool>,
    until: Instant,
}

impl Usher {
    pub fn new(lease: Arc<Lease>) -> Self {
        let post = Arc::new(Post::default());
        let watched = post.clone();
        let started =
            thread::Builder::new().name("duckdb-usher".to_owned()).spawn(move || watched.keep(&lease));
        if let Err(error) = started {
            // Reads are then done to their end, and others wait for them.
            tracing::warn!("no thread could be started: {error}");
        }
        Usher { post }
    }

    /// A read begins, for the `turn`th time again.
    pub fn attend(&self, handle: Arc<InterruptHandle>, yielded: Arc<AtomicBool>, turn: u32) {
        let until = Instant::now() + GRACE.saturating_mul(1 << turn.min(16));
        self.post.lock().read = Some(Read { handle, yielded, until });
        self.post.bell.notify_one();
    }

    /// It ended.
    pub fn rest(&self) {
        self.post.lock().read = None;
    }
}

impl Drop for Usher {
    fn drop(&mut self) {
        self.post.lock().closed = true;
        self.post.bell.notify_one();
    }
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, lease: &Lease) {
        let mut watch = self.lock();
        while !watch.closed {
            let Some(read) = &watch.read else {
                watch = self.bell.wait(watch).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // The lock is held meanwhile: the read cannot end and another begin between looking and interrupting.
            if Instant::now() >= read.until && lease.is_wanted() {
                read.yielded.store(true, Ordering::Release);
                read.handle.interrupt();
                watch.read = None;
                continue;
            }
            let wait = read.until.saturating_duration_since(Instant::now()).max(LOOK);
            watch = self.bell.wait_timeout(watch, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
