//! Changes that other programs make to experiments and batches, told by PostgreSQL's NOTIFY; looked for where that cannot be
//! heard: behind a pooler of transactions, and on a standby.

use std::future::poll_fn;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::config::Pooler;
use crate::store::Result;
use crate::store::changes::Changes;

use super::orders::{Stamp, WRITING};
use super::schema::Part;
use super::{Pg, error};

/// As the triggers of the migration call it.
const CHANNEL: &str = "labtop_changes";

/// Changes that follow one another within this time are one.
const TOGETHER: Duration = Duration::from_millis(50);

/// Where changes are looked for: as often as they must be noticed within a quarter of a second.
const LOOK: Duration = Duration::from_millis(200);

/// How long a listener waits to hear itself. A pooler that hands connections round lets it listen and never hear anything.
const ECHO: Duration = Duration::from_secs(2);

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A connection of its own that listens, or looks now and then through the pool.
#[derive(Debug)]
pub struct PgChanges {
    pg: Pg,
    link: Option<Link>,
    /// To wait before connecting again; zero while all is well.
    pause: Duration,
    /// A change was noticed and not yet told.
    untold: bool,
}

#[derive(Debug)]
enum Link {
    Listening(Listener),
    Looking(Seen),
}

/// While the client lives, so does the connection's task.
#[derive(Debug)]
struct Listener {
    _client: tokio_postgres::Client,
    /// One place: a second change while the first is not yet told is the same one.
    changes: mpsc::Receiver<()>,
}

/// What the last look saw.
#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    /// Transactions that were writing: what they changed is counted already, and to be seen when they are gone.
    writers: Vec<String>,
    /// A standby counts a change before it shows it, and does not tell who writes.
    is_standby: bool,
    /// The look before this one saw something new.
    is_fresh: bool,
}

impl Seen {
    /// Whether something may have changed between that look and this one.
    fn is_news_since(&self, last: &Seen) -> bool {
        let is_gone = |writer| !self.writers.contains(writer);
        self.stamp != last.stamp || last.writers.iter().any(is_gone) || (self.is_standby && last.is_fresh)
    }
}

impl PgChanges {
    pub(super) fn new(pg: Pg) -> Self {
        PgChanges { pg, link: None, pause: Duration::ZERO, untold: false }
    }

    async fn connect(&self) -> Result<Link> {
        if self.pg.shared.settings.pooler == Pooler::None {
            if let Some(listener) = self.listen().await? {
                return Ok(Link::Listening(listener));
            }
            tracing::info!("changes are looked for, since PostgreSQL's notifications do not come through");
        }
        Ok(Link::Looking(self.look().await?))
    }

    /// None where notifications do not come through.
    async fn listen(&self) -> Result<Option<Listener>> {
        let doing = "listening for changes";
        let settings = &self.pg.shared.settings;
        let (way, pool) = self.pg.reach(doing).await?;
        let connecting = way.config.connect(way.tls.clone()).await;
        let (client, mut connection) = connecting.map_err(|error| error::told(settings, doing, error))?;
        let echo = format!("labtop_echo_{}", Uuid::new_v4().simple());
        let (tell, changes) = mpsc::channel(1);
        let (tell_echo, mut echoes) = mpsc::channel(1);
        let own = echo.clone();
        tokio::spawn(async move {
            // Ends, and with it the channels, when the connection does.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                let AsyncMessage::Notification(news) = message else { continue };
                if news.channel() == own {
                    // Heard once is enough.
                    let _ = tell_echo.try_send(());
                } else if tell.try_send(()).is_err() && tell.is_closed() {
                    break;
                }
            }
        });
        match client.batch_execute(&format!("LISTEN {CHANNEL}; LISTEN {echo}")).await {
            Ok(()) => {}
            // A standby hears nothing.
            Err(error)
                if error.code() == Some(&tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(self.pg.told(doing, error)),
        }
        // From another connection: over its own, a pooler may let it hear itself all the same.
        let other = pool.get().await.map_err(|error| error::pool(settings, doing, error, None))?;
        let calling = async { other.query_typed("SELECT pg_notify($1, '')", &[(&echo, Type::TEXT)]).await };
        self.pg.within(doing, calling).await?;
        drop(other);
        let is_heard = matches!(tokio::time::timeout(ECHO, echoes.recv()).await, Ok(Some(())));
        // The first part changes nothing; it is what the server shows of an idle listener.
        let rest = format!("LISTEN {CHANNEL}; UNLISTEN {echo}");
        self.pg.within(doing, client.batch_execute(&rest)).await?;
        Ok(is_heard.then_some(Listener { _client: client, changes }))
    }

    async fn look(&self) -> Result<Seen> {
        let doing = "looking for changes";
        let mut reader = self.pg.reader(Part::Experiments, doing).await?;
        // In this order: whoever counts a change after the number was read still writes when it is asked who does.
        let sql = format!(
            "SELECT (SELECT last_value FROM ml_schema.changes), ARRAY(SELECT DISTINCT virtualtransaction {WRITING}), \
             pg_is_in_recovery()"
        );
        let row = reader.one(doing, &sql, &[]).await?;
        Ok(Seen {
            stamp: self.pg.value(doing, &row, 0)?,
            writers: self.pg.value(doing, &row, 1)?,
            is_standby: self.pg.value(doing, &row, 2)?,
            is_fresh: false,
        })
    }

    async fn look_again(&mut self) -> Result<()> {
        let mut now = self.look().await?;
        if let Some(Link::Looking(last)) = &mut self.link {
            self.untold = now.is_news_since(last);
            now.is_fresh = now.stamp != last.stamp;
            *last = now;
        }
        Ok(())
    }

    /// Waits for one change, or for the link to break.
    async fn heed(&mut self) -> Result<()> {
        match &mut self.link {
            Some(Link::Listening(listener)) => match listener.changes.recv().await {
                Some(()) => self.untold = true,
                None => self.link = None,
            },
            Some(Link::Looking(_)) => {
                tokio::time::sleep(LOOK).await;
                if let Err(error) = self.look_again().await {
                    self.link = None;
                    return Err(error);
                }
            }
            None => {
                tokio::time::sleep(self.pause).await;
                // Longer before it is tried, so that being dropped while connecting counts as a failure.
                self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                self.link = Some(self.connect().await?);
                self.pause = Duration::ZERO;
                self.untold = true;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Changes for PgChanges {
    /// The first call returns as soon as it listens: what happened before, nobody noticed.
    async fn changed(&mut self) -> Result<()> {
        while !self.untold {
            self.heed().await?;
        }
        if let Some(Link::Listening(listener)) = &mut self.link {
            tokio::time::sleep(TOGETHER).await;
            // Those that came meanwhile are told with this one.
            while listener.changes.try_recv().is_ok() {}
        }
        self.untold = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_news_when_it_is_counted_and_when_its_writer_is_gone() {
        let seen = |stamp, writers: &[&str]| {
            let writers = writers.iter().map(|&writer| writer.to_owned()).collect();
            Seen { stamp, writers, is_standby: false, is_fresh: false }
        };
        assert!(!seen(1, &[]).is_news_since(&seen(1, &[])));
        assert!(seen(2, &["3/1"]).is_news_since(&seen(1, &[])));
        assert!(!seen(2, &["3/1"]).is_news_since(&seen(2, &["3/1"])), "nothing is committed yet");
        assert!(seen(2, &["3/1"]).is_news_since(&seen(2, &["3/1", "4/7"])), "one of two is");
        assert!(
            seen(2, &["3/2"]).is_news_since(&seen(2, &["3/1"])),
            "the same session in its next transaction"
        );
        let standby = |stamp, is_fresh| Seen { is_standby: true, is_fresh, ..seen(stamp, &[]) };
        assert!(standby(2, true).is_news_since(&standby(2, true)));
        assert!(!standby(2, false).is_news_since(&standby(2, false)));
    }
}
