//! Decorators over the roles of the stores: what is asked is passed on, counted and timed, in this one place.

mod meter;
mod page;
mod roles;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::changes::Changes;
use super::{Backend, ErrorKind, Result, Role};

pub use meter::{Meter, Standing, Timings, Trouble};
pub use page::{Page, Sample};

/// Whose operations are measured: a trait of a role, as one backend plays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub role: Role,
    /// The trait: "experiments", "queue", "outbox", ...
    pub store: &'static str,
    pub backend: Backend,
}

/// Times operations of one place. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gauge {
    meter: Arc<Meter>,
    place: Place,
}

impl Gauge {
    pub fn new(meter: &Arc<Meter>, place: Place) -> Self {
        Gauge { meter: meter.clone(), place }
    }

    /// Waits for an operation and notes how long it took and how it ended. One that nobody waits for any more counts as
    /// cancelled.
    pub async fn time<T>(&self, operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut under_way = UnderWay { gauge: self, operation, begun: Instant::now(), is_over: false };
        let answer = work.await;
        under_way.is_over = true;
        self.meter.note(self.place, operation, under_way.begun.elapsed(), answer.as_ref().err());
        answer
    }
}

/// Changes that are waited for: how long that takes tells nothing, but that it fails does.
#[derive(Debug)]
pub struct MeasuredChanges {
    inner: Box<dyn Changes>,
    gauge: Gauge,
}

impl MeasuredChanges {
    pub fn new(inner: Box<dyn Changes>, gauge: Gauge) -> Self {
        MeasuredChanges { inner, gauge }
    }
}

#[async_trait]
impl Changes for MeasuredChanges {
    async fn changed(&mut self) -> Result<()> {
        let answer = self.inner.changed().await;
        if let Err(error) = &answer {
            self.gauge.meter.note_failure(self.gauge.place, "listen", error);
        }
        answer
    }
}

struct UnderWay<'a> {
    gauge: &'a Gauge,
    operation: &'static str,
    begun: Instant,
    is_over: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.gauge.meter.note_dropped(self.gauge.place, self.operation);
        }
    }
}

/// A store whose operations are measured; it plays the same role.
#[derive(Debug)]
pub struct Measured<S: ?Sized> {
    inner: Arc<S>,
    gauge: Gauge,
}

impl<S: ?Sized> Measured<S> {
    pub fn new(inner: Arc<S>, gauge: Gauge) -> Arc<Self> {
        Arc::new(Measured { inner, gauge })
    }
}

/// How an operation ended, as a label. The order is that of [`ENDINGS`].
fn ending(error: Option<ErrorKind>) -> usize {
    match error {
        None => 0,
        Some(ErrorKind::NotFound) => 1,
        Some(ErrorKind::Conflict) => 2,
        Some(ErrorKind::Invalid) => 3,
        Some(ErrorKind::Unavailable) => 4,
        Some(ErrorKind::Timeout) => 5,
        Some(ErrorKind::Cancelled) => 6,
        Some(ErrorKind::Backend) => 7,
    }
}

const ENDINGS: [&str; 8] =
    ["ok", "not_found", "conflict", "invalid", "unavailable", "timeout", "cancelled", "backend"];

#[cfg(test)]
mod tests;
