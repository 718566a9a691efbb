//! BERT's tokenizer: text → the word pieces of a vocabulary, above all of the built-in table.
//!
//! Follows `BasicTokenizer` and `WordpieceTokenizer` of <https://github.com/google-research/bert/blob/master/tokenization.py>.
//! Categories (punctuation, control, accent) come from `unicode-properties`, which is in the tree already (for PostgreSQL's
//! passwords). Its Unicode is newer than that of other implementations: they differ on some hundred rare
//! characters, none of which has a piece.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::table::Table;

/// A word of more characters than this is unknown as a whole, as in BERT.
const LONGEST_WORD: usize = 100;

/// A row of the vocabulary, or `None` for a word that it cannot spell (BERT's `[UNK]`).
pub type Piece = Option<usize>;

/// Where in a word a piece stands; the vocabulary has a list for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the beginning of the word.
    Head,
    /// After another piece.
    Tail,
}

/// What pieces there are.
pub trait Vocabulary {
    /// The longest piece of that place that `text` begins with: its row, and its length in bytes.
    fn longest_beginning(&self, place: Place, text: &[u8]) -> Option<(usize, usize)>;
}

/// In what a model's tokenizer may differ from others.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Letters are made small.
    pub lowercase: bool,
    pub strip_accents: bool,
    /// Each Chinese character is a word of its own.
    pub chinese: bool,
}

/// Those of BERT uncased.
const UNCASED: Rules = Rules { lowercase: true, strip_accents: true, chinese: true };

/// Splits a text into the pieces of the built-in table, in time proportional to its length.
pub fn tokenize(text: &str, table: &Table) -> Vec<Piece> {
    tokenize_by(text, table, UNCASED)
}

/// Splits a text into pieces.
///
/// Control characters are dropped, accents stripped and letters made small where the rules say so; white space separates
/// words; each punctuation mark and each Chinese character is a word of its own. A word is then cut from the left into the
/// longest pieces that the vocabulary has.
pub fn tokenize_by(text: &str, vocabulary: &impl Vocabulary, rules: Rules) -> Vec<Piece> {
    let letters = text.chars().filter(|c| !is_dropped(*c));
    let small = char::to_lowercase;
    match (rules.strip_accents, rules.lowercase) {
        (true, true) => cut(letters.nfd().filter(|c| !is_accent(*c)).flat_map(small), vocabulary, rules),
        (true, false) => cut(letters.nfd().filter(|c| !is_accent(*c)), vocabulary, rules),
        (false, true) => cut(letters.flat_map(small), vocabulary, rules),
        (false, false) => cut(letters, vocabulary, rules),
    }
}

fn cut(letters: impl Iterator<Item = char>, vocabulary: &impl Vocabulary, rules: Rules) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut word = Word::default();
    for letter in letters {
        if letter.is_whitespace() {
            word.finish(vocabulary, &mut pieces);
        } else if is_punctuation(letter) || (rules.chinese && is_chinese(letter)) {
            word.finish(vocabulary, &mut pieces);
            word.push(letter);
            word.finish(vocabulary, &mut pieces);
        } else {
            word.push(letter);
        }
    }
    word.finish(vocabulary, &mut pieces);
    pieces
}

/// The word being read. It keeps no more letters than it can use, however long the text goes on without a space.
#[derive(Default)]
struct Word {
    letters: String,
    length: usize,
}

impl Word {
    fn push(&mut self, letter: char) {
        self.length += 1;
        if self.length <= LONGEST_WORD {
            self.letters.push(letter);
        }
    }

    /// Adds the pieces of the word, if there is one, and begins the next.
    fn finish(&mut self, vocabulary: &impl Vocabulary, pieces: &mut Vec<Piece>) {
        if self.length > LONGEST_WORD {
            pieces.push(None);
        } else {
            spell(self.letters.as_bytes(), vocabulary, pieces);
        }
        self.letters.clear();
        self.length = 0;
    }
}

/// Cuts a word into pieces; if some rest of it has none, the whole word is one unknown.
fn spell(word: &[u8], vocabulary: &impl Vocabulary, pieces: &mut Vec<Piece>) {
    let before = pieces.len();
    let mut rest = word;
    let mut place = Place::Head;
    while !rest.is_empty() {
        let Some((row, length)) = vocabulary.longest_beginning(place, rest) else {
            pieces.truncate(before);
            pieces.push(None);
            return;
        };
        pieces.push(Some(row));
        rest = &rest[length..];
        place = Place::Tail;
    }
}

/// Control, format and private characters, except the white space among them, and the replacement character.
fn is_dropped(c: char) -> bool {
    use GeneralCategory::{Control, Format, PrivateUse};
    match c {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\u{fffd}' => true,
        _ => matches!(c.general_category(), Control | Format | PrivateUse),
    }
}

/// Combining marks without a width of their own (Mn), as a canonical decomposition splits them off.
fn is_accent(c: char) -> bool {
    !c.is_ascii() && c.general_category() == GeneralCategory::NonspacingMark
}

/// Unicode's punctuation, and every ASCII sign that is no letter or digit (`$`, `+`, `~` … are symbols in Unicode).
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_punctuation()
    } else {
        c.general_category_group() == GeneralCategoryGroup::Punctuation
    }
}

/// The blocks of Chinese characters that BERT sets apart; Japanese kana and Korean letters are not among them.
fn is_chinese(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}' | '\u{2b820}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::super::table::TABLE;
    use super::*;

    fn pieces(text: &str) -> String {
        let spelled = tokenize(text, &TABLE).into_iter();
        let spelled = spelled.map(|piece| piece.map_or("[UNK]".into(), |row| TABLE.spelling(row)));
        spelled.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_word_is_cut_into_the_longest_pieces() {
        assert_eq!(pieces("Unaffable embeddings"), "una ##ffa ##ble em ##bed ##ding ##s");
    }

    #[test]
    fn a_word_with_a_rest_that_no_piece_begins_is_one_unknown() {
        assert_eq!(pieces("training🎉 ok"), "[UNK] ok");
    }

    #[test]
    fn a_word_of_a_hundred_letters_is_spelled_and_a_longer_one_unknown() {
        assert!(!pieces(&"é".repeat(100)).contains("[UNK]"));
        assert_eq!(pieces(&"é".repeat(101)), "[UNK]");
    }

    #[test]
    fn names_of_special_tokens_are_ordinary_text() {
        assert_eq!(pieces("[MASK] [UNK]"), "[ mask ] [ un ##k ]");
    }

    #[test]
    fn a_megabyte_of_anything_is_read_to_the_end() {
        const MEGABYTE: usize = 1 << 20;
        for (unit, units_per_piece) in
            [("a", MEGABYTE), ("a ", 1), ("-", 1), ("中", 1), ("\u{301}", 0), ("e\u{301}", 0)]
        {
            let units = MEGABYTE / unit.len();
            let pieces = tokenize(&unit.repeat(units), &TABLE);
            match units_per_piece {
                1 => assert_eq!(pieces.len(), units, "{unit:?}"),
                _ => assert!(pieces.len() <= 1, "{unit:?}"),
            }
        }
    }

    fn fixed_seed() -> ProptestConfig {
        ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(fixed_seed())]

        #[test]
        fn any_text_gives_no_more_pieces_than_letters(text in any::<String>()) {
            let letters = text.nfd().count();
            prop_assert!(tokenize(&text, &TABLE).len() <= letters);
        }

        #[test]
        fn texts_with_a_space_between_give_the_pieces_of_each(a in any::<String>(), b in any::<String>()) {
            let mut apart = tokenize(&a, &TABLE);
            apart.extend(tokenize(&b, &TABLE));
            prop_assert_eq!(tokenize(&format!("{a} {b}"), &TABLE), apart);
        }

        #[test]
        fn the_pieces_of_a_known_word_spell_it(word in "[a-z0-9]{1,100}") {
            let spelled: String = tokenize(&word, &TABLE).into_iter().flatten()
                .map(|row| TABLE.spelling(row).trim_start_matches("##").to_owned()).collect();
            prop_assert_eq!(spelled, word);
        }
    }
}
