//! From TOML, and to the JSON that is kept with the batch.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::process::{self, ProcessKeys, ProcessSpec};
use crate::domain::worker::{check_labels, distinct};

use super::{BatchSpec, BatchSpecError, MOST_PARALLEL, MOST_TRIALS, Objective, Param, Search};

/// The runners that a batch may name.
const RUNNERS: [&str; 2] = [SIMULATE, process::RUNNER];

const SIMULATE: &str = "simulate";

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    dataset: String,
    #[serde(default = "simulate")]
    runner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Map<String, Value>>,
    #[serde(default = "one")]
    parallel: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default = "one")]
    repeats: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(default)]
    objective: Objective,
    #[serde(default)]
    search: SearchKeys,
    params: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchKeys {
    method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trials: Option<u64>,
}

impl Default for SearchKeys {
    fn default() -> Self {
        SearchKeys { method: "grid".to_owned(), trials: None }
    }
}

fn simulate() -> String {
    SIMULATE.to_owned()
}

fn one() -> u32 {
    1
}

impl BatchSpec {
    /// Parses and checks a text; `place` names it in errors.
    pub fn parse(text: &str, place: &str) -> Result<Self, BatchSpecError> {
        let wrong = |message: String| BatchSpecError { place: place.to_owned(), message };
        // toml's own message names line, column, the key and the known ones.
        let file: File =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        check(file).map_err(wrong)
    }
}

pub fn from_json(json: &Map<String, Value>) -> Result<BatchSpec, BatchSpecError> {
    let wrong = |message: String| BatchSpecError { place: "the batch as it was stored".to_owned(), message };
    let file: File =
        serde_json::from_value(Value::Object(json.clone())).map_err(|error| wrong(error.to_string()))?;
    check(file).map_err(wrong)
}

pub fn to_json(spec: &BatchSpec) -> Map<String, Value> {
    let search = match spec.search {
        Search::Grid => SearchKeys::default(),
        Search::Random { trials } => SearchKeys { method: "random".to_owned(), trials: Some(trials) },
    };
    let process = spec.process.as_ref().map(ProcessSpec::keys).unwrap_or_default();
    let file = File {
        name: spec.name.clone(),
        dataset: spec.dataset.clone(),
        runner: spec.runner.clone(),
        steps: spec.steps,
        delay_ms: spec.delay_ms,
        command: process.command,
        cwd: process.cwd,
        timeout: process.timeout,
        retries: process.retries,
        env: process.env,
        metrics: process.metrics,
        parallel: spec.parallel,
        seed: Some(spec.seed),
        repeats: spec.repeats,
        labels: spec.labels.clone(),
        objective: spec.objective.clone(),
        search,
        params: spec.params.iter().map(|(name, param)| (name.clone(), param_json(param))).collect(),
    };
    match serde_json::to_value(file) {
        Ok(Value::Object(object)) => object,
        // A struct of plain values is an object.
        _ => Map::new(),
    }
}

fn check(mut file: File) -> Result<BatchSpec, String> {
    check_plain(&file)?;
    let params = std::mem::take(&mut file.params)
        .into_iter()
        .map(|(name, value)| param(&name, value).map(|param| (name, param)))
        .collect::<Result<Vec<_>, _>>()?;
    if !params.iter().any(|(name, _)| name == "model") {
        return Err("`params.model` is missing: name at least one model".to_owned());
    }
    let search = search(&file.search, &params)?;
    let spec = BatchSpec {
        process: process(&mut file, &params)?,
        name: file.name,
        dataset: file.dataset,
        runner: file.runner,
        steps: file.steps,
        delay_ms: file.delay_ms,
        parallel: file.parallel,
        seed: file.seed.unwrap_or_else(drawn_seed),
        repeats: file.repeats,
        labels: distinct(file.labels),
        objective: file.objective,
        search,
        params,
    };
    match spec.trial_count() {
        0 => Err("there is no trial in it".to_owned()),
        count if count > MOST_TRIALS => {
            Err(format!("it has {count} trials, at most {MOST_TRIALS} are allowed"))
        }
        _ => Ok(spec),
    }
}

/// What belongs to the runner `process`, and to no other.
fn process(file: &mut File, params: &[(String, Param)]) -> Result<Option<ProcessSpec>, String> {
    let keys = ProcessKeys {
        command: file.command.take(),
        cwd: file.cwd.take(),
        timeout: file.timeout.take(),
        retries: file.retries.take(),
        env: file.env.take(),
        metrics: file.metrics.take(),
    };
    if file.runner != process::RUNNER {
        return match keys.named() {
            Some(key) => Err(format!("`{key}` belongs to runner = \"process\"")),
            None => Ok(None),
        };
    }
    for (key, there) in [("steps", file.steps.is_some()), ("delay_ms", file.delay_ms.is_some())] {
        if there {
            return Err(format!("`{key}` belongs to runner = \"simulate\""));
        }
    }
    let names: Vec<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
    keys.check(&names).map(Some)
}

/// What can be said of a key by itself.
fn check_plain(file: &File) -> Result<(), String> {
    for (key, value) in [("name", &file.name), ("dataset", &file.dataset)] {
        if value.trim().is_empty() {
            return Err(format!("`{key}` must not be empty"));
        }
    }
    if !RUNNERS.contains(&file.runner.as_str()) {
        let known = RUNNERS.join(", ");
        return Err(format!("`runner`: unknown runner '{}' (known: {known})", file.runner));
    }
    if !(1..=MOST_PARALLEL).contains(&file.parallel) {
        return Err(format!("`parallel` must be 1 to {MOST_PARALLEL}"));
    }
    if file.repeats == 0 {
        return Err("`repeats` must be at least 1".to_owned());
    }
    if file.steps.is_some_and(|steps| !(1..=100_000).contains(&steps)) {
        return Err("`steps` must be 1 to 100000".to_owned());
    }
    if file.delay_ms.is_some_and(|delay| delay > 3_600_000) {
        return Err("`delay_ms` must be at most 3600000 (an hour)".to_owned());
    }
    check_labels(&file.labels).map_err(|problem| format!("`labels`: {problem}"))
}

/// A seed that fits the signed integers of TOML and of the databases.
fn drawn_seed() -> u64 {
    Uuid::new_v4().as_u64_pair().1 >> 32
}

fn search(keys: &SearchKeys, params: &[(String, Param)]) -> Result<Search, String> {
    match (keys.method.as_str(), keys.trials) {
        ("grid", Some(_)) => {
            Err("`search.trials` belongs to method = \"random\"; a grid tries all".to_owned())
        }
        ("grid", None) => match params.iter().find(|(_, param)| !matches!(param, Param::Choice(_))) {
            Some((name, _)) => Err(format!(
                "`params.{name}` is a range, of which a grid cannot try all: give a list, or search = {{ method = \
                 \"random\", trials = N }}"
            )),
            None => Ok(Search::Grid),
        },
        ("random", Some(trials)) => Ok(Search::Random { trials }),
        ("random", None) => Err("`search.trials` is missing: how many to draw".to_owned()),
        ("asha", _) => {
            Err("`search.method`: asha is not available in this version (known: grid, random)".to_owned())
        }
        (other, _) => Err(format!("`search.method`: unknown method '{other}' (known: grid, random)")),
    }
}

fn param(name: &str, value: Value) -> Result<Param, String> {
    let wrong = |message: &str| format!("`params.{name}`: {message}");
    let param = match value {
        Value::Array(values) if values.is_empty() => return Err(wrong("the list is empty")),
        Value::Array(values) => Param::Choice(values),
        Value::Object(range) => range_of(&range).map_err(|message| wrong(&message))?,
        single => Param::Choice(vec![single]),
    };
    if name == "model" {
        let named = matches!(&param, Param::Choice(models) if models.iter().all(|model| {
            model.as_str().is_some_and(|model| !model.trim().is_empty())
        }));
        if !named {
            return Err(wrong("a name or a list of names is expected"));
        }
    }
    Ok(param)
}

fn range_of(range: &Map<String, Value>) -> Result<Param, String> {
    const KNOWN: &str = "known: uniform, log_uniform, int_uniform, each with [low, high]";
    let mut entries = range.iter();
    let (Some((kind, ends)), None) = (entries.next(), entries.next()) else {
        return Err(format!("one kind of range is expected ({KNOWN})"));
    };
    let ends = ends.as_array().map(Vec::as_slice);
    let Some([low, high]) = ends else { return Err(format!("{kind} needs [low, high]")) };
    if kind == "int_uniform" {
        let (Some(low), Some(high)) = (low.as_i64(), high.as_i64()) else {
            return Err("int_uniform needs two whole numbers".to_owned());
        };
        return if low <= high {
            Ok(Param::IntUniform(low, high))
        } else {
            Err("low lies above high".to_owned())
        };
    }
    let (Some(low), Some(high)) = (low.as_f64(), high.as_f64()) else {
        return Err(format!("{kind} needs two numbers"));
    };
    match kind.as_str() {
        _ if !(low.is_finite() && high.is_finite() && low <= high) => Err("low lies above high".to_owned()),
        "uniform" => Ok(Param::Uniform(low, high)),
        "log_uniform" if low > 0.0 => Ok(Param::LogUniform(low, high)),
        "log_uniform" => Err("log_uniform needs numbers above 0".to_owned()),
        other => Err(format!("unknown range '{other}' ({KNOWN})")),
    }
}

fn param_json(param: &Param) -> Value {
    match param {
        Param::Choice(values) => Value::Array(values.clone()),
        Param::Uniform(low, high) => serde_json::json!({ "uniform": [low, high] }),
        Param::LogUniform(low, high) => serde_json::json!({ "log_uniform": [low, high] }),
        Param::IntUniform(low, high) => serde_json::json!({ "int_uniform": [low, high] }),
    }
}
