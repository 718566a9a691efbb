//! A round: every collection that something waits for is delivered to, several at once.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{MutexGuard, mpsc};
use tokio::task::JoinHandle;

use super::errand::{End, Errand, LEASE, Step};
use super::{Arrival, refusal};
use crate::ops::presence::Life;
use crate::ops::{Lab, News, Watcher};
use crate::store::StoreError;

/// Collections delivered to at once: more only wait for each other at the server.
const AT_ONCE: usize = 4;
/// Steps that are told and not yet heard: a slow listener slows deliveries, not runs.
const STEPS: usize = 256;
/// Between two looks for collections that something waits for, while others are delivered to.
const LOOK: Duration = Duration::from_millis(100);

/// How a round went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Deliveries that arrived.
    pub done: u64,
    /// Why the collection store could not be asked.
    pub down: Option<String>,
    /// A collection failed by itself, for a reason that may pass.
    pub stuck: bool,
    /// Collections that others deliver to.
    pub held: usize,
}

/// An errand that has begun is a task of its own: it goes on when this round is dropped, so that no claim is left behind
/// by a process that lives.
type Task = JoinHandle<(String, End)>;

/// Delivers until nothing is left that this process may deliver, or the collection store is down.
/// Of one process only one is under way, which `_turn` stands for.
pub(super) async fn go_round(
    lab: &Lab,
    watcher: &dyn Watcher,
    _turn: MutexGuard<'_, ()>,
) -> Result<Round, StoreError> {
    let mut round = Round::default();
    if lab.outbox.waiting().await? == 0 {
        return Ok(round);
    }
    let (tell, mut steps) = mpsc::channel(STEPS);
    let mut more = lab.courier.more();
    let mut tasks: FuturesUnordered<Task> = FuturesUnordered::new();
    // Collections that failed by themselves are not taken up again at once.
    let mut stuck: Vec<String> = Vec::new();
    let mut lost = None;
    let mut look = true;
    // Something was put into the outbox since.
    let mut wanted = false;
    let mut looked = Instant::now();
    loop {
        if look && round.down.is_none() && lost.is_none() && tasks.len() < AT_ONCE {
            match claim(lab, AT_ONCE - tasks.len(), &stuck, &tell, &mut round).await {
                Ok(begun) => tasks.extend(begun),
                Err(error) => lost = Some(error),
            }
            looked = Instant::now();
            wanted = false;
        }
        look = false;
        if tasks.is_empty() {
            break;
        }
        let room = round.down.is_none() && lost.is_none() && tasks.len() < AT_ONCE;
        tokio::select! {
            biased;
            Some(step) = steps.recv() => round.step(lab, watcher, step),
            Some(ended) = tasks.next() => match ended {
                Ok((_, End::Done)) => look = true,
                Ok((collection, End::Stuck)) => stuck.push(collection),
                Ok((_, End::Down(error))) => round.down = Some(error.message),
                Ok((_, End::Lost(error))) => lost = Some(error),
                // The next round takes it up again.
                Err(broken) => tracing::error!("a delivery broke off: {broken}"),
            },
            // An error would say that the courier is gone, and it is ours.
            _ = more.changed(), if !wanted => wanted = true,
            () = tokio::time::sleep(LOOK.saturating_sub(looked.elapsed())), if wanted && room => {
                look = true;
            }
        }
    }
    while let Ok(step) = steps.try_recv() {
        round.step(lab, watcher, step);
    }
    round.stuck = !stuck.is_empty();
    if let Some(why) = &round.down {
        lab.courier.tell_all(why);
    }
    lost.map_or(Ok(round), Err)
}

/// Claims collections and begins to deliver to them, but not to those that are `stuck`.
async fn claim(
    lab: &Lab,
    most: usize,
    stuck: &[String],
    tell: &mpsc::Sender<Step>,
    round: &mut Round,
) -> Result<Vec<Task>, StoreError> {
    let own = &lab.place_of_work().worker;
    let holder = lab.courier.holder(own);
    // What an earlier round began may be under way still.
    let under_way = lab.courier.under_way();
    let except = [stuck, &under_way].concat();
    let mut claims = lab.outbox.claim(&holder, LEASE, most, &except).await?;
    let mut freed = false;
    for (collection, other) in &claims.held {
        let worker = other.split('#').next().unwrap_or_default();
        // One of this process that nobody works under: its answer was lost, or it could not be given back.
        let forgotten = worker == own && !under_way.contains(collection);
        if forgotten || lab.presence.life(worker) == Life::Dead {
            lab.outbox.release(collection, other).await?;
            freed = true;
        }
    }
    if freed && claims.taken.len() < most {
        let except = [except, claims.taken.clone()].concat();
        let again = lab.outbox.claim(&holder, LEASE, most - claims.taken.len(), &except).await?;
        claims.taken.extend(again.taken);
        claims.held = again.held;
    }
    round.held = claims.held.len();
    let begin = |collection: String| {
        let errand = Errand {
            outbox: lab.outbox.clone(),
            collections: lab.collections.clone(),
            model: lab.embedder.model_name().to_owned(),
            collection: collection.clone(),
            holder: holder.clone(),
            tell: tell.clone(),
        };
        let under_way = lab.courier.sets_out(&collection);
        tokio::spawn(async move {
            let end = errand.run().await;
            drop(under_way);
            (errand.collection, end)
        })
    };
    Ok(claims.taken.into_iter().map(begin).collect())
}

impl Round {
    fn step(&mut self, lab: &Lab, watcher: &dyn Watcher, step: Step) {
        let Step { experiment, collection, count, refused } = step;
        let arrival = match refused {
            None => {
                self.done += 1;
                Arrival::Stored
            }
            Some(error) => Arrival::Refused(error),
        };
        let text = match (&arrival, experiment) {
            (Arrival::Refused(error), Some(id)) => {
                Some(refusal(&format!("The documents of experiment {id}"), error))
            }
            (Arrival::Refused(error), None) => {
                Some(refusal(&format!("{count} records for {collection}"), error))
            }
            _ => None,
        };
        // Who waits for it says so itself, in its place.
        if let Some(id) = experiment
            && lab.courier.tell(id, arrival)
        {
            return;
        }
        match (text, experiment) {
            (Some(text), id) => watcher.saw(News::Warning { id, text }),
            (None, Some(id)) => watcher.saw(News::Documents { id, collection, count }),
            (None, None) => {}
        }
    }
}
