//! Lines of a text, one after another, with bounded memory whatever the file holds.

use std::io::{self, BufRead};

/// The longest line, or record of a table, that is read: room for a text of [`super::MOST_TEXT`] with its vector.
pub const LONGEST: usize = 64 * 1024 * 1024;

/// What a line is; or why it cannot be read, though the next one can.
pub type Line = Result<String, String>;

pub struct Lines<R> {
    source: R,
    number: usize,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(source: R) -> Self {
        Lines { source, number: 0, bytes: 0 }
    }

    /// Read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line with its number from 1, without its end; none at the end.
    pub fn next_line(&mut self) -> io::Result<Option<(usize, Line)>> {
        let mut line = Vec::new();
        let mut length = 0;
        let mut ended = false;
        while !ended {
            let buffer = self.source.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(buffer.len());
            // Of a line that is too long only the beginning is kept.
            if length <= LONGEST {
                line.extend_from_slice(&buffer[..taken]);
            }
            length += taken;
            ended = end.is_some();
            let consumed = taken + usize::from(ended);
            self.source.consume(consumed);
            self.bytes += consumed as u64;
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some((self.number, self.text(line, length))))
    }

    fn text(&self, mut line: Vec<u8>, length: usize) -> Line {
        if length > LONGEST {
            return Err(format!("the line has {length} bytes; {LONGEST} are the most"));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let text = String::from_utf8(line).map_err(|error| {
            format!("byte {} of the line is no UTF-8", error.utf8_error().valid_up_to() + 1)
        })?;
        match text.strip_prefix('\u{feff}') {
            Some(rest) if self.number == 1 => Ok(rest.to_owned()),
            _ => Ok(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(usize, Line)> {
        // A buffer of three bytes, so that lines cross its ends.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, bytes));
        std::iter::from_fn(|| lines.next_line().unwrap()).collect()
    }

    #[test]
    fn lines_come_without_their_ends_and_bad_ones_are_named() {
        let good = |number, text: &str| (number, Ok(text.to_owned()));
        assert_eq!(
            all("\u{feff}abcdef\r\n\nend".as_bytes()),
            [good(1, "abcdef"), good(2, ""), good(3, "end")]
        );
        assert_eq!(all(b"a\n"), [good(1, "a")]);
        let bad = (1, Err("byte 3 of the line is no UTF-8".to_owned()));
        assert_eq!(all(b"ab\xff\nnext"), [bad, good(2, "next")]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_bound() {
        let source =
            io::Read::chain(io::Read::take(io::repeat(b'x'), LONGEST as u64 + 5_000_000), &b"\nnext"[..]);
        let mut lines = Lines::new(io::BufReader::new(source));
        let (number, line) = lines.next_line().unwrap().unwrap();
        assert_eq!((number, line.unwrap_err().contains("bytes;")), (1, true));
        assert_eq!(lines.next_line().unwrap().unwrap(), (2, Ok("next".to_owned())));
    }
}
