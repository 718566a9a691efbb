//! The program in a pseudo-terminal, with a screen that can be read.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A condition that does not hold by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    /// To the thread that types: writing waits while the program does not read.
    keyboard: SyncSender<Vec<u8>>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    /// Read ahead; none inside for the end.
    next: Option<Option<Vec<u8>>>,
    screen: vt100::Parser,
    /// Everything the program wrote.
    pub written: Vec<u8>,
}

impl Terminal {
    /// Starts the dashboard in `folder`.
    pub fn start(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        columns: u16,
        rows: u16,
    ) -> Self {
        let program = [&[env!("CARGO_BIN_EXE_labtop")], arguments].concat();
        Terminal::run(&program, folder, environment, columns, rows)
    }

    /// A shell that has job control, and the dashboard's program as `$LABTOP`.
    pub fn shell(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let own = [("LABTOP", env!("CARGO_BIN_EXE_labtop")), ("PS1", "ready> ")];
        let environment = [&own, environment].concat();
        let mut terminal = Terminal::run(&["sh", "-i"], folder, &environment, 100, 30);
        terminal.wait_for("ready> ");
        terminal
    }

    fn run(program: &[&str], folder: &Path, environment: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program[0]);
        command.args(&program[1..]);
        command.cwd(folder);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", folder);
        command.env("TERM", "xterm-256color");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        // Many screens: while the test writes, it does not read, and the program must not wait for it.
        let (send, output) = sync_channel(8192);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut writer = pair.master.take_writer().unwrap();
        let (keyboard, typed) = sync_channel::<Vec<u8>>(256);
        std::thread::spawn(move || {
            // A program that has just ended takes no more keys; reading will tell.
            while let Ok(bytes) = typed.recv() {
                if writer.write_all(&bytes).and_then(|()| writer.flush()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(some(rows), some(columns), 0);
        Terminal { master: pair.master, keyboard, child, output, next: None, screen, written: Vec::new() }
    }

    pub fn press(&mut self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    /// Types; reads meanwhile what the program writes. A program that takes no keys any more is a failure.
    pub fn press_bytes(&mut self, bytes: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        let mut waiting = bytes.to_vec();
        while let Err(TrySendError::Full(back)) = self.keyboard.try_send(waiting) {
            assert!(Instant::now() < deadline, "the program takes no keys:\n{}", self.text());
            self.read(Duration::from_millis(5));
            waiting = back;
        }
    }

    /// The process that the shell runs in the foreground.
    pub fn child_of_shell(&self) -> u32 {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Sends a signal by its name, as in `TERM`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
        self.screen.screen_mut().set_size(some(rows), some(columns));
    }

    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen fulfils a condition.
    pub fn wait(&mut self, what: &str, condition: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.text()) {
            assert!(Instant::now() < deadline, "waited in vain for {what}:\n{}", self.text());
            assert!(
                self.read(Duration::from_millis(100)),
                "the program ended before {what}:\n{}",
                self.text()
            );
        }
    }

    pub fn wait_for(&mut self, text: &str) {
        self.wait(text, |screen| screen.contains(text));
    }

    /// Waits for the end and gives back the exit code.
    pub fn wait_for_end(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        while self.read(Duration::from_millis(100)) {
            assert!(Instant::now() < deadline, "the program did not end:\n{}", self.text());
        }
        self.child.wait().unwrap().exit_code()
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Something was read, or the end; it has to be taken. Never waits.
    pub fn has_output(&mut self) -> bool {
        if self.next.is_none() {
            self.next = match self.output.try_recv() {
                Ok(bytes) => Some(Some(bytes)),
                Err(TryRecvError::Disconnected) => Some(None),
                Err(TryRecvError::Empty) => None,
            };
        }
        self.next.is_some()
    }

    /// Takes what was written within the time; false when nothing will come any more.
    pub fn read(&mut self, time: Duration) -> bool {
        let received = match self.next.take() {
            Some(Some(bytes)) => Ok(bytes),
            Some(None) => Err(RecvTimeoutError::Disconnected),
            None => self.output.recv_timeout(time),
        };
        match received {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.written.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// The terminal is as it was before: main screen, cursor shown, mouse and paste reports off.
    pub fn is_restored(&self) -> bool {
        let screen = self.screen.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
            && !screen.bracketed_paste()
    }
}

/// Sends a signal by its name, as in `TERM`.
pub fn signal(pid: u32, name: &str) {
    let (name, pid) = (format!("-{name}"), pid.to_string());
    assert!(std::process::Command::new("kill").args([&name, &pid]).status().unwrap().success());
}

fn some(side: u16) -> NonZeroU16 {
    NonZeroU16::new(side).unwrap()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
