//! The proxy that the other tests break connections with does what it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::proxy::{Mode, Proxy};

const ANSWER: usize = 1000;

/// A server that answers each byte with a thousand; its address. It ends with the test's process.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                // A caller who resets ends this.
                while let Ok(1) = stream.read(&mut byte) {
                    if stream.write_all(&[byte[0]; ANSWER]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Asks once and reads the answer, or says what came instead.
fn ask(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut answer = vec![0; ANSWER];
    stream.write_all(b"x").and_then(|()| stream.read_exact(&mut answer)).map_err(|error| error.kind())?;
    Ok(answer)
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

#[test]
fn every_mode_holds_for_open_connections_and_for_new_ones() {
    let proxy = Proxy::to(&server());
    let connect = || TcpStream::connect(proxy.address());
    let mut open = connect().unwrap();
    assert_eq!(ask(&mut open).unwrap(), [b'x'; ANSWER]);

    proxy.set(Mode::Refuse);
    assert!(is_reset(ask(&mut open).unwrap_err()));
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);

    proxy.set(Mode::HalfOpen);
    let mut open = connect().unwrap();
    assert_eq!(ask(&mut open).unwrap_err(), ErrorKind::WouldBlock);
    proxy.set(Mode::Pass);
    let mut late = vec![0; ANSWER];
    open.read_exact(&mut late).unwrap();
    assert_eq!(ask(&mut open).unwrap().len(), ANSWER, "what was swallowed is only late");

    proxy.set(Mode::ResetAfter(0));
    assert!(is_reset(ask(&mut open).unwrap_err()));
    proxy.set(Mode::ResetAfter(ANSWER + 1));
    let mut open = connect().unwrap();
    assert_eq!(ask(&mut open).unwrap().len(), ANSWER);
    assert!(is_reset(ask(&mut open).unwrap_err()));

    proxy.set(Mode::Delay(Duration::from_millis(100)));
    let mut open = connect().unwrap();
    let asked = Instant::now();
    assert_eq!(ask(&mut open).unwrap().len(), ANSWER);
    assert!(asked.elapsed() >= Duration::from_millis(100));

    proxy.set(Mode::Drip { bytes: 100, pause: Duration::from_millis(10) });
    let asked = Instant::now();
    assert_eq!(ask(&mut open).unwrap().len(), ANSWER);
    assert!(asked.elapsed() >= Duration::from_millis(100));
    assert!(proxy.accepted() >= 4);
}
