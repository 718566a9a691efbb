//! The embedded collection store and a real Chroma, asked the same things: thousands of random operations, the same answers.
//!
//! Lists among the metadata are left out: Chroma 1.5.9 forgets to delete those of a record that is gone.

use std::fmt::Debug;

use labtop::domain::collection::{
    CollectionEdit, Hnsw, NewCollection, Record, RecordEdit, RecordFilter, RecordHit, RecordPage, Space,
    StoredRecord,
};
use labtop::domain::document::Metadata;
use labtop::store::Result;
use labtop::store::collections::CollectionStore;
use rand::rngs::ChaCha12Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use serde_json::{Map, Value, json};

use crate::support::backends::{self, Backends};

/// Of each of the four tests.
const OPERATIONS: usize = 500;
const DIMENSION: usize = 5;
const SPACES: [Space; 3] = [Space::Cosine, Space::L2, Space::Ip];
/// So few that most operations meet records that are there; along an index they are all found.
const IDS: usize = 40;
const WORDS: [&str; 6] = ["cat", "dog", "sat", "mat", "100%", "a_b"];

#[derive(Clone, Debug)]
enum Operation {
    Add(Vec<Record>),
    Upsert(Vec<Record>),
    Update(Vec<RecordEdit>),
    Remove(Vec<String>),
    Existing(Vec<String>),
    Get(RecordPage),
    Query { vector: Vec<f32>, limit: usize, filter: RecordFilter },
    Edit(CollectionEdit),
    Look,
}

/// What an operation gave.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Done,
    Count(u64),
    Ids(Vec<String>),
    Records(Vec<StoredRecord>),
    Hits(Vec<RecordHit>),
    Collection { name: String, metadata: Metadata, space: Space, dimension: Option<usize>, records: u64 },
}

struct Dice(ChaCha12Rng);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn vector(&mut self) -> Vec<f32> {
        let dimension = if self.one_in(60) { DIMENSION + 1 } else { DIMENSION };
        let mut vector: Vec<f32> = (0..dimension).map(|_| StandardNormal.sample(&mut self.0)).collect();
        if self.one_in(80) {
            vector[0] = *[f32::NAN, f32::INFINITY].choose(&mut self.0).unwrap();
        }
        vector
    }

    /// Mostly different ones.
    fn ids(&mut self, most: usize) -> Vec<String> {
        let count = 1 + self.below(most);
        let mut ids: Vec<usize> = (0..count).map(|_| self.below(IDS)).collect();
        if !self.one_in(20) {
            ids.sort_unstable();
            ids.dedup();
        }
        ids.into_iter().map(|id| format!("r{id}")).collect()
    }

    fn text(&mut self) -> Option<String> {
        let words = self.below(4);
        let text: Vec<&str> = (0..words).map(|_| *WORDS.choose(&mut self.0).unwrap()).collect();
        (words > 0).then(|| text.join(" "))
    }

    fn value(&mut self) -> Value {
        match self.below(6) {
            0 | 1 => json!(self.below(4)),
            2 => json!(self.below(4) as f64 + 0.5),
            3 => json!(self.below(3) as f64),
            4 => json!(["x", "y", "1", ""][self.below(4)]),
            _ => json!(self.one_in(2)),
        }
    }

    fn key(&mut self) -> String {
        ["n", "m", "s"][self.below(3)].to_owned()
    }

    fn metadata(&mut self, nulls: bool) -> Metadata {
        let count = self.below(4);
        let entry = |dice: &mut Self| {
            let value = if nulls && dice.one_in(3) { Value::Null } else { dice.value() };
            (dice.key(), value)
        };
        let mut metadata: Metadata = (0..count).map(|_| entry(self)).collect();
        if self.one_in(100) {
            metadata.insert("nested".to_owned(), json!({ "a": 1 }));
        }
        metadata
    }

    fn records(&mut self) -> Vec<Record> {
        let ids = self.ids(5);
        let record = |id| Record {
            id,
            document: self.text(),
            embedding: self.vector(),
            metadata: self.metadata(false),
        };
        ids.into_iter().map(record).collect()
    }

    fn edits(&mut self) -> Vec<RecordEdit> {
        let ids = self.ids(5);
        let edit = |id| RecordEdit {
            id,
            document: self.text(),
            embedding: self.one_in(2).then(|| self.vector()),
            metadata: self.metadata(true),
        };
        ids.into_iter().map(edit).collect()
    }

    fn condition(&mut self, depth: usize) -> Value {
        if depth > 0 && self.one_in(3) {
            let count = 1 + self.below(3);
            let parts: Vec<Value> = (0..count).map(|_| self.condition(depth - 1)).collect();
            return json!({ ["$and", "$or"][self.below(2)]: parts });
        }
        let (key, value) = (self.key(), self.value());
        let condition = match self.below(9) {
            0 => value,
            1 => json!({ "$eq": value }),
            2 => json!({ "$ne": value }),
            3 => json!({ "$gt": value }),
            4 => json!({ "$gte": value }),
            5 => json!({ "$lt": value }),
            6 => json!({ "$lte": value }),
            7 => json!({ "$in": [value, self.value()] }),
            _ => json!({ "$nin": [value] }),
        };
        json!({ key: condition })
    }

    fn text_condition(&mut self, depth: usize) -> Value {
        if depth > 0 && self.one_in(3) {
            let parts = [self.text_condition(depth - 1), self.text_condition(depth - 1)];
            return json!({ ["$and", "$or"][self.below(2)]: parts });
        }
        let word = *WORDS.choose(&mut self.0).unwrap();
        match self.below(4) {
            0 => json!({ "$contains": word }),
            1 => json!({ "$not_contains": word }),
            2 => json!({ "$regex": format!("^{}", &word[..1]) }),
            _ => json!({ "$not_regex": "(at|og)$" }),
        }
    }

    fn filter(&mut self) -> RecordFilter {
        let object = |value: Value| value.as_object().cloned();
        RecordFilter {
            r#where: if self.one_in(2) { object(self.condition(2)) } else { None },
            where_document: if self.one_in(4) { object(self.text_condition(1)) } else { None },
        }
    }

    fn operation(&mut self) -> Operation {
        match self.below(20) {
            0..3 => Operation::Add(self.records()),
            3..6 => Operation::Upsert(self.records()),
            6..9 => Operation::Update(self.edits()),
            9..11 => Operation::Remove(self.ids(4)),
            11 => Operation::Existing(self.ids(6)),
            12..15 => Operation::Get(RecordPage {
                offset: if self.one_in(3) { self.below(IDS) } else { 0 },
                limit: 1 + self.below(2 * IDS),
                with_embeddings: self.one_in(2),
                filter: self.filter(),
                ids: if self.one_in(4) { self.ids(9) } else { Vec::new() },
            }),
            15..19 => {
                Operation::Query { vector: self.vector(), limit: 1 + self.below(IDS), filter: self.filter() }
            }
            _ if self.one_in(3) => {
                let of = Map::from_iter([("of".to_owned(), json!(self.below(9)))]);
                Operation::Edit(CollectionEdit { name: None, metadata: Some(of) })
            }
            _ => Operation::Look,
        }
    }
}

async fn carry_out(store: &dyn CollectionStore, name: &str, operation: &Operation) -> Result<Answer> {
    let whole = |of: labtop::domain::collection::Collection| Answer::Collection {
        name: of.name,
        metadata: of.metadata,
        space: of.space,
        dimension: of.dimension,
        records: of.records,
    };
    Ok(match operation {
        Operation::Add(records) => {
            store.add(name, records).await?;
            Answer::Done
        }
        Operation::Upsert(records) => Answer::Count(store.upsert(name, records).await?),
        Operation::Update(edits) => {
            store.update(name, edits).await?;
            Answer::Done
        }
        Operation::Remove(ids) => Answer::Count(store.remove_records(name, ids).await?),
        Operation::Existing(ids) => {
            let mut found = store.existing(name, ids).await?;
            found.sort_unstable();
            Answer::Ids(found)
        }
        Operation::Get(page) => Answer::Records(store.records(name, page).await?),
        Operation::Query { vector, limit, filter } => {
            Answer::Hits(store.query(name, vector, *limit, filter).await?)
        }
        Operation::Edit(edit) => whole(store.edit(name, edit).await?),
        Operation::Look => whole(store.get(name).await?),
    })
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-4 * one.abs().max(1.0)
}

fn same_record(one: &StoredRecord, other: &StoredRecord) -> bool {
    let near = match (&one.embedding, &other.embedding) {
        (Some(one), Some(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| near((*one).into(), (*other).into()))
        }
        (None, None) => true,
        _ => false,
    };
    near && (&one.id, &one.document, &one.metadata) == (&other.id, &other.document, &other.metadata)
}

/// Hits at the same distance may come in any order.
fn same_hits(one: &[RecordHit], other: &[RecordHit]) -> bool {
    let distances = one.iter().zip(other).all(|(one, other)| near(one.distance, other.distance));
    let last = one.last().map_or(0.0, |hit| hit.distance);
    let found = |hit: &RecordHit, among: &[RecordHit]| {
        // Of equals the last may have been cut off.
        near(hit.distance, last) || among.iter().any(|other| same_record(&hit.record, &other.record))
    };
    one.len() == other.len() && distances && one.iter().all(|hit| found(hit, other))
}

fn same(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Records(one), Answer::Records(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_record(one, other))
        }
        (Answer::Hits(one), Answer::Hits(other)) => same_hits(one, other),
        (one, other) => one == other,
    }
}

macro_rules! mirrored {
    ($($name:ident: $seed:literal),+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let Some(chroma) = backends::chroma().await else { return };
                mirror(&backends::in_memory().await.unwrap(), &chroma, $seed).await;
            }
        )+
    };
}
mirrored!(first: 11, second: 12, third: 13, fourth: 14);

async fn mirror(file: &Backends, chroma: &Backends, seed: u64) {
    let mut dice = Dice(ChaCha12Rng::seed_from_u64(seed));
    let stores = [file.collections(), chroma.collections()];
    let names = SPACES.map(|space| format!("in-{}", space.as_str()));
    for (name, space) in names.iter().zip(SPACES) {
        for store in stores {
            // So dense that no record is out of reach along the index, whatever was deleted.
            let hnsw = Hnsw {
                ef_construction: Some(1000),
                max_neighbors: Some(100),
                ef_search: Some(1000),
                ..Hnsw::default()
            };
            let new = NewCollection { hnsw, ..NewCollection::new(name, &Metadata::new(), space) };
            store.create(&new).await.unwrap();
        }
    }
    let (mut refused, mut found) = (0, 0);
    for number in 0..OPERATIONS {
        let name = names.choose(&mut dice.0).unwrap();
        let operation = dice.operation();
        let [one, other] =
            [carry_out(stores[0], name, &operation).await, carry_out(stores[1], name, &operation).await];
        let told = |one: &dyn Debug, other: &dyn Debug| {
            format!("{number} {name} {operation:?}\n embedded {one:?}\n chroma   {other:?}")
        };
        match (one, other) {
            (Ok(one), Ok(other)) => {
                assert!(same(&one, &other), "{}", told(&one, &other));
                found += usize::from(matches!(&one, Answer::Records(found) if !found.is_empty()));
                found += usize::from(matches!(&one, Answer::Hits(found) if !found.is_empty()));
            }
            (Err(one), Err(other)) => {
                assert_eq!(one.kind, other.kind, "{}", told(&one, &other));
                refused += 1;
            }
            (one, other) => panic!("{}", told(&one, &other)),
        }
    }
    // The dice are no such as never meet anything.
    assert!(refused > OPERATIONS / 50 && found > OPERATIONS / 10, "{refused} refused, {found} found");
}
