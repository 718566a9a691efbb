//! Text → the numbers of a model's word pieces, as its `tokenizer.json` says.

use std::collections::HashMap;

use serde_json::Value;

use super::super::wordpiece::{Place, Rules, Vocabulary, tokenize_by};
use super::folder::Files;

/// What comes before a piece that continues a word, in the file.
const TAIL: &str = "##";

/// See the module. Names of special pieces in a text are text like any other.
pub struct Tokens {
    heads: Pieces,
    tails: Pieces,
    rules: Rules,
    unknown: i32,
    before: Vec<i32>,
    after: Vec<i32>,
    pub padding: i32,
    longest: usize,
}

#[derive(Default)]
struct Pieces {
    rows: HashMap<Vec<u8>, usize>,
    /// Bytes of the longest piece.
    longest: usize,
}

impl Vocabulary for Tokens {
    fn longest_beginning(&self, place: Place, text: &[u8]) -> Option<(usize, usize)> {
        let pieces = match place {
            Place::Head => &self.heads,
            Place::Tail => &self.tails,
        };
        let lengths = (1..=text.len().min(pieces.longest)).rev();
        lengths.into_iter().find_map(|length| Some((*pieces.rows.get(&text[..length])?, length)))
    }
}

impl Tokens {
    pub fn of(files: &Files) -> Result<Self, String> {
        let (told, path) = (&files.tokens, files.tokenizer.display());
        let kind = |part: &str| told[part]["type"].as_str().unwrap_or("nothing").to_owned();
        for (part, expected) in
            [("model", "WordPiece"), ("normalizer", "BertNormalizer"), ("pre_tokenizer", "BertPreTokenizer")]
        {
            if kind(part) != expected {
                return Err(format!(
                    "{path} is not of BERT's kind: its {part} is {}, where labtop knows {expected}. Take a model with word pieces (as \
                     MiniLM, BGE, E5, GTE in English)",
                    kind(part)
                ));
            }
        }
        let flag = |key: &str, usual: bool| told["normalizer"][key].as_bool().unwrap_or(usual);
        let lowercase = flag("lowercase", true);
        let rules = Rules {
            lowercase,
            // Unless it is said, with the capitals.
            strip_accents: flag("strip_accents", lowercase),
            chinese: flag("handle_chinese_chars", true),
        };
        let all = told["model"]["vocab"].as_object();
        let all = all.ok_or_else(|| format!("{path} has no vocabulary (model.vocab): download it again"))?;
        let number =
            |piece: &str| all.get(piece).and_then(Value::as_i64).and_then(|row| i32::try_from(row).ok());
        let (mut heads, mut tails) = (Pieces::default(), Pieces::default());
        for (piece, row) in all {
            let row = row
                .as_u64()
                .and_then(|row| i32::try_from(row).ok())
                .and_then(|row| usize::try_from(row).ok());
            let row =
                row.ok_or_else(|| format!("{path} gives the piece '{piece}' no number: download it again"))?;
            match piece.strip_prefix(TAIL).filter(|rest| !rest.is_empty()) {
                Some(rest) => tails.add(rest, row),
                None => heads.add(piece, row),
            }
        }
        let unknown = told["model"]["unk_token"].as_str().unwrap_or("[UNK]");
        let unknown =
            number(unknown).ok_or_else(|| format!("{path} has no piece {unknown} for what is unknown"))?;
        let (before, after) =
            around(&told["post_processor"], number).map_err(|why| format!("{path}: {why}"))?;
        let padding = files.padding.and_then(|row| i32::try_from(row).ok());
        let padding = padding.or_else(|| number("[PAD]")).or_else(|| number("<pad>")).unwrap_or(0);
        Ok(Tokens { heads, tails, rules, unknown, before, after, padding, longest: files.longest })
    }

    /// The pieces of a text, cut off where the model's room ends; none when it knows none of them.
    pub fn numbers(&self, text: &str) -> Option<Vec<i32>> {
        let pieces = tokenize_by(text, self, self.rules);
        let room = self.longest.saturating_sub(self.before.len() + self.after.len()).max(1);
        let pieces = &pieces[..pieces.len().min(room)];
        pieces.iter().any(Option::is_some).then(|| {
            // The numbers were read as i32.
            let own = pieces
                .iter()
                .map(|piece| piece.and_then(|row| i32::try_from(row).ok()).unwrap_or(self.unknown));
            self.before.iter().copied().chain(own).chain(self.after.iter().copied()).collect()
        })
    }
}

impl Pieces {
    fn add(&mut self, piece: &str, row: usize) {
        self.longest = self.longest.max(piece.len());
        self.rows.insert(piece.as_bytes().to_vec(), row);
    }
}

/// The special pieces before and after a text.
fn around(processor: &Value, number: impl Fn(&str) -> Option<i32>) -> Result<(Vec<i32>, Vec<i32>), String> {
    let named = |piece: &str| number(piece).ok_or_else(|| format!("it has no piece {piece}"));
    match processor["type"].as_str() {
        Some("TemplateProcessing") => {
            let (mut before, mut after, mut passed) = (Vec::new(), Vec::new(), false);
            for part in processor["single"].as_array().into_iter().flatten() {
                match part["SpecialToken"]["id"].as_str() {
                    Some(piece) if passed => after.push(named(piece)?),
                    Some(piece) => before.push(named(piece)?),
                    None => passed = true,
                }
            }
            Ok((before, after))
        }
        Some("BertProcessing" | "RobertaProcessing") => {
            let of =
                |key: &str| processor[key][0].as_str().map_or(Err(format!("{key} names no piece")), &named);
            Ok((vec![of("cls")?], vec![of("sep")?]))
        }
        None => Ok((vec![named("[CLS]")?], vec![named("[SEP]")?])),
        Some(other) => Err(format!(
            "its post_processor is {other}, where labtop knows TemplateProcessing and BertProcessing"
        )),
    }
}
