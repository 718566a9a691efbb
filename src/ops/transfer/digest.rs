//! Digests of what is moved: the same for a thing in every store, whatever the engine made of its numbers and the order of its
//! keys, and different as soon as anything of it differs.

use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::batch::Batch;
use crate::domain::collection::{Collection, Space, StoredRecord};
use crate::domain::document::Document;
use crate::domain::experiment::Experiment;
use crate::domain::metric::MetricPoint;
use crate::store::outbox::NewDelivery;
use crate::store::transfer::WholeRun;

/// Half of a SHA-256.
pub type Digest = u128;

/// Digests added up: the same in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u128);

impl Sum {
    pub fn add(&mut self, digest: Digest) {
        self.0 = self.0.wrapping_add(digest);
    }

    /// The first sixteen hex digits, for people.
    pub fn brief(self) -> String {
        format!("{:032x}", self.0)[..16].to_owned()
    }
}

/// Bytes that are put together, each part with its kind or length, so that no two values give the same.
#[derive(Default)]
struct Canon(Vec<u8>);

impl Canon {
    fn number(&mut self, number: i64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        let text = plain(text);
        self.number(text.len() as i64);
        self.0.extend(text.as_bytes());
        self
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.number(1).text(text),
            None => self.number(0),
        }
    }

    fn maybe(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.number(1).number(number),
            None => self.number(0),
        }
    }

    fn moment(&mut self, at: Option<Timestamp>) -> &mut Self {
        self.maybe(at.map(|at| at.as_microsecond()))
    }

    /// NaN is NaN, and a zero has no sign.
    fn float(&mut self, number: f64) -> &mut Self {
        let number = if number.is_nan() { f64::NAN } else { number + 0.0 };
        self.0.extend(number.to_bits().to_le_bytes());
        self
    }

    fn floats(&mut self, numbers: &[f32]) -> &mut Self {
        self.number(numbers.len() as i64);
        for number in numbers {
            self.0.extend((number + 0.0).to_bits().to_le_bytes());
        }
        self
    }

    fn json(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Null => self.number(0),
            Value::Bool(bool) => self.number(1).number(i64::from(*bool)),
            // Engines write 1.0 as 1 and 1e16 as 10000000000000000.
            Value::Number(number) => {
                self.number(2).float(number.as_f64().unwrap_or(f64::NAN)).optional(exact(number).as_deref())
            }
            Value::String(text) => self.number(3).text(text),
            Value::Array(items) => {
                self.number(4).number(items.len() as i64);
                items.iter().fold(self, |canon, item| canon.json(item))
            }
            Value::Object(map) => self.number(5).object(map),
        }
    }

    fn object(&mut self, map: &Map<String, Value>) -> &mut Self {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        self.number(entries.len() as i64);
        entries.into_iter().fold(self, |canon, (key, value)| canon.text(key).json(value))
    }

    fn digest(&self) -> Digest {
        let whole = Sha256::digest(&self.0);
        whole.iter().take(16).fold(0, |digest, byte| (digest << 8) | u128::from(*byte))
    }
}

/// Text as every store has it: PostgreSQL has no NUL and is given six characters for it.
pub fn plain(text: &str) -> String {
    text.replace('\0', "\\u0000")
}

/// The digits of a whole number that a float has no room for.
fn exact(number: &Number) -> Option<String> {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
    (whole as f64 as i128 != whole).then(|| number.to_string())
}

/// A batch without its id, which may differ, and its counts, which are those of its runs.
pub fn batch(batch: &Batch) -> Digest {
    let mut canon = Canon::default();
    canon.text(&batch.key.to_string()).text(&batch.name).object(&batch.spec);
    canon.number(i64::from(batch.parallel)).moment(Some(batch.created_at)).digest()
}

/// The points of a run.
pub fn points(run: &WholeRun) -> Digest {
    let mut points: Vec<&MetricPoint> = run.points.iter().collect();
    points.sort_by(|one, other| {
        let place = |point: &MetricPoint| (point.step, point.recorded_at, point.value.to_bits());
        one.name.cmp(&other.name).then_with(|| place(one).cmp(&place(other)))
    });
    let mut canon = Canon::default();
    canon.text(&run.experiment.key.to_string()).number(points.len() as i64);
    for point in points {
        canon.text(&point.name).number(point.step).float(point.value).moment(Some(point.recorded_at));
    }
    canon.digest()
}

/// What was run and what came of it, without points and without ids: `batch` is the key of its batch.
pub fn run(experiment: &Experiment, batch: Option<Uuid>) -> Digest {
    let mut canon = Canon::default();
    canon.text(&experiment.key.to_string()).text(&experiment.name).text(&experiment.model_type);
    canon.text(&experiment.dataset).text(&experiment.description).object(&experiment.parameters);
    canon.text(experiment.status.as_str()).object(&experiment.results);
    for (_, figure) in experiment.figures.named() {
        canon.maybe(figure.map(|_| 1)).float(figure.unwrap_or_default());
    }
    canon.text(&experiment.runner).maybe(experiment.seed).number(i64::from(experiment.attempt));
    let batch = batch.map(|key| key.to_string());
    canon.optional(batch.as_deref()).maybe(experiment.trial).moment(Some(experiment.created_at));
    canon.moment(experiment.started_at).moment(experiment.finished_at).moment(experiment.heartbeat_at);
    for text in [&experiment.worker, &experiment.host, &experiment.command, &experiment.git_commit] {
        canon.optional(text.as_deref());
    }
    canon.optional(experiment.error.as_deref()).digest()
}

/// What people did to a run: tags, note, archive mark.
pub fn marks(experiment: &Experiment) -> Digest {
    let mut canon = Canon::default();
    canon.number(experiment.tags.len() as i64);
    experiment.tags.iter().for_each(|tag| {
        canon.text(tag);
    });
    canon.text(&experiment.note).moment(experiment.archived_at).digest()
}

pub fn document(document: &Document) -> Digest {
    let mut canon = Canon::default();
    canon.text(&document.model_name).text(&document.document_id).text(&document.content);
    canon.floats(&document.embedding).object(&document.metadata).digest()
}

/// A collection without its records.
pub fn collection(collection: &Collection) -> Digest {
    let mut canon = Canon::default();
    canon.text(&collection.name).text(collection.space.as_str()).object(&collection.metadata).digest()
}

/// A record of a collection but for its vector, see [`vectors_agree`]. Chroma knows no difference between no document and an empty
/// one.
pub fn record(collection: &str, record: &StoredRecord) -> Digest {
    let mut canon = Canon::default();
    canon.text(collection).text(&record.id).text(record.document.as_deref().unwrap_or_default());
    canon.object(&record.metadata).digest()
}

/// Of the length of a vector: what Chroma's arithmetic takes away is a tenth of that.
const ROUNDED: f64 = 1e-6;

/// Whether two vectors are the same. Where directions count Chroma keeps them at length one and gives them back at their old length,
/// not quite as they were.
pub fn vectors_agree(one: &[f32], other: &[f32], space: Space) -> bool {
    if one.len() != other.len() || space != Space::Cosine {
        return one == other;
    }
    let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>();
    let between = square(&mut one.iter().zip(other).map(|(one, other)| f64::from(*one) - f64::from(*other)));
    let length = square(&mut one.iter().map(|number| f64::from(*number)));
    between <= length * ROUNDED * ROUNDED
}

pub fn delivery(delivery: &NewDelivery) -> Digest {
    let mut canon = Canon::default();
    canon.text(&delivery.collection).number(delivery.records.len() as i64);
    for record in &delivery.records {
        canon.text(&record.id).optional(record.document.as_deref());
        canon.object(&record.metadata).floats(&record.embedding);
    }
    canon.digest()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Digest {
        Canon::default().json(value).digest()
    }

    #[test]
    fn what_engines_make_of_json_is_the_same() {
        for (one, other) in [
            (json!({"b": 1, "a": [1.0, 1e16]}), json!({"a": [1, 10_000_000_000_000_000_u64], "b": 1.0})),
            (json!({"a\0": "x\0"}), json!({"a\\u0000": "x\\u0000"})),
            (json!(-0.0), json!(0)),
        ] {
            assert_eq!(of(&one), of(&other), "{one}");
        }
    }

    #[test]
    fn what_differs_has_another_digest() {
        let values = [
            json!(null),
            json!(0),
            json!(false),
            json!(""),
            json!([]),
            json!({}),
            json!([[], []]),
            json!([[[]]]),
            json!(["ab", "c"]),
            json!(["a", "bc"]),
            json!(0.1),
            json!(0.100_000_000_000_000_02),
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_992_i64),
            json!({"a": null}),
        ];
        for (place, one) in values.iter().enumerate() {
            for other in &values[place + 1..] {
                assert_eq!(of(one) == of(other), one == other, "{one} {other}");
            }
        }
    }

    #[test]
    fn only_directions_are_rounded() {
        let (one, rounded, other) = ([0.6_f32, 0.8], [0.600_000_1_f32, 0.8], [0.600_01_f32, 0.8]);
        assert!(vectors_agree(&one, &rounded, Space::Cosine));
        assert!(!vectors_agree(&one, &other, Space::Cosine));
        assert!(!vectors_agree(&one, &rounded, Space::L2) && vectors_agree(&one, &one, Space::L2));
        assert!(
            vectors_agree(&[0.0], &[0.0], Space::Cosine) && !vectors_agree(&[0.0], &[1e-9], Space::Cosine)
        );
        assert!(!vectors_agree(&[0.5], &[0.5, 0.0], Space::Cosine));
    }

    #[test]
    fn sums_have_no_order() {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        [1, u128::MAX, 7].into_iter().for_each(|digest| one.add(digest));
        [7, 1, u128::MAX].into_iter().for_each(|digest| other.add(digest));
        assert_eq!((one, one.brief().len()), (other, 16));
        other.add(1);
        assert_ne!(one, other);
    }
}
