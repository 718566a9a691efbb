//! The terminal while the dashboard has it, and giving it back in whatever way the dashboard ends.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Read, Stdout, Write, stdin, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
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
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use super::app::App;
use super::theme::Background;

/// Clicks, drags and the wheel, but not every movement: a mouse that is moved must not wake an idle dashboard.
const MOUSE_ON: &str = "\u{1b}[?1000h\u{1b}[?1002h\u{1b}[?1006h";

/// One frame in one write, as far as it goes.
const FRAME_BYTES: usize = 64 * 1024;

/// Longest that a terminal may take to answer, as over a slow line.
const ANSWER: Duration = Duration::from_secs(1);

/// True while the terminal is ours, so that giving it back twice does no harm.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// The terminal in the hands of the dashboard. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
    /// What stands on the screen is not known any more.
    stale: bool,
}

impl Screen {
    /// Takes the terminal; an error when there is none.
    pub fn take(mouse: bool) -> io::Result<Self> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            let problem = "the dashboard needs a terminal; the commands (labtop --help) work without one";
            return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
        }
        give_back_on_panic();
        let mut screen = Screen { terminal: blank()?, mouse, stale: false };
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

    /// To the clipboard of whoever sits before the terminal, also through ssh (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let sequence = clipboard_sequence(text, std::env::var_os("TMUX").is_some());
        execute!(stdout(), Print(sequence))
    }

    pub fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    /// The size changed, if only for a moment: what the terminal cut off meanwhile is drawn anew with the next frame.
    pub fn resized(&mut self) {
        self.stale = true;
    }

    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        if std::mem::take(&mut self.stale) {
            execute!(self.terminal.backend_mut(), Clear(ClearType::All))?;
            self.terminal = blank()?;
        }
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

/// Sets the clipboard. Inside tmux it is said twice: to tmux itself, which keeps it as a buffer and passes it on where
/// `set-clipboard` is on, and wrapped for the terminal around it, for where `allow-passthrough` is on.
fn clipboard_sequence(text: &str, inside_tmux: bool) -> String {
    let plain = format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text));
    if !inside_tmux {
        return plain;
    }
    let wrapped = plain.replace('\x1b', "\x1b\x1b");
    format!("{plain}\x1bPtmux;{wrapped}\x1b\\")
}

/// What the terminal says of its background; none when it does not say.
///
/// `COLORFGBG` is believed where it is set. Else the terminal is asked (OSC 11), and with it something that every terminal
/// answers, so that one that does not know its colours costs no time. Called before the dashboard reads keys: an answer that
/// came later would be taken for some.
pub fn background() -> Option<Background> {
    if let Some(hint) = std::env::var("COLORFGBG").ok().and_then(|hint| of_hint(&hint)) {
        return Some(hint);
    }
    let is_plain = std::env::var("TERM").is_ok_and(|term| matches!(term.as_str(), "dumb" | "linux" | ""));
    if is_plain || !stdin().is_terminal() || !stdout().is_terminal() {
        return None;
    }
    match ask_background() {
        Ok(answer) => of_answer(&answer),
        Err(error) => {
            tracing::debug!(%error, "asking the terminal for its background");
            None
        }
    }
}

/// As in `15;0`: the last is the background, of the sixteen colours.
fn of_hint(hint: &str) -> Option<Background> {
    match hint.rsplit(';').next()?.parse::<u8>().ok()? {
        7 | 15 => Some(Background::Light),
        0..=15 => Some(Background::Dark),
        _ => None,
    }
}

/// As in `ESC ] 11 ; rgb:1e1e/1e1e/2e2e`: light from half of the brightness on (weights of ITU-R BT.601).
fn of_answer(answer: &str) -> Option<Background> {
    let color = answer.split_once("]11;rgb:")?.1;
    let mut parts = color.split(|character: char| !character.is_ascii_hexdigit()).take(3).map(|part| {
        let most =
            16u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
        Some(f64::from(u32::from_str_radix(part, 16).ok()?) / f64::from(most))
    });
    let mut next = || parts.next().flatten();
    let brightness = 0.299 * next()? + 0.587 * next()? + 0.114 * next()?;
    Some(if brightness >= 0.5 { Background::Light } else { Background::Dark })
}

fn ask_background() -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut asking = before.clone();
    asking.make_raw();
    // A read returns after a tenth of a second without an answer.
    asking.special_codes[SpecialCodeIndex::VMIN] = 0;
    asking.special_codes[SpecialCodeIndex::VTIME] = 1;
    tcsetattr(&terminal, OptionalActions::Now, &asking)?;
    let answer = ask_and_listen(&mut terminal);
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    answer
}

fn ask_and_listen(terminal: &mut File) -> io::Result<String> {
    terminal.write_all(b"\x1b]11;?\x1b\\\x1b[c")?;
    let mut answer = Vec::new();
    let asked = Instant::now();
    // The answer to the second question ends in c; what stands between is ours.
    while asked.elapsed() < ANSWER
        && !(answer.ends_with(b"c") && answer.windows(3).any(|part| part == b"\x1b[?"))
    {
        let mut part = [0; 64];
        let count = terminal.read(&mut part)?;
        answer.extend_from_slice(&part[..count]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_is_reached_through_tmux() {
        assert_eq!(clipboard_sequence("a\u{1b}b", false), "\x1b]52;c;YRti\x07");
        assert_eq!(
            clipboard_sequence("abc", true),
            "\x1b]52;c;YWJj\x07\x1bPtmux;\x1b\x1b]52;c;YWJj\x07\x1b\\"
        );
    }

    #[test]
    fn the_background_is_read_from_hint_and_answer() {
        assert_eq!(of_hint("15;0"), Some(Background::Dark));
        assert_eq!(of_hint("0;default;15"), Some(Background::Light));
        assert_eq!(of_hint("0;default"), None);
        let answer = |color: &str| of_answer(&format!("\x1b]11;rgb:{color}\x1b\\\x1b[?62;22c"));
        assert_eq!(answer("1e1e/1e1e/2e2e"), Some(Background::Dark));
        assert_eq!(answer("ff/fa/f0"), Some(Background::Light));
        assert_eq!(answer("//"), None);
        assert_eq!(of_answer("\x1b[?62;22c"), None);
    }
}
