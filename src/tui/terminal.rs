//! The terminal while the dashboard has it, and giving it back in whatever way the dashboard ends.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write, stdin, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;

use super::app::App;

/// Clicks, drags and the wheel, but not every movement: a mouse that is moved must not wake an idle dashboard.
const MOUSE_ON: &str = "\u{1b}[?1000h\u{1b}[?1002h\u{1b}[?1006h";

/// One frame in one write, as far as it goes.
const FRAME_BYTES: usize = 64 * 1024;

/// True while the terminal is ours, so that giving it back twice does no harm.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// The terminal in the hands of the dashboard. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal; an error when there is none.
    pub fn take(mouse: bool) -> io::Result<Self> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            let problem = "the dashboard needs a terminal; the commands (labtop --help) work without one";
            return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
        }
        give_back_on_panic();
        let mut screen = Screen { terminal: blank()?, mouse };
        screen.enter()?;
        Ok(screen)
    }

    /// Takes the terminal again, as after a stop; everything is drawn anew.
    pub fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        execute!(stdout(), Clear(ClearType::All))?;
        self.set_mouse(self.mouse)?;
        // Nothing is on the screen any more. `Terminal::clear` would ask the terminal where its cursor is and wait.
        self.terminal = blank()?;
        Ok(())
    }

    /// Gives the terminal back, for as long as the process is stopped.
    pub fn leave(&mut self) {
        give_back();
    }

    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(stdout(), Print(MOUSE_ON)) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// To the clipboard of whoever sits before the terminal, also through ssh.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    pub fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| app.draw(frame))?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }
}

fn blank() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME_BYTES, stdout())))
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back if it is ours. Nothing can be done when that fails: the terminal may be gone.
pub fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let raw = disable_raw_mode();
    let modes = execute!(
        stdout(),
        DisableMouseCapture,
        DisableBracketedPaste,
        EndSynchronizedUpdate,
        LeaveAlternateScreen,
        cursor::Show
    );
    let flushed = stdout().flush();
    for error in [raw, modes, flushed].into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "giving the terminal back");
    }
}

/// Installed over the hook that reports the panic, so that the report is not lost with the alternate screen.
///
/// A panic of another thread does not end the dashboard: it goes to the log, for its report would be written into the
/// middle of the screen.
fn give_back_on_panic() {
    let dashboard = thread::current().id();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let goes_on = TAKEN.load(Ordering::SeqCst) && thread::current().id() != dashboard;
            if goes_on {
                tracing::error!("{info}");
            } else {
                give_back();
                report(info);
            }
        }));
    });
}
