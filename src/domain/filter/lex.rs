//! Words of the filter language.

use super::FilterError;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or a word of the language, dots included: `params.learning_rate`, `and`.
    Word(String),
    /// A name between backquotes; never a word of the language.
    Quoted(String),
    Number(f64),
    /// A number with a unit of time, in seconds: `-7d`.
    Span(f64),
    /// `2026-01-31` or `2026-01-31T12:00:00Z`, as written.
    Date(String),
    Text(String),
    /// Comparison signs, brackets, commas.
    Sign(&'static str),
}

/// A token and where it stands, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

const SIGNS: [&str; 13] = ["<=", ">=", "!=", "<>", "==", "=", "<", ">", "~", "(", ")", ",", "!"];

/// Splits a text into tokens.
pub fn lex(text: &str) -> Result<Vec<Place>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, end) = next(text, at, first)?;
        tokens.push(Place { token, start: at, end });
        at = end;
    }
    Ok(tokens)
}

fn next(text: &str, at: usize, first: char) -> Result<(Token, usize), FilterError> {
    let rest = &text[at..];
    match first {
        '\'' | '"' | '`' => quoted(text, at, first),
        '0'..='9' | '.' => number(text, at),
        '-' | '+' if rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.') => number(text, at),
        _ if is_name(first) => {
            let length = rest.find(|c: char| !is_name(c) && c != '.').unwrap_or(rest.len());
            Ok((Token::Word(rest[..length].to_owned()), at + length))
        }
        _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => Ok((Token::Sign(sign), at + sign.len())),
            None => Err(error(text, at, at + first.len_utf8(), "this character has no meaning here")),
        },
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A text ends at its own quote; the quote twice stands for itself.
fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), FilterError> {
    let mut value = String::new();
    let mut characters = text[at + 1..].char_indices().peekable();
    while let Some((offset, c)) = characters.next() {
        if c != quote {
            value.push(c);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            let end = at + 1 + offset + 1;
            return Ok((if quote == '`' { Token::Quoted(value) } else { Token::Text(value) }, end));
        }
    }
    Err(error(text, at, text.len(), "this quote is not closed"))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), FilterError> {
    let rest = &text[at..];
    if let Some(length) = date_length(rest) {
        return Ok((Token::Date(rest[..length].to_owned()), at + length));
    }
    let mut length = 0;
    let mut before = ' ';
    for c in rest.chars() {
        let sign = matches!(c, '-' | '+') && (length == 0 || matches!(before, 'e' | 'E'));
        let exponent = matches!(c, 'e' | 'E') && before.is_ascii_digit();
        if !(c.is_ascii_digit() || c == '.' || sign || exponent) {
            break;
        }
        before = c;
        length += c.len_utf8();
    }
    let end = at + length;
    let value: f64 = rest[..length].parse().map_err(|_| error(text, at, end, "this is not a number"))?;
    let unit = text[end..].chars().next().filter(|c| c.is_alphabetic());
    let Some(unit) = unit else { return Ok((Token::Number(value), end)) };
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86_400.0,
        'w' => 7.0 * 86_400.0,
        _ => {
            return Err(error(
                text,
                at,
                end + unit.len_utf8(),
                "expected a number, or a time like -7d (s, m, h, d, w)",
            ));
        }
    };
    let after = end + unit.len_utf8();
    if text[after..].starts_with(is_name) {
        return Err(error(
            text,
            at,
            after,
            "a number ends where a name begins: put a space or a quote between",
        ));
    }
    Ok((Token::Span(value * seconds), after))
}

/// Length of a date or a time at the beginning of a text.
fn date_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    if !(dashes && digits(0..4) && digits(5..7) && digits(8..10)) {
        return None;
    }
    let rest = text[10..].find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '+' | '-')));
    Some(10 + rest.unwrap_or(text.len() - 10))
}

pub fn error(text: &str, start: usize, end: usize, message: impl Into<String>) -> FilterError {
    FilterError { text: text.to_owned(), start, end: end.min(text.len()), message: message.into() }
}
