//! Comma-separated values as RFC 4180 has them, record by record: a quoted field may hold line ends.

use std::io::{self, BufRead};

use super::lines::LONGEST;

pub struct Csv<R> {
    source: R,
    delimiter: u8,
    line: usize,
    bytes: u64,
    broken: bool,
}

/// The fields of a record; or what is wrong with it.
pub type Record = Result<Vec<String>, String>;

/// Where in a field the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// After a quotation mark within quotes: the end of them, or the first half of one that is meant.
    Quote,
}

#[derive(Default)]
struct Draft {
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    length: usize,
}

impl Draft {
    fn finish_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
    }

    fn is_blank(&self) -> bool {
        self.fields.is_empty() && self.field.is_empty()
    }
}

impl<R: BufRead> Csv<R> {
    pub fn new(source: R, delimiter: u8) -> Self {
        Csv { source, delimiter, line: 1, bytes: 0, broken: false }
    }

    /// Read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next record that is not a blank line, with the line it begins at; none at the end, and after one whose quotes
    /// never end: the rest of the file is in them.
    pub fn next_record(&mut self) -> io::Result<Option<(usize, Record)>> {
        let mut begun = self.line;
        let mut place = Place::Start;
        let mut draft = Draft::default();
        while !self.broken {
            let buffer = self.source.fill_buf()?;
            let Some(&byte) = buffer.first() else {
                if place == Place::Quoted {
                    self.broken = true;
                    return Ok(Some((begun, Err("a quotation mark is opened and never closed".to_owned()))));
                }
                if draft.is_blank() && place == Place::Start {
                    return Ok(None);
                }
                draft.finish_field();
                return Ok(Some((begun, texts(draft.fields, begun == 1))));
            };
            // Runs of plain bytes are taken at once.
            if matches!(place, Place::Plain | Place::Quoted) {
                let special = |byte: &u8| matches!(byte, b'"' | b'\n' | b'\r') || *byte == self.delimiter;
                let run = buffer.iter().position(special).unwrap_or(buffer.len());
                if run > 0 {
                    draft.field.extend_from_slice(&buffer[..run]);
                    draft.length += run;
                    self.take(run);
                    if draft.length > LONGEST {
                        self.broken = true;
                        let why =
                            format!("a record of more than {LONGEST} bytes: is a quotation mark missing?");
                        return Ok(Some((begun, Err(why))));
                    }
                    continue;
                }
            }
            self.take(1);
            self.line += usize::from(byte == b'\n');
            let ended = self.step(byte, &mut place, &mut draft);
            if ended && draft.is_blank() {
                begun = self.line;
                place = Place::Start;
            } else if ended {
                draft.finish_field();
                return Ok(Some((begun, texts(draft.fields, begun == 1))));
            }
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) {
        self.source.consume(count);
        self.bytes += count as u64;
    }

    /// Takes one byte in; true where it ends the record.
    fn step(&self, byte: u8, place: &mut Place, draft: &mut Draft) -> bool {
        draft.length += 1;
        match (*place, byte) {
            (Place::Quoted, b'"') => *place = Place::Quote,
            (Place::Quoted, byte) => draft.field.push(byte),
            (Place::Start, b'"') => *place = Place::Quoted,
            (Place::Quote, b'"') => {
                draft.field.push(b'"');
                *place = Place::Quoted;
            }
            (_, b'\n') => return true,
            (_, b'\r') => {}
            (_, byte) if byte == self.delimiter => {
                draft.finish_field();
                *place = Place::Start;
            }
            (_, byte) => {
                draft.field.push(byte);
                *place = Place::Plain;
            }
        }
        false
    }
}

fn texts(fields: Vec<Vec<u8>>, first: bool) -> Record {
    let text = |(number, bytes): (usize, Vec<u8>)| {
        String::from_utf8(bytes).map_err(|_| format!("field {} of the record is no UTF-8", number + 1))
    };
    let mut texts = fields.into_iter().enumerate().map(text).collect::<Result<Vec<String>, String>>()?;
    if let Some(rest) = texts.first().and_then(|text| text.strip_prefix('\u{feff}')).filter(|_| first) {
        texts[0] = rest.to_owned();
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(usize, Record)> {
        let mut csv = Csv::new(io::BufReader::with_capacity(4, text), b',');
        std::iter::from_fn(|| csv.next_record().unwrap()).collect()
    }

    fn record(line: usize, fields: &[&str]) -> (usize, Record) {
        (line, Ok(fields.iter().map(|field| (*field).to_owned()).collect()))
    }

    #[test]
    fn quotes_line_ends_and_blank_lines() {
        let text = "\u{feff}id,text\r\n1,\"a, \"\"b\"\"\r\nsecond\"\n\n2,\n\"\",x";
        let expected = [
            record(1, &["id", "text"]),
            record(2, &["1", "a, \"b\"\r\nsecond"]),
            record(5, &["2", ""]),
            record(6, &["", "x"]),
        ];
        assert_eq!(all(text.as_bytes()), expected);
        assert!(all(b"\n\n").is_empty());
    }

    #[test]
    fn what_domain_writes_comes_back() {
        use crate::domain::csv;
        let values = ["a,b", "say \"hi\"\n", "", "plain", "é"].map(serde_json::Value::from);
        assert_eq!(
            all(csv::record(&values).as_bytes()),
            [record(1, &["a,b", "say \"hi\"\n", "", "plain", "é"])]
        );
    }

    #[test]
    fn a_bad_record_is_named() {
        assert_eq!(
            all(b"a,\xff\nb,c"),
            [(1, Err("field 2 of the record is no UTF-8".to_owned())), record(2, &["b", "c"])]
        );
        let open = all(b"a\n\"never\nclosed");
        assert_eq!(open[1], (2, Err("a quotation mark is opened and never closed".to_owned())));
        assert_eq!(open.len(), 2);
    }
}
