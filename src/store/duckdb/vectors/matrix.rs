//! One model's or one collection's vectors, row by row, and the nearest of them.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use super::kernel;

/// How many rows are measured before somebody may say that nobody wants the answer any more.
const ROWS_AT_ONCE: usize = 1024;

/// Floats from which on a second thread is worth starting: about a quarter of a millisecond's work.
const FLOATS_FOR_A_THREAD: usize = 1_000_000;

/// Reading memory is what takes the time, and more threads than that read no faster.
const MOST_THREADS: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Matrix {
    dimension: usize,
    values: Vec<f32>,
    /// Of every row: cosine needs them.
    lengths: Vec<f32>,
    keys: Keys,
}

/// By what a row is found in the file; among equals at the same distance it says who comes first.
#[derive(Debug)]
pub enum Keys {
    Ids { text: String, ends: Vec<u32> },
    Positions(Vec<i64>),
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOf<'a> {
    Id(&'a str),
    Position(i64),
}

/// How a distance is measured, with the formulas of the stores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// One minus cosine; what a vector without direction gives.
    Cosine {
        without: f64,
    },
    L2,
    L2Squared,
    /// What the product is taken from.
    Ip {
        from: f64,
    },
    L1,
}

/// A question to a matrix.
#[derive(Clone, Debug)]
pub struct Asked {
    pub vector: Vec<f32>,
    pub measure: Measure,
    pub limit: usize,
    /// Only these rows.
    pub rows: Option<Vec<u32>>,
}

/// A row and how far it lies away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    pub row: usize,
    pub distance: f64,
}

impl Keys {
    pub fn count(&self) -> usize {
        match self {
            Keys::Ids { ends, .. } => ends.len(),
            Keys::Positions(positions) => positions.len(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Keys::Ids { text, ends } => text.capacity() + ends.capacity() * size_of::<u32>(),
            Keys::Positions(positions) => positions.capacity() * size_of::<i64>(),
        }
    }

    pub fn get(&self, row: usize) -> KeyOf<'_> {
        match self {
            Keys::Ids { text, ends } => {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                KeyOf::Id(&text[start as usize..ends[row] as usize])
            }
            Keys::Positions(positions) => KeyOf::Position(positions[row]),
        }
    }
}

impl Matrix {
    /// Rows of `values` follow each other; there are as many as there are keys.
    pub fn new(dimension: usize, values: Vec<f32>, keys: Keys) -> Self {
        let lengths = values.chunks_exact(dimension.max(1)).map(|row| kernel::dot(row, row).sqrt()).collect();
        Matrix { dimension, values, lengths, keys }
    }

    pub fn rows(&self) -> usize {
        self.keys.count()
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        (self.values.capacity() + self.lengths.capacity()) * size_of::<f32>() + self.keys.bytes()
    }

    pub fn key(&self, row: usize) -> KeyOf<'_> {
        self.keys.get(row)
    }

    /// Rows with these keys, which come in about the order in which the rows do: both were read from one table. Keys that
    /// are not there are left out.
    pub fn rows_of<'a>(&self, keys: impl Iterator<Item = KeyOf<'a>>) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = 0;
        let mut by_key: Option<HashMap<KeyOf<'_>, u32>> = None;
        for key in keys {
            if by_key.is_none() {
                let ahead = (next..self.rows()).find(|row| self.key(*row) == key);
                if let Some(row) = ahead {
                    found.push(row as u32);
                    next = row + 1;
                    continue;
                }
            }
            let by_key = by_key
                .get_or_insert_with(|| (0..self.rows()).map(|row| (self.key(row), row as u32)).collect());
            found.extend(by_key.get(&key));
        }
        found
    }

    /// The nearest rows, nearest first; ties by key, distances that are NaN last. None once `stop` is set.
    pub fn nearest(&self, asked: &Asked, stop: &AtomicBool) -> Option<Vec<Found>> {
        let rows = asked.rows.as_ref().map_or(self.rows(), Vec::len);
        let worth = (rows * self.dimension / FLOATS_FOR_A_THREAD).max(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.nearest_with(asked, stop, worth.min(cores).min(MOST_THREADS))
    }

    /// See [`Matrix::nearest`]; on that many threads.
    pub fn nearest_with(&self, asked: &Asked, stop: &AtomicBool, threads: usize) -> Option<Vec<Found>> {
        let rows = asked.rows.as_ref().map_or(self.rows(), Vec::len);
        if rows == 0 || asked.limit == 0 {
            return Some(Vec::new());
        }
        let part = rows.div_ceil(threads.max(1));
        let parts = (0..rows).step_by(part).map(|start| start..(start + part).min(rows));
        let query = Query::new(asked);
        let mut nearest: Vec<Candidate<'_>> = std::thread::scope(|scope| {
            let measure = |part| self.part(asked, &query, part, stop);
            let mut parts = parts.collect::<Vec<_>>().into_iter();
            let own = parts.next();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || measure(part))).collect();
            let mut found = own.and_then(measure)?;
            for other in others {
                // One that panicked has found nothing: then DuckDB answers.
                found.extend(other.join().ok()??);
            }
            Some(found)
        })?;
        nearest.sort_unstable();
        nearest.truncate(asked.limit);
        Some(nearest.into_iter().map(|one| Found { row: one.row, distance: one.distance }).collect())
    }

    fn part(
        &self,
        asked: &Asked,
        query: &Query<'_>,
        part: Range<usize>,
        stop: &AtomicBool,
    ) -> Option<Vec<Candidate<'_>>> {
        let most = asked.limit.min(part.len());
        let mut best = BinaryHeap::with_capacity(most + 1);
        let mut worst = f64::INFINITY;
        for (count, place) in part.enumerate() {
            if count % ROWS_AT_ONCE == 0 && stop.load(Memory::Relaxed) {
                return None;
            }
            let row = asked.rows.as_ref().map_or(place, |rows| rows[place] as usize);
            let distance = query.distance(self, row);
            let full = best.len() == most;
            // Nearly all rows end here.
            if full && distance > worst {
                continue;
            }
            let candidate = Candidate { distance, key: self.key(row), row };
            if full && best.peek().is_some_and(|worst| candidate >= *worst) {
                continue;
            }
            best.push(candidate);
            if best.len() > most {
                best.pop();
            }
            if best.len() == most {
                worst = best.peek().map_or(worst, |worst| worst.distance);
            }
        }
        Some(best.into_vec())
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }
}

/// What is asked, with what is worked out once.
struct Query<'a> {
    vector: &'a [f32],
    measure: Measure,
    length: f32,
}

impl<'a> Query<'a> {
    fn new(asked: &'a Asked) -> Self {
        let vector = &asked.vector;
        Query { vector, measure: asked.measure, length: kernel::dot(vector, vector).sqrt() }
    }

    fn distance(&self, matrix: &Matrix, row: usize) -> f64 {
        let values = matrix.row(row);
        match self.measure {
            Measure::Cosine { without } => {
                let length = matrix.lengths[row];
                if length == 0.0 || self.length == 0.0 {
                    return without;
                }
                let product = f64::from(kernel::dot(values, self.vector));
                let cosine = (product / (f64::from(length) * f64::from(self.length))) as f32;
                f64::from(1.0 - cosine.clamp(-1.0, 1.0))
            }
            Measure::L2 => f64::from(kernel::squared(values, self.vector).sqrt()),
            Measure::L2Squared => f64::from(kernel::squared(values, self.vector)),
            Measure::Ip { from } => from - f64::from(kernel::dot(values, self.vector)),
            Measure::L1 => f64::from(kernel::absolute(values, self.vector)),
        }
    }
}

/// Ordered by what comes first in an answer.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    distance: f64,
    key: KeyOf<'a>,
    row: usize,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_distance = self.distance.partial_cmp(&other.distance);
        // Where they cannot be compared, one is NaN: that one comes last.
        let by_distance = by_distance.unwrap_or_else(|| self.distance.is_nan().cmp(&other.distance.is_nan()));
        by_distance.then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate<'_> {}

#[cfg(test)]
mod tests;
