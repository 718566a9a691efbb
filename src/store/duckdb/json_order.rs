//! The order of experiments by values in JSON: the values are read as they come, and their ids sorted here.
//!
//! DuckDB's own sort of a million numbers with texts beside them does not fit into the memory that a list is read with.

use std::collections::HashMap;
use std::thread;

use duckdb::arrow::array::{Array, BooleanArray, Float64Array, Int64Array, StringArray, StructArray};

use crate::domain::experiment::ExperimentId;

use super::chunks::column;
use super::room::roomy;

/// Texts that are ordered here. More of them would take the memory that sorting here saves.
const FEW_TEXTS: usize = 10_000;

/// Fewer rows than that are sorted before a second thread has begun.
const MANY_ROWS: usize = 50_000;

/// A row as one number, ordered as the rows are: whether it failed, its [`Kind`], its value, and its id, of which the newest
/// comes first. 16 bytes, since there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u128);

/// What a value is: one kind comes behind the other whichever way the values are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Empty,
}

const ID_BITS: u32 = 56;
const ID_MASK: u128 = (1 << ID_BITS) - 1;
const KEY_MASK: u128 = (u64::MAX as u128) << ID_BITS;
const KIND_AT: u32 = ID_BITS + u64::BITS;
const FAILED_AT: u32 = KIND_AT + 2;

impl Place {
    /// None for an id that no store would give.
    fn new(failed: bool, kind: Kind, key: u64, id: ExperimentId) -> Option<Self> {
        let age = ID_MASK.checked_sub(u128::try_from(id).ok()?)?;
        let place = u128::from(failed) << FAILED_AT | (kind as u128) << KIND_AT;
        Some(Place(place | u128::from(key) << ID_BITS | age))
    }

    fn is(self, kind: Kind) -> bool {
        self.0 >> KIND_AT & 0b11 == kind as u128
    }

    fn key(self) -> u64 {
        (self.0 >> ID_BITS) as u64
    }

    fn with_key(self, key: u64) -> Self {
        Place(self.0 & !KEY_MASK | u128::from(key) << ID_BITS)
    }

    fn id(self) -> ExperimentId {
        (ID_MASK - (self.0 & ID_MASK)) as ExperimentId
    }
}

/// Rows in the order of [`Order::list`](crate::store::order_sql::Order::list).
#[derive(Debug)]
pub struct Sorter {
    places: Vec<Place>,
    texts: Texts,
}

impl Sorter {
    /// With room for so many rows.
    pub fn with_room(rows: usize) -> Self {
        Sorter { places: roomy(rows), texts: Texts::default() }
    }

    /// Takes rows of an id, whether they failed, their number, and the text beside it. False when they cannot be ordered
    /// here, for there are too many texts, or an id out of all bounds.
    pub fn take(&mut self, chunk: &StructArray) -> duckdb::Result<bool> {
        let ids = column::<Int64Array>(chunk, 0)?;
        let failed = column::<BooleanArray>(chunk, 1)?;
        let (numbers, texts) = (column::<Float64Array>(chunk, 2)?, column::<StringArray>(chunk, 3)?);
        for row in 0..ids.len() {
            let (kind, key) = match (numbers.is_valid(row), texts.is_valid(row)) {
                (true, _) => (Kind::Number, of_number(numbers.value(row))),
                (false, true) => (Kind::Text, self.texts.number(texts.value(row))),
                (false, false) => (Kind::Empty, 0),
            };
            let failed = failed.is_valid(row) && failed.value(row);
            let Some(place) = Place::new(failed, kind, key, ids.value(row)) else { return Ok(false) };
            self.places.push(place);
        }
        Ok(self.texts.numbers.len() <= FEW_TEXTS)
    }

    /// The ids of all that was taken.
    pub fn ids(mut self, descending: bool) -> Vec<ExperimentId> {
        let texts = self.texts.places();
        for place in self.places.iter_mut().filter(|place| !place.is(Kind::Empty)) {
            let key = place.key();
            let key = if place.is(Kind::Text) { texts[key as usize] } else { key };
            *place = place.with_key(if descending { !key } else { key });
        }
        sort(&mut self.places);
        let mut ids: Vec<_> = self.places.into_iter().map(Place::id).collect();
        // They stand where the places stood, which are twice as long.
        ids.shrink_to_fit();
        ids
    }
}

/// Texts by the numbers they got as they came.
#[derive(Debug, Default)]
struct Texts {
    numbers: HashMap<Box<str>, u64>,
    /// Rows that follow one another often have the same.
    last: Option<(Box<str>, u64)>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u64 {
        if let Some((_, number)) = self.last.as_ref().filter(|(last, _)| **last == *text) {
            return *number;
        }
        let next = self.numbers.len() as u64;
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => *self.numbers.entry(text.into()).or_insert(next),
        };
        self.last = Some((text.into(), number));
        number
    }

    /// The place of each in the order of all, by bytes as on every store.
    fn places(&self) -> Vec<u64> {
        let mut texts: Vec<(&str, u64)> =
            self.numbers.iter().map(|(text, number)| (&**text, *number)).collect();
        texts.sort_unstable();
        let mut places = vec![0; texts.len()];
        for (place, (_, number)) in (0..).zip(texts) {
            places[number as usize] = place;
        }
        places
    }
}

/// Both zeros are one, and what is not a number is greater than all, as DuckDB has it.
fn of_number(value: f64) -> u64 {
    let bits = match value {
        0.0 => 0,
        value if value.is_nan() => f64::NAN.to_bits(),
        value => value.to_bits(),
    };
    // The bits of negative numbers count downwards.
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

/// Both halves at the same time.
fn sort(places: &mut [Place]) {
    if places.len() < MANY_ROWS || places.is_sorted() {
        return places.sort_unstable();
    }
    let (low, _, high) = places.select_nth_unstable(places.len() / 2);
    thread::scope(|scope| {
        scope.spawn(|| low.sort_unstable());
        high.sort_unstable();
    });
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::super::chunks::chunks;
    use super::*;

    const VALUES: &str = "(VALUES (1, 0.0, NULL), (2, -0.0, NULL), (3, -1.5, NULL), (4, 1e300, NULL), \
        (5, -1e300, NULL), (6, 'nan'::DOUBLE, NULL), (7, NULL, 'b'), (8, NULL, 'B'), (9, NULL, 'ä'), (10, NULL, NULL), \
        (11, 2.0, NULL), (12, 2.0, NULL), (13, NULL, 'b'), (14, NULL, NULL), (15, 'inf'::DOUBLE, NULL))";

    #[test]
    fn ids_are_in_the_order_that_duckdb_would_have_them_in() {
        let connection = Connection::open_in_memory().unwrap();
        let rows = format!(
            "SELECT id::BIGINT * 2 + failed AS id, failed = 1 AS failed, value::DOUBLE AS value, words \
             FROM {VALUES} known(id, value, words), (VALUES (0), (1)) halves(failed)"
        );
        for (descending, way) in [(false, "ASC"), (true, "DESC")] {
            let mut sorter = Sorter::with_room(0);
            chunks(&mut connection.prepare(&rows).unwrap(), [], |chunk| sorter.take(chunk).map(drop))
                .unwrap();
            let sql = format!(
                "SELECT id FROM ({rows}) ORDER BY failed, value {way} NULLS LAST, words {way} NULLS LAST, id DESC"
            );
            let mut statement = connection.prepare(&sql).unwrap();
            let expected = statement.query_map([], |row| row.get(0)).unwrap();
            let expected = expected.collect::<duckdb::Result<Vec<ExperimentId>>>().unwrap();
            assert_eq!(sorter.ids(descending), expected, "{way}");
        }
    }

    #[test]
    fn many_rows_are_sorted_in_two_halves() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "SELECT range AS id, false AS failed, (range * 7919 % 60_000)::DOUBLE AS value, NULL::VARCHAR AS words \
                   FROM range(60_000)";
        let mut sorter = Sorter::with_room(0);
        chunks(&mut connection.prepare(sql).unwrap(), [], |chunk| sorter.take(chunk).map(drop)).unwrap();
        let values: Vec<_> = sorter.ids(true).into_iter().map(|id| id * 7919 % 60_000).collect();
        assert_eq!(values.len(), 60_000);
        assert!(values.is_sorted_by(|one, other| one > other));
    }

    #[test]
    fn an_id_out_of_bounds_is_left_to_duckdb() {
        let place = |id| Place::new(false, Kind::Empty, 0, id);
        assert_eq!(place(ID_MASK as ExperimentId).map(Place::id), Some(ID_MASK as ExperimentId));
        assert_eq!((place(ID_MASK as ExperimentId + 1), place(-1)), (None, None));
    }

    #[test]
    fn too_many_texts_are_left_to_duckdb() {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "SELECT range AS id, false AS failed, NULL::DOUBLE AS value, range::VARCHAR AS words FROM range(20_000)";
        let mut sorter = Sorter::with_room(0);
        let mut last = true;
        chunks(&mut connection.prepare(sql).unwrap(), [], |chunk| {
            last = sorter.take(chunk)?;
            Ok(())
        })
        .unwrap();
        assert!(!last);
    }
}
