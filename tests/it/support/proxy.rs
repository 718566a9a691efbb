//! A TCP proxy that breaks on demand: between labtop and a server, it plays whatever can happen on the way.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// What the proxy does, to new connections and to those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody listens, and what is open is reset: the server is stopped.
    Refuse,
    /// Connections are reset once the server has answered so many bytes on them; with 0 none of its answers arrives,
    /// though what it was told did.
    ResetAfter(usize),
    /// Every piece of an answer comes so much later.
    Delay(Duration),
    /// Connections are accepted, and nothing is ever heard on any: the network swallows all.
    HalfOpen,
    /// Answers come in pieces of `bytes`, with a pause before each.
    Drip {
        bytes: usize,
        pause: Duration,
    },
}

/// A proxy on a port of its own, in a thread of its own; gone when dropped.
pub struct Proxy {
    address: SocketAddr,
    orders: Option<mpsc::Sender<Order>>,
    accepted: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// What a proxy is told, and where it says that it is so.
type Order = (What, std::sync::mpsc::SyncSender<()>);

enum What {
    Mode(Mode),
    /// Where the server is from now on.
    Target(String),
}

/// Most connections wait for their turn at the listener.
const BACKLOG: u32 = 1024;

impl Proxy {
    /// A proxy before the server at `target`, such as `127.0.0.1:8000`; it passes everything on until told otherwise.
    pub fn to(target: &str) -> Proxy {
        let target = target.to_owned();
        let accepted = Arc::new(AtomicUsize::new(0));
        // A test gives one order at a time and waits for it.
        let (orders, inbox) = mpsc::channel(1);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let count = accepted.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let socket = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
                let address = socket.local_addr().unwrap();
                let listener = socket.listen(BACKLOG).unwrap();
                tell.send(address).unwrap();
                serve(Door::Open(listener), address, target, inbox, count).await;
            });
        });
        Proxy { address: told.recv().unwrap(), orders: Some(orders), accepted, thread: Some(thread) }
    }

    /// Where labtop is to look for the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes up a mode; when this returns it is in force.
    pub fn set(&self, mode: Mode) {
        self.order(What::Mode(mode));
    }

    /// The server has moved.
    pub fn aim(&self, target: &str) {
        self.order(What::Target(target.to_owned()));
    }

    fn order(&self, what: What) {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.orders.as_ref().unwrap().try_send((what, tell)).unwrap();
        told.recv().unwrap();
    }

    /// Connections made to it so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        let done = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            done.unwrap();
        }
    }
}

/// The port is ours all the time: one that is bound and not listened on refuses.
enum Door {
    Open(TcpListener),
    Closed(TcpSocket),
}

impl Door {
    fn turned(self, mode: Mode, address: SocketAddr) -> Door {
        match (self, mode) {
            (Door::Open(listener), Mode::Refuse) => {
                drop(listener);
                Door::Closed(bound(address))
            }
            (Door::Closed(socket), mode) if mode != Mode::Refuse => {
                Door::Open(socket.listen(BACKLOG).unwrap())
            }
            (door, _) => door,
        }
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve(
    mut door: Door,
    address: SocketAddr,
    mut target: String,
    mut inbox: mpsc::Receiver<Order>,
    accepted: Arc<AtomicUsize>,
) {
    let (modes, mode) = watch::channel(Mode::Pass);
    loop {
        let knock = async {
            match &door {
                Door::Open(listener) => listener.accept().await,
                Door::Closed(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            order = inbox.recv() => {
                let Some((what, tell)) = order else { return };
                match what {
                    What::Target(there) => target = there,
                    What::Mode(mode) => {
                        door = door.turned(mode, address);
                        modes.send_replace(mode);
                    }
                }
                // Nobody waits for an answer whose test is over.
                let _ = tell.send(());
            }
            knocked = knock => {
                // A caller who went away before being let in is no matter.
                let Ok((client, _)) = knocked else { continue };
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(relay(client, target.clone(), mode.clone()));
            }
        }
    }
}

/// The connection is over, and not by a regular end.
struct Broken;

async fn relay(mut client: TcpStream, target: String, mut mode: watch::Receiver<Mode>) {
    // A network that swallows everything does not reach the server either.
    if mode.wait_for(|mode| *mode != Mode::HalfOpen).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(&target).await else {
        return reset(&client);
    };
    let whole = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = carry(from_client, to_server, mode.clone(), Way::Up);
        let down = carry(from_server, to_client, mode.clone(), Way::Down);
        tokio::select! {
            carried = async { tokio::try_join!(up, down) } => carried.is_ok(),
            // An error says that the proxy is gone.
            _ = mode.wait_for(|mode| *mode == Mode::Refuse) => false,
        }
    };
    if !whole {
        reset(&client);
        reset(&server);
    }
}

/// What is dropped now is dropped with a reset.
fn reset(stream: &TcpStream) {
    // One that is closed already can be closed no better.
    let _ = stream.set_zero_linger();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Carries bytes one way until the sender is done with it.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
    way: Way,
) -> Result<(), Broken> {
    let mut bytes = vec![0; 64 * 1024];
    let mut carried = 0;
    loop {
        let read = from.read(&mut bytes).await.map_err(|_| Broken)?;
        mode.wait_for(|mode| *mode != Mode::HalfOpen).await.map_err(|_| Broken)?;
        if read == 0 {
            return to.shutdown().await.map_err(|_| Broken);
        }
        let mut rest = &bytes[..read];
        while !rest.is_empty() {
            let now = *mode.borrow();
            let piece = match now {
                Mode::Drip { bytes, pause } if way == Way::Down => {
                    sleep(pause).await;
                    bytes.min(rest.len())
                }
                Mode::ResetAfter(limit) if way == Way::Down => limit.saturating_sub(carried).min(rest.len()),
                Mode::Delay(pause) if way == Way::Down => {
                    sleep(pause).await;
                    rest.len()
                }
                _ => rest.len(),
            };
            to.write_all(&rest[..piece]).await.map_err(|_| Broken)?;
            carried += piece;
            rest = &rest[piece..];
            if matches!(now, Mode::ResetAfter(limit) if way == Way::Down && carried >= limit) {
                return Err(Broken);
            }
        }
    }
}
