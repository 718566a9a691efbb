//! Bytes into lines: of bounded length, whatever comes.

/// What is kept of a line, in bytes. One that begins as JSON may carry embeddings.
const LONGEST: usize = 64 << 10;
const LONGEST_JSON: usize = 8 << 20;

/// One line, as far as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What is no UTF-8 is replaced.
    pub text: String,
    /// Bytes that were left out at its end.
    pub cut: u64,
}

/// Takes bytes as they come. A line ends with `\n` or `\r` (progress bars are written over and over); blank ones are
/// left out.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
    cut: u64,
}

impl Splitter {
    /// The lines that end within these bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut pieces = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).peekable();
        while let Some(piece) = pieces.next() {
            self.hold(piece);
            if pieces.peek().is_some() {
                lines.extend(self.end());
            }
        }
        lines
    }

    /// What has come since the last line ended.
    pub fn end(&mut self) -> Option<Line> {
        let held = std::mem::take(&mut self.held);
        let cut = std::mem::take(&mut self.cut);
        if cut == 0 && held.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(Line { text: String::from_utf8_lossy(&held).into_owned(), cut })
    }

    fn hold(&mut self, piece: &[u8]) {
        let first = self.held.first().or(piece.first());
        let most = if first == Some(&b'{') { LONGEST_JSON } else { LONGEST };
        let room = most.saturating_sub(self.held.len()).min(piece.len());
        self.held.extend_from_slice(&piece[..room]);
        self.cut += (piece.len() - room) as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Line> {
        let mut splitter = Splitter::default();
        let mut lines: Vec<Line> = chunks.iter().flat_map(|chunk| splitter.push(chunk)).collect();
        lines.extend(splitter.end());
        lines
    }

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), cut: 0 }
    }

    #[test]
    fn lines_end_at_breaks_and_at_the_end() {
        let lines = split(&[b"one\r\ntw", b"o\n\n  \n10%\r20%\rlast"]);
        assert_eq!(lines, ["one", "two", "10%", "20%", "last"].map(line));
        assert_eq!(split(&[b"\xff\xfeodd\n"]), [line("\u{fffd}\u{fffd}odd")]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_says_so() {
        let chunk = vec![b'x'; 1 << 20];
        let mut splitter = Splitter::default();
        for _ in 0..16 {
            assert_eq!(splitter.push(&chunk), []);
            assert!(splitter.held.capacity() <= 4 * LONGEST, "{}", splitter.held.capacity());
        }
        let lines = splitter.push(b"\nnext\n");
        assert_eq!((lines[0].text.len(), lines[0].cut), (LONGEST, (16 << 20) - LONGEST as u64));
        assert_eq!(lines[1..], [line("next")]);
        let json = [b"{".as_slice(), &vec![b'x'; 1 << 20], b"\n"].concat();
        assert_eq!(split(&[&json])[0].cut, 0, "JSON may be longer");
    }

    proptest! {
        /// However the bytes come, the lines are those of the whole.
        #[test]
        fn chunks_change_nothing(
            bytes in prop::collection::vec(prop::sample::select(b"ab{\"\n\r \xe9\xc3".to_vec()), 0..200),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let lines = split(&chunks);
            prop_assert_eq!(&lines, &split(&[&bytes]));
            let expected: Vec<String> = String::from_utf8_lossy(&bytes)
                .split(['\n', '\r'])
                .filter(|text| !text.trim_matches(' ').is_empty())
                .map(str::to_owned)
                .collect();
            prop_assert_eq!(lines.into_iter().map(|line| line.text).collect::<Vec<_>>(), expected);
        }
    }
}
