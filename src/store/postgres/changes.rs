//! Changes that other programs make to experiments and batches, told by PostgreSQL's NOTIFY.

use std::future::poll_fn;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::store::Result;
use crate::store::changes::Changes;

use super::{Pg, connect, error};

/// As the triggers of the migration call it.
const CHANNEL: &str = "labtop_changes";

/// Changes that follow one another within this time are one.
const TOGETHER: Duration = Duration::from_millis(50);

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A connection of its own that listens.
#[derive(Debug)]
pub struct PgChanges {
    pg: Pg,
    link: Option<Link>,
    /// To wait before connecting again; zero while all is well.
    pause: Duration,
    /// A change was noticed and not yet told.
    untold: bool,
}

/// While the client lives, so does the connection's task.
#[derive(Debug)]
struct Link {
    _client: tokio_postgres::Client,
    /// One place: a second change while the first is not yet told is the same one.
    changes: mpsc::Receiver<()>,
}

impl PgChanges {
    pub(super) fn new(pg: Pg) -> Self {
        PgChanges { pg, link: None, pause: Duration::ZERO, untold: false }
    }

    async fn listen(&self) -> Result<Link> {
        let doing = "listening for changes";
        let settings = &self.pg.shared.settings;
        let connecting = connect::config(settings).connect(NoTls).await;
        let (client, mut connection) = connecting.map_err(|error| error::told(settings, doing, error))?;
        let (tell, changes) = mpsc::channel(1);
        tokio::spawn(async move {
            // Ends, and with it the channel, when the connection does.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if matches!(message, AsyncMessage::Notification(_))
                    && tell.try_send(()).is_err()
                    && tell.is_closed()
                {
                    break;
                }
            }
        });
        self.pg.within(doing, client.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
        Ok(Link { _client: client, changes })
    }
}

#[async_trait]
impl Changes for PgChanges {
    /// The first call returns as soon as it listens: what happened before, nobody noticed.
    async fn changed(&mut self) -> Result<()> {
        while !self.untold {
            match &mut self.link {
                Some(link) => match link.changes.recv().await {
                    Some(()) => self.untold = true,
                    None => self.link = None,
                },
                None => {
                    tokio::time::sleep(self.pause).await;
                    // Longer before it is tried, so that being dropped while connecting counts as a failure.
                    self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                    self.link = Some(self.listen().await?);
                    self.pause = Duration::ZERO;
                    self.untold = true;
                }
            }
        }
        if let Some(link) = &mut self.link {
            tokio::time::sleep(TOGETHER).await;
            // Those that came meanwhile are told with this one.
            while link.changes.try_recv().is_ok() {}
        }
        self.untold = false;
        Ok(())
    }
}
