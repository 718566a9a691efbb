//! The file `assets/model/static-256.bin`, read in place: a sorted list of word pieces with one row of numbers each.

use std::ops::Range;

use super::wordpiece::{Place, Vocabulary};

/// Components of a row.
pub const DIMENSION: usize = 256;

const MAGIC: &[u8; 8] = b"LTSTATIC";
const VERSION: u32 = 1;

/// The table that ships with labtop. Its header is checked while compiling, so reading it cannot fail and costs
/// nothing at start.
pub static TABLE: Table = Table::read(include_bytes!("../../assets/model/static-256.bin"));

/// Word pieces and their rows. A piece is named by its row number. The layout is told in `assets/model/README.md`.
pub struct Table {
    heads: usize,
    ends: &'static [[u8; 4]],
    scales: &'static [[u8; 4]],
    rows: &'static [[u8; DIMENSION]],
    text: &'static [u8],
}

impl Table {
    /// Lays the table over the bytes of the file.
    ///
    /// # Panics
    /// If the bytes are not such a file. It is called for a constant only, so that stops the compiler.
    const fn read(file: &'static [u8]) -> Self {
        let (magic, file) = file.split_at(MAGIC.len());
        let mut i = 0;
        while i < MAGIC.len() {
            assert!(magic[i] == MAGIC[i], "not an embedding table");
            i += 1;
        }
        let (header, file) = file.split_at(5 * 4);
        let (numbers, _) = header.as_chunks::<4>();
        assert!(u32::from_le_bytes(numbers[0]) == VERSION, "a version of the table that is not known");
        assert!(u32::from_le_bytes(numbers[1]) as usize == DIMENSION, "a table of another dimension");
        let heads = u32::from_le_bytes(numbers[2]) as usize;
        let pieces = heads + u32::from_le_bytes(numbers[3]) as usize;
        let text_length = u32::from_le_bytes(numbers[4]) as usize;

        let (ends, file) = file.split_at(pieces * 4);
        let (scales, file) = file.split_at(pieces * 4);
        let (rows, text) = file.split_at(pieces * DIMENSION);
        assert!(text.len() == text_length, "a table with bytes missing or left over");
        Self { heads, ends: ends.as_chunks().0, scales: scales.as_chunks().0, rows: rows.as_chunks().0, text }
    }

    /// The row of the last piece of that place that sorts at or before `text`.
    fn last_at_or_before(&self, place: Place, text: &[u8]) -> Option<usize> {
        let Range { start, end } = self.range(place);
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low.midpoint(high);
            if self.piece(middle) <= text { low = middle + 1 } else { high = middle }
        }
        (low > start).then(|| low - 1)
    }

    /// The rows of the pieces of that place.
    fn range(&self, place: Place) -> Range<usize> {
        match place {
            Place::Head => 0..self.heads,
            Place::Tail => self.heads..self.rows.len(),
        }
    }

    /// The text of a piece, in UTF-8; that of a tail is without `##`.
    fn piece(&self, row: usize) -> &'static [u8] {
        let start = if row == 0 { 0 } else { u32::from_le_bytes(self.ends[row - 1]) };
        &self.text[start as usize..u32::from_le_bytes(self.ends[row]) as usize]
    }

    /// Adds the vector of a piece, `row * scale / 127`, to `sum`.
    pub fn add_to(&self, sum: &mut [f64; DIMENSION], row: usize) {
        let scale = f64::from(f32::from_le_bytes(self.scales[row])) / 127.0;
        for (sum, byte) in sum.iter_mut().zip(&self.rows[row]) {
            *sum += scale * f64::from(byte.cast_signed());
        }
    }
}

impl Vocabulary for Table {
    /// One binary search finds the last piece that sorts at or before `text`. Either that is the answer, or it
    /// leaves `text` after some bytes; whatever sorts between a beginning of `text` and `text` shares that
    /// beginning, so the answer is no longer than the bytes they share, and the search goes on with those.
    fn longest_beginning(&self, place: Place, text: &[u8]) -> Option<(usize, usize)> {
        let mut text = text;
        while !text.is_empty() {
            let row = self.last_at_or_before(place, text)?;
            let piece = self.piece(row);
            let shared = piece.iter().zip(text).take_while(|(a, b)| a == b).count();
            if shared == piece.len() {
                return Some((row, shared));
            }
            text = &text[..shared];
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Table {
        /// The piece as BERT's vocabulary spells it, for comparing with reference answers.
        pub fn spelling(&self, row: usize) -> String {
            let mark = if row < self.heads { "" } else { "##" };
            format!("{mark}{}", std::str::from_utf8(self.piece(row)).unwrap())
        }
    }

    fn longest(place: Place, text: &str) -> Option<String> {
        TABLE.longest_beginning(place, text.as_bytes()).map(|(row, _)| TABLE.spelling(row))
    }

    #[test]
    fn each_list_is_sorted_without_twins() {
        for place in [Place::Head, Place::Tail] {
            let rows = TABLE.range(place);
            assert!(rows.len() > 5_000);
            for row in rows.start + 1..rows.end {
                assert!(TABLE.piece(row - 1) < TABLE.piece(row), "{} is out of order", TABLE.spelling(row));
            }
        }
    }

    #[test]
    fn every_piece_is_found_and_has_a_finite_row_that_is_not_zero() {
        for place in [Place::Head, Place::Tail] {
            for row in TABLE.range(place) {
                let piece = TABLE.piece(row);
                assert_eq!(TABLE.longest_beginning(place, piece), Some((row, piece.len())));
                let mut sum = [0.0; DIMENSION];
                TABLE.add_to(&mut sum, row);
                assert!(sum.iter().all(|x| x.is_finite()) && sum.iter().any(|x| *x != 0.0));
            }
        }
    }

    #[test]
    fn the_longest_piece_wins_over_its_neighbours() {
        assert_eq!(longest(Place::Head, "unaffable").as_deref(), Some("una"));
        assert_eq!(longest(Place::Tail, "ffable").as_deref(), Some("##ffa"));
        assert_eq!(longest(Place::Head, "trainings").as_deref(), Some("training"));
        assert_eq!(longest(Place::Head, "zzzz").as_deref(), Some("z"));
    }

    #[test]
    fn nothing_is_found_for_what_no_piece_begins() {
        for text in ["", "\u{1}", "🎉", "\u{10ffff}"] {
            assert_eq!(longest(Place::Head, text), None);
            assert_eq!(longest(Place::Tail, text), None);
        }
    }
}
