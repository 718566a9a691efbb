//! Gathering: what arrives while a write is under way is written together, in the next one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::store::{Backend, ErrorKind, Result, StoreError};

/// Items written at once: a transaction of that many takes tens of milliseconds.
const MOST: usize = 64;

/// Writes items in one go and answers each, in their order; or fails as a whole, and then writing them again does no harm.
pub(super) type Write<I, O> = Box<dyn Fn(Vec<I>) -> BoxFuture<'static, Result<Vec<Result<O>>>> + Send + Sync>;

/// Where writers meet. With one writer nothing waits: gathering begins when a second one comes while the first writes.
pub(super) struct Gather<I, O>(Arc<Shared<I, O>>);

struct Shared<I, O> {
    write: Write<I, O>,
    queue: Mutex<Queue<I, O>>,
}

struct Queue<I, O> {
    waiting: Vec<(I, oneshot::Sender<Result<O>>)>,
    writing: bool,
}

impl<I: Clone + Send + 'static, O: Send + 'static> Gather<I, O> {
    pub(super) fn new(write: Write<I, O>) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), writing: false });
        Gather(Arc::new(Shared { write, queue }))
    }

    /// Writes an item, together with others that come meanwhile. Once handed over it is written, whether or not anybody
    /// waits for the answer.
    pub(super) async fn put(&self, item: I) -> Result<O> {
        let (tell, answer) = oneshot::channel();
        let begin = {
            let mut queue = self.0.queue();
            queue.waiting.push((item, tell));
            !std::mem::replace(&mut queue.writing, true)
        };
        if begin {
            let shared = self.0.clone();
            tokio::spawn(async move { shared.write_all().await });
        }
        answer.await.unwrap_or_else(|_| Err(broken("the one who wrote it broke off")))
    }
}

impl<I: Clone, O> Shared<I, O> {
    fn queue(&self) -> MutexGuard<'_, Queue<I, O>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing waits.
    async fn write_all(&self) {
        let _rest = Rest(self);
        while let Some(group) = self.next() {
            let (items, answers): (Vec<I>, Vec<_>) = group.into_iter().unzip();
            let written = self.write_together(items).await;
            for (tell, answer) in answers.into_iter().zip(written) {
                // The one who asked may be gone.
                let _ = tell.send(answer);
            }
        }
    }

    /// The next group; none when nothing waits, and then nobody writes any more.
    fn next(&self) -> Option<Vec<(I, oneshot::Sender<Result<O>>)>> {
        let mut queue = self.queue();
        queue.writing = !queue.waiting.is_empty();
        let count = queue.waiting.len().min(MOST);
        queue.writing.then(|| queue.waiting.drain(..count).collect())
    }

    /// One write; when it fails for more than a moment's reason, each item is tried alone, so that one that cannot be
    /// written keeps back no other.
    async fn write_together(&self, items: Vec<I>) -> Vec<Result<O>> {
        let error = match (self.write)(items.clone()).await {
            Ok(answers) => return answers,
            Err(error) => error,
        };
        if items.len() == 1 {
            return vec![Err(error)];
        }
        if error.is_transient() {
            return items.iter().map(|_| Err(copy(&error))).collect();
        }
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let alone = (self.write)(vec![item]).await.map(|answers| answers.into_iter().next());
            answers
                .push(alone.and_then(|answer| answer.unwrap_or_else(|| Err(broken("it was not answered")))));
        }
        answers
    }
}

/// Lets the next one begin anew if the write panics; those who wait hear that it broke off.
struct Rest<'a, I: Clone, O>(&'a Shared<I, O>);

impl<I: Clone, O> Drop for Rest<'_, I, O> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        // At a regular end somebody else may have begun already: what waits is theirs.
        if std::thread::panicking() {
            queue.writing = false;
            queue.waiting.clear();
        }
    }
}

impl<I, O> fmt::Debug for Gather<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gather")
    }
}

fn broken(why: &str) -> StoreError {
    StoreError::new(ErrorKind::Backend, Backend::DuckDb, "writing", why)
}

/// The same error for everybody in the group; its source stays with nobody, its words say what there is to say.
fn copy(error: &StoreError) -> StoreError {
    let copy = StoreError::new(error.kind, error.backend, error.doing.clone(), error.message.clone());
    StoreError { remedy: error.remedy.clone(), ..copy }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    type Groups = Arc<Mutex<Vec<Vec<i32>>>>;

    /// Doubles numbers; each write needs a permit. Refuses a group with a 13 in it.
    fn doubling(groups: &Groups, permits: &Arc<Semaphore>) -> Gather<i32, i32> {
        let (groups, permits) = (groups.clone(), permits.clone());
        Gather::new(Box::new(move |items: Vec<i32>| {
            let (groups, permits) = (groups.clone(), permits.clone());
            async move {
                permits.acquire().await.unwrap().forget();
                groups.lock().unwrap().push(items.clone());
                if items.contains(&13) {
                    return Err(StoreError::new(ErrorKind::Invalid, Backend::DuckDb, "testing", "13"));
                }
                Ok(items.iter().map(|item| Ok(item * 2)).collect())
            }
            .boxed()
        }))
    }

    async fn until(condition: impl Fn() -> bool) {
        while !condition() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_are_written_together_and_each_is_answered() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(0)));
        let gather = doubling(&groups, &permits);
        let waiting = || gather.0.queue().waiting.len();
        let later = async {
            until(|| gather.0.queue().writing && waiting() == 0).await;
            join_all((1..5).map(|item| gather.put(item))).await
        };
        let open = async {
            until(|| waiting() == 4).await;
            permits.add_permits(10);
        };
        let (first, later, ()) = tokio::join!(gather.put(0), later, open);
        assert_eq!(first.unwrap(), 0);
        assert_eq!(later.into_iter().map(|answer| answer.unwrap()).collect::<Vec<_>>(), [2, 4, 6, 8]);
        assert_eq!(*groups.lock().unwrap(), [vec![0], vec![1, 2, 3, 4]]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_written_keeps_back_no_other() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(0)));
        let gather = doubling(&groups, &permits);
        permits.add_permits(10);
        let answers = join_all([1, 13, 2].map(|item| gather.put(item))).await;
        let good: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok().copied()).collect();
        assert_eq!(good, [Some(2), None, Some(4)]);
        assert_eq!(groups.lock().unwrap()[0], [1, 13, 2]);
    }

    #[tokio::test]
    async fn who_goes_away_is_written_all_the_same() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(0)));
        let gather = doubling(&groups, &permits);
        assert!(gather.put(7).now_or_never().is_none());
        permits.add_permits(2);
        assert_eq!(gather.put(8).await.unwrap(), 16);
        assert_eq!(groups.lock().unwrap().concat(), [7, 8]);
    }
}
