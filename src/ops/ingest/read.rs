//! Reading a file or stdin on a thread of its own, lot by lot: never more of it in memory than some lots.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::super::document::NewDocument;
use super::super::{OpsError, Result};
use super::belongs::Places;
use super::csv::Csv;
use super::fields::{check_text, guessed};
use super::lines::Lines;
use super::{Ingest, Kind, MOST_TEXT, Source, Split};
use crate::analytics::parquet;
use crate::domain::document::content_hash;

/// Documents that are embedded and stored together.
const LOT: usize = 1000;
/// Bytes of texts and vectors after which a lot is full.
const LOT_BYTES: usize = 8 * 1024 * 1024;
/// Lots that may wait for those before them: reading is quicker than what comes after it.
const AHEAD: usize = 2;
const BUFFER: usize = 256 * 1024;

/// One row: where it is, and what it says or what is wrong with it.
pub type Row = (usize, Result<NewDocument, String>);

/// Rows that belong together.
#[derive(Debug, Default)]
pub struct Lot {
    pub rows: Vec<Row>,
    /// Rows that say once more what another has said.
    pub repeated: u64,
    /// The share of the file that has been read; none where that is not known.
    pub share: Option<f64>,
}

/// Starts reading what is to go to these places.
pub fn start(job: &Ingest, places: Places) -> Result<mpsc::Receiver<Result<Lot>>> {
    let (send, receive) = mpsc::channel(AHEAD);
    let reader = Reader {
        job: job.clone(),
        places,
        seen: HashMap::new(),
        hashers: [RandomState::new(), RandomState::new()],
        lot: Lot::default(),
        bytes: 0,
        size: None,
        send,
    };
    std::thread::Builder::new()
        .name("reading".to_owned())
        .spawn(move || reader.run())
        .map_err(|source| OpsError::File { path: job.source.name(), source })?;
    Ok(receive)
}

struct Reader {
    job: Ingest,
    places: Places,
    /// A digest of each id, for the line that had it: 24 bytes a row are all that grows with the file.
    seen: HashMap<u128, u32>,
    hashers: [RandomState; 2],
    lot: Lot,
    /// In this lot.
    bytes: usize,
    size: Option<u64>,
    send: mpsc::Sender<Result<Lot>>,
}

/// Nobody wants the rest.
struct Gone;

impl Reader {
    fn run(mut self) {
        let read = self.read();
        // Who has gone away wants neither the rest nor an error.
        let _ = match read {
            Ok(Ok(())) => self.flush(Some(1.0)).map_err(drop),
            Ok(Err(Gone)) => Ok(()),
            Err(error) => self.send.blocking_send(Err(error)).map_err(drop),
        };
    }

    fn read(&mut self) -> Result<Result<(), Gone>> {
        let name = self.job.source.name();
        let failed = |source: io::Error| OpsError::File { path: name.clone(), source };
        if self.job.kind == Kind::Parquet {
            return self.parquet();
        }
        let source: Box<dyn BufRead> = match &self.job.source {
            Source::Stdin => Box::new(BufReader::with_capacity(BUFFER, io::stdin())),
            Source::File(path) => {
                let file = File::open(path).map_err(failed)?;
                // A pipe has no length.
                self.size = file.metadata().ok().map(|about| about.len()).filter(|length| *length > 0);
                Box::new(BufReader::with_capacity(BUFFER, file))
            }
        };
        let read = match (self.job.kind, self.job.split) {
            (Kind::Jsonl, _) => self.json_lines(Lines::new(source)),
            (Kind::Csv, _) => self.csv(Csv::new(source, b',')),
            (Kind::Tsv, _) => self.csv(Csv::new(source, b'\t')),
            (_, split) => self.text(Lines::new(source), split),
        };
        read.map_err(failed)
    }

    fn json_lines(&mut self, mut lines: Lines<impl BufRead>) -> io::Result<Result<(), Gone>> {
        while let Some((number, line)) = lines.next_line()? {
            let row = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => json(&line).and_then(|row| self.job.fields.document(row, number)),
                Err(why) => Err(why),
            };
            if self.push(number, row, lines.bytes()).is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }

    fn csv(&mut self, mut csv: Csv<impl BufRead>) -> io::Result<Result<(), Gone>> {
        let Some((number, header)) = csv.next_record()? else { return Ok(Ok(())) };
        let header = match header {
            Ok(header) => header,
            Err(why) => return Ok(self.push(number, Err(why), csv.bytes())),
        };
        let keep_text: Vec<&str> =
            [&self.job.fields.id, &self.job.fields.text].into_iter().flatten().map(String::as_str).collect();
        let typed: Vec<bool> = header
            .iter()
            .map(|name| !keep_text.contains(&name.as_str()) && !STAYS_TEXT.contains(&name.as_str()))
            .collect();
        while let Some((number, record)) = csv.next_record()? {
            let row = record.and_then(|record| table_row(&header, &typed, record));
            let row = row.and_then(|row| self.job.fields.document(row, number));
            if self.push(number, row, csv.bytes()).is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }

    fn text(&mut self, mut lines: Lines<impl BufRead>, split: Split) -> io::Result<Result<(), Gone>> {
        let mut piece = Piece::default();
        while let Some((number, line)) = lines.next_line()? {
            let blank = line.as_ref().is_ok_and(|line| line.trim().is_empty());
            let ends = blank && split != Split::File;
            if !ends {
                piece.add(number, line);
            }
            if (ends || split == Split::Line)
                && let Some((number, row)) = piece.finish()
                && self.push(number, row, lines.bytes()).is_err()
            {
                return Ok(Err(Gone));
            }
        }
        Ok(match piece.finish() {
            Some((number, row)) => self.push(number, row, lines.bytes()),
            None => Ok(()),
        })
    }

    fn parquet(&mut self) -> Result<Result<(), Gone>> {
        let path = match &self.job.source {
            Source::File(path) => path.clone(),
            Source::Stdin => {
                return Err(OpsError::Invalid("Parquet cannot be read from stdin: give a file".to_owned()));
            }
        };
        if let Err(source) = File::open(&path) {
            return Err(OpsError::File { path: self.job.source.name(), source });
        }
        let mut rows = parquet::Rows::open(&path)?;
        self.size = Some(rows.total());
        let mut number = 0;
        loop {
            let window = rows.next_window()?;
            if window.is_empty() {
                return Ok(Ok(()));
            }
            for text in window {
                number += 1;
                let row = json(&text).and_then(|row| self.job.fields.document(row, number));
                if self.push(number, row, number as u64).is_err() {
                    return Ok(Err(Gone));
                }
            }
        }
    }

    /// Takes a row in; `done` of `size` is read.
    fn push(&mut self, number: usize, row: Result<NewDocument, String>, done: u64) -> Result<(), Gone> {
        let row = match row.and_then(|document| self.named(document)) {
            Ok(Some(document)) => self.places.check(&document).map(|()| document),
            Ok(None) => {
                self.lot.repeated += 1;
                return Ok(());
            }
            Err(why) => Err(why),
        };
        if let Ok(document) = &row {
            self.bytes += document.text.len() + 4 * document.embedding.as_ref().map_or(0, Vec::len);
        }
        self.lot.rows.push((number, row));
        if self.lot.rows.len() >= LOT || self.bytes >= LOT_BYTES {
            let share = self.size.map(|size| (done as f64 / size.max(1) as f64).min(1.0));
            return self.flush(share);
        }
        Ok(())
    }

    fn flush(&mut self, share: Option<f64>) -> Result<(), Gone> {
        let lot = Lot { share, ..std::mem::take(&mut self.lot) };
        self.bytes = 0;
        if lot.rows.is_empty() && lot.repeated == 0 {
            return Ok(());
        }
        self.send.blocking_send(Ok(lot)).map_err(|_| Gone)
    }

    /// Gives an id and a model to a document without one; none for a document that has come already.
    fn named(&mut self, mut document: NewDocument) -> Result<Option<NewDocument>, String> {
        if document.model.is_none() {
            document.model.clone_from(&self.job.model);
        }
        let made = document.id.is_empty();
        if made {
            document.id = match &self.job.source {
                Source::File(path) if self.job.kind == Kind::Text && self.job.split == Split::File => {
                    stem(path)
                }
                Source::File(path) => format!("{}-{}", stem(path), document.line),
                // Another text from stdin is another document, whatever line it is on.
                Source::Stdin => format!("stdin-{}", &content_hash(&document.text)[..16]),
            };
        }
        let [one, two] = &self.hashers;
        let digest = u128::from(one.hash_one(&document.id)) << 64 | u128::from(two.hash_one(&document.id));
        let line = u32::try_from(document.line).unwrap_or(u32::MAX);
        match self.seen.insert(digest, line) {
            None => Ok(Some(document)),
            Some(_) if made && self.job.source == Source::Stdin => Ok(None),
            Some(first) => {
                self.seen.insert(digest, first);
                Err(format!("the id '{}' is taken by line {first}", document.id))
            }
        }
    }
}

/// Columns that are texts whatever they look like.
const STAYS_TEXT: [&str; 12] = [
    "id",
    "document_id",
    "_id",
    "text",
    "content",
    "document",
    "description",
    "body",
    "model_name",
    "embedding",
    "vector",
    "metadata",
];

fn table_row(header: &[String], typed: &[bool], record: Vec<String>) -> Result<Map<String, Value>, String> {
    if record.len() != header.len() {
        return Err(format!("{} fields where the header has {}", record.len(), header.len()));
    }
    let cell = |((name, typed), text): ((&String, &bool), String)| {
        let value = match text.as_str() {
            "" => Value::Null,
            _ if *typed => guessed(&text),
            _ => Value::String(text),
        };
        (name.clone(), value)
    };
    Ok(header.iter().zip(typed).zip(record).map(cell).collect())
}

fn json(line: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(line) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err("expected an object like {\"text\": \"...\"}".to_owned()),
        Err(error) => {
            let text = error.to_string();
            let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
            Err(format!("column {}: {why}", error.column().max(1)))
        }
    }
}

/// A text that is being put together from lines.
#[derive(Default)]
struct Piece {
    begun: usize,
    text: String,
    length: usize,
    problem: Option<String>,
}

impl Piece {
    fn add(&mut self, number: usize, line: Result<String, String>) {
        if self.begun == 0 {
            self.begun = number;
        }
        match line {
            Ok(line) => {
                self.length += line.len() + 1;
                // Of one that is too long no more is kept than is needed to say so.
                if self.length <= MOST_TEXT + 1 {
                    self.text.push_str(&line);
                    self.text.push('\n');
                }
            }
            Err(why) => {
                self.problem.get_or_insert(why);
            }
        }
    }

    fn finish(&mut self) -> Option<Row> {
        let Piece { begun: line, text, length, problem } = std::mem::take(self);
        if line == 0 {
            return None;
        }
        if let Some(why) = problem {
            return Some((line, Err(why)));
        }
        if length > MOST_TEXT + 1 {
            let mb = length as f64 / 1e6;
            let why =
                format!("the text has {mb:.1} MB; 4 MB are the most of one document: try --split paragraph");
            return Some((line, Err(why)));
        }
        let text = text.trim().to_owned();
        let document = check_text(&text).map(|()| NewDocument {
            id: String::new(),
            text,
            metadata: Map::new(),
            embedding: None,
            model: None,
            line,
        });
        Some((line, document))
    }
}

pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
