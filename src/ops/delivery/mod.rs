//! Delivery: what waits in the outbox goes to its collection.
//!
//! Documents of a run go into the outbox with the run's end, in one transaction, and from there to the collection store in
//! upserts as large as what has gathered meanwhile: a slow or absent collection store holds up no run. Collections that
//! live in the DuckDB file are written to directly; the outbox takes what a file that is held by others, or a collection that
//! refuses it, does not.

mod courier;
mod errand;
mod round;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(super) use self::courier::{Courier, Expected};
use self::round::{Round, go_round};
use super::collection::outdated;
use super::gather::Gather;
use super::news::Nobody;
use super::{Lab, News, Result, Stop, Watcher};
use crate::config::CollectionBackend;
use crate::domain::collection::{NewCollection, Record, Space};
use crate::domain::document::Metadata;
use crate::domain::experiment::ExperimentId;
use crate::domain::outbox::{OutboxState, Parcel};
use crate::embed::Embedder;
use crate::store::collections::CollectionStore;
use crate::store::outbox::NewDelivery;
use crate::store::{Backend, ErrorKind, StoreError};

/// How long a run by itself waits for its documents to arrive, before it goes on to its end.
const MOMENT: Duration = Duration::from_secs(2);
/// Pauses between tries while the collection store is down: doubled up to the longest.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);
/// Until collections are looked at again that another process delivers to, or that failed by themselves.
const LATER: Duration = Duration::from_secs(5);
/// What a collection of run documents says about itself.
const DESCRIPTION: &str = "documents of experiments";

/// How a delivery went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub done: u64,
    /// Still waiting.
    pub left: u64,
    /// Refused for good: they hold up no other, and stay until somebody drops them or has them tried again.
    pub refused: u64,
}

/// Delivers what waits, in order for each collection. A collection store that is still down is no error: what is left
/// says so. So it is with collections that another process delivers to at the moment.
pub async fn deliver(lab: &Lab) -> Result<Delivered> {
    let turn = lab.courier.driving.try_lock().ok().filter(|_| !lab.settings.read_only);
    let done = match turn {
        Some(turn) => go_round(lab, &Nobody, turn).await?.done,
        // Somebody of this process is at it.
        None => {
            lab.courier.nudge();
            0
        }
    };
    let state = lab.outbox.state().await?;
    Ok(Delivered { done, left: state.waiting, refused: state.refused })
}

/// How much waits, and why.
pub async fn state(lab: &Lab) -> Result<OutboxState> {
    Ok(lab.outbox.state().await?)
}

/// What is in the outbox, the oldest first.
pub async fn list(lab: &Lab, limit: u64) -> Result<Vec<Parcel>> {
    Ok(lab.outbox.list(limit).await?)
}

/// Lets refused deliveries wait again, all of them when none is named, and delivers; says how many there were.
pub async fn retry(lab: &Lab, ids: &[i64]) -> Result<(u64, Delivered)> {
    let count = lab.outbox.retry(ids).await?;
    Ok((count, deliver(lab).await?))
}

/// Drops deliveries for good; says how many there were.
pub async fn remove(lab: &Lab, ids: &[i64]) -> Result<u64> {
    Ok(lab.outbox.remove(ids).await?)
}

/// Delivers for as long as the program runs: at once what this process leaves in the outbox, and what others left as soon
/// as somebody says that they may have. While nothing waits, no store is asked.
pub async fn keep_delivering(lab: &Lab, watcher: &dyn Watcher) {
    if lab.settings.read_only {
        return std::future::pending().await;
    }
    drive(lab, watcher, &CancellationToken::new()).await;
}

/// Somebody else may have left something in the outbox, or the collection store is up again.
pub fn look_again(lab: &Lab) {
    lab.courier.nudge();
}

/// Moves whenever there may be more or less in the outbox.
pub fn changes(lab: &Lab) -> watch::Receiver<u64> {
    lab.courier.more()
}

/// Does work that leaves deliveries in the outbox, delivers beside it, and at its end what is left: unless the collection
/// store is down, or the work was told to stop.
pub(super) async fn beside<T>(
    lab: &Lab,
    watcher: &dyn Watcher,
    stop: &Stop,
    work: impl Future<Output = T>,
) -> T {
    let over = CancellationToken::new();
    let working = async {
        let done = work.await;
        over.cancel();
        done
    };
    let delivering = async {
        tokio::select! {
            () = drive(lab, watcher, &over) => {}
            // What is under way is carried out by tasks of its own.
            () = async { stop.stopped().await; over.cancelled().await } => {}
        }
    };
    let (done, ()) = tokio::join!(working, delivering);
    done
}

/// Rounds of deliveries until one that began after `over`.
async fn drive(lab: &Lab, watcher: &dyn Watcher, over: &CancellationToken) {
    let mut more = lab.courier.more();
    let mut weather = Weather::default();
    loop {
        let last = over.is_cancelled();
        more.borrow_and_update();
        let turn = lab.courier.driving.lock().await;
        let round = go_round(lab, watcher, turn).await;
        let pause = weather.after(&round, watcher);
        lab.courier.set_down(weather.down);
        if last {
            return tell_left(lab, watcher, &round).await;
        }
        let rest = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over.cancelled() => {}
            () = rest => {}
            // New deliveries are no reason to ask a store that is down.
            _ = more.changed(), if !weather.down => {}
        }
    }
}

/// How the deliveries went lately.
#[derive(Debug, Default)]
struct Weather {
    down: bool,
    pause: Duration,
}

impl Weather {
    /// How long to wait until the next round; for ever, when there is nothing to wait for.
    fn after(&mut self, round: &Result<Round, StoreError>, watcher: &dyn Watcher) -> Option<Duration> {
        if round.as_ref().is_ok_and(|round| round.done > 0) {
            self.pause = Duration::ZERO;
        }
        let was_down = self.down;
        match round {
            Ok(Round { down: None, stuck, held, .. }) => {
                *self = Weather::default();
                return (*stuck || *held > 0).then_some(LATER);
            }
            Ok(Round { down: Some(why), .. }) => {
                self.down = true;
                if !was_down {
                    let text = format!("Documents wait in the outbox until they can be delivered. {why}");
                    watcher.saw(News::Warning { id: None, text });
                }
            }
            // Its own health says so.
            Err(error) => tracing::debug!("no deliveries: {error}"),
        }
        self.pause = (self.pause * 2).clamp(SHORTEST, LONGEST);
        Some(self.pause)
    }
}

/// Says what is left at the end of a command, so that nobody takes it for delivered.
async fn tell_left(lab: &Lab, watcher: &dyn Watcher, round: &Result<Round, StoreError>) {
    let why = match round {
        Ok(Round { down: Some(why), .. }) => why.as_str(),
        Ok(Round { held, .. }) if *held > 0 => "Another process delivers to the same collections.",
        Ok(Round { stuck: true, .. }) => "`labtop outbox ls` says why.",
        _ => return,
    };
    let Ok(state) = lab.outbox.state().await else { return };
    if state.waiting > 0 {
        let text = format!(
            "The documents of {} runs wait in the outbox: the dashboard, a worker, the next run or `labtop sync` delivers \
             them. {why}",
            state.waiting
        );
        watcher.saw(News::Warning { id: None, text });
    }
}

/// What became of records on their way to a collection.
#[derive(Debug)]
pub(super) enum Arrival {
    Stored,
    /// They wait in the outbox; why.
    Postponed(String),
    /// The collection refuses them, and would refuse them again.
    Refused(StoreError),
}

/// Whether documents go by the outbox: to collections that another server keeps.
pub(super) fn goes_by_outbox(lab: &Lab) -> bool {
    lab.settings.roles.collections == CollectionBackend::Chroma
}

/// Why something could not be delivered, and what can be done about it, in one line.
fn reason(error: &StoreError) -> String {
    match &error.remedy {
        Some(remedy) => format!("{}. {remedy}", error.message),
        None => error.message.clone(),
    }
}

/// Tells of what a collection refused, and that it is not lost.
pub(super) fn refusal(what: &str, error: &StoreError) -> String {
    format!(
        "{what} were refused, and stay in the outbox until `labtop outbox retry` or `labtop outbox rm`. {}",
        reason(error)
    )
}

/// Brings records to a collection of our own file, or into the outbox while that cannot be written to or does not take
/// them. Behind others that wait already they wait as well, so that an older delivery never overwrites a newer one. Says why
/// they wait, if they do.
pub(super) async fn send(lab: &Lab, delivery: NewDelivery) -> Result<Option<String>, StoreError> {
    // Where the outbox itself cannot be asked, the direct way may still be open.
    let why = if matches!(lab.courier.is_empty(&*lab.outbox).await, Ok(true) | Err(_)) {
        let Err(error) = lab.records.put(delivery.clone()).await else {
            return Ok(None);
        };
        reason(&error)
    } else {
        "others wait before them".to_owned()
    };
    lab.courier.forget_empty();
    lab.outbox.put(&delivery).await?;
    lab.courier.nudge();
    Ok(Some(why))
}

/// Announces that the documents of a run are about to be put into the outbox, and that somebody will wait for them.
pub(super) fn expect(lab: &Lab, id: ExperimentId) -> Expected {
    lab.courier.expect(id)
}

/// Waits a moment for the documents of a run. Those that are still on their way then are told of by whoever delivers them.
pub(super) async fn arrival(lab: &Lab, id: ExperimentId, expected: Expected) -> Arrival {
    match timeout(MOMENT, expected.wait()).await {
        Ok(Some(arrival)) => arrival,
        Ok(None) => Arrival::Postponed("the collection store is down".to_owned()),
        Err(_) => {
            lab.courier.expect_no_more(id);
            Arrival::Postponed("they are still on their way".to_owned())
        }
    }
}

/// Where runs that end side by side hand over their documents: those of one collection are written together.
pub(super) fn gather_records(
    collections: Arc<dyn CollectionStore>,
    embedder: Arc<dyn Embedder>,
) -> Gather<NewDelivery, ()> {
    Gather::new(Box::new(move |deliveries: Vec<NewDelivery>| {
        let (collections, embedder) = (collections.clone(), embedder.clone());
        async move {
            let mut parts: Vec<NewDelivery> = Vec::new();
            for delivery in &deliveries {
                match parts.iter_mut().find(|part| part.collection == delivery.collection) {
                    Some(part) => part.records.extend_from_slice(&delivery.records),
                    None => parts.push(delivery.clone()),
                }
            }
            for NewDelivery { collection, records, .. } in &parts {
                put_records(&*collections, embedder.model_name(), collection, DESCRIPTION, records).await?;
            }
            Ok(deliveries.iter().map(|_| Ok(())).collect())
        }
        .boxed()
    }))
}

/// Puts records into a collection and makes the collection where it is missing. `Conflict` when it holds vectors of a built-in
/// table that is no longer.
pub(super) async fn put_records(
    collections: &dyn CollectionStore,
    model: &str,
    collection: &str,
    description: &str,
    records: &[Record],
) -> Result<(), StoreError> {
    match collections.get(collection).await {
        Ok(there) => {
            if let Some(theirs) = outdated(&there, model) {
                let backend = collections.health().await?.backend;
                return Err(of_another_table(backend, collection, theirs, model));
            }
            return collections.upsert(collection, records).await.map(drop);
        }
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut metadata = Metadata::new();
    metadata.insert("description".to_owned(), json!(description));
    metadata.insert("model".to_owned(), json!(model));
    match collections.create(&NewCollection::new(collection, &metadata, Space::Cosine)).await {
        // Somebody else was faster: it is there, and that is all we want.
        Err(error) if error.kind != ErrorKind::Conflict => return Err(error),
        _ => {}
    }
    collections.upsert(collection, records).await.map(drop)
}

fn of_another_table(backend: Backend, collection: &str, theirs: &str, ours: &str) -> StoreError {
    let message = format!(
        "the vectors in '{collection}' were made by {theirs}, the table of an earlier labtop; those of {ours} cannot lie beside them"
    );
    let remedy = format!(
        "Give it another name (labtop collections rename {collection} OTHER) or delete it: a new one is made for what comes next."
    );
    StoreError::new(ErrorKind::Conflict, backend, "adding records", message).remedy(remedy)
}
