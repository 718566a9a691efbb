//! Lines into reports: JSON objects, figures that regular expressions find, and the log.

use std::collections::{HashMap, VecDeque};

use regex::Regex;
use serde_json::{Map, Value};

use super::lines::Line;
use crate::domain::process::{ProcessSpec, value_group};
use crate::domain::text::first_characters;
use crate::runner::{Embedding, Report, RunError};

/// Longest line of the log, in characters, and of those that tell why a run failed.
const LOGGED: usize = 4000;
const TOLD: usize = 300;
/// Lines that tell why a run failed.
const LAST: usize = 3;
/// Longest name of a metric, in bytes.
const LONGEST_NAME: usize = 200;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// What was read so far of one run.
#[derive(Debug)]
pub(super) struct Reading {
    patterns: Vec<Pattern>,
    /// Points that named no step, by metric.
    counted: HashMap<String, i64>,
    /// The last point of each metric.
    last: Map<String, Value>,
    result: Option<Map<String, Value>>,
    /// Of a hundred, the last that was told; in tens.
    progress: Option<u8>,
    /// The last lines of the log, of either stream.
    tails: [VecDeque<String>; 2],
}

#[derive(Debug)]
struct Pattern {
    metric: String,
    regex: Regex,
    value: usize,
}

impl Reading {
    pub fn new(spec: &ProcessSpec) -> Result<Self, RunError> {
        let patterns = spec.metrics.iter().map(|(metric, pattern)| {
            let wrong = |why: String| RunError::Failed(format!("`metrics.{metric}`: {why}"));
            let regex = Regex::new(pattern).map_err(|error| wrong(error.to_string()))?;
            let value = value_group(&regex).ok_or_else(|| wrong("it has no group".to_owned()))?;
            Ok(Pattern { metric: metric.clone(), regex, value })
        });
        Ok(Reading {
            patterns: patterns.collect::<Result<_, RunError>>()?,
            counted: HashMap::new(),
            last: Map::new(),
            result: None,
            progress: None,
            tails: [VecDeque::new(), VecDeque::new()],
        })
    }

    /// What one line says.
    pub fn line(&mut self, line: &Line, from: Stream) -> Vec<Report> {
        if from == Stream::Out
            && line.cut == 0
            && let Some(reports) = self.object(&line.text)
        {
            return reports;
        }
        let mut reports = vec![Report::Log(self.log(line, from))];
        self.search(&line.text, &mut reports);
        reports
    }

    /// What the run ended with: its last word on that, else the last point of each metric.
    pub fn results(&self) -> Map<String, Value> {
        self.result.clone().unwrap_or_else(|| self.last.clone())
    }

    /// The last lines that tell why it failed, if it said anything.
    pub fn why(&self) -> Option<String> {
        let [out, err] = &self.tails;
        let tail = if err.is_empty() { out } else { err };
        (!tail.is_empty()).then(|| tail.iter().map(String::as_str).collect::<Vec<_>>().join(" | "))
    }

    fn log(&mut self, line: &Line, from: Stream) -> String {
        let tail = &mut self.tails[usize::from(from == Stream::Err)];
        if tail.len() == LAST {
            tail.pop_front();
        }
        tail.push_back(first_characters(line.text.trim(), TOLD).to_owned());
        let kept = first_characters(&line.text, LOGGED);
        match (line.text.len() - kept.len()) as u64 + line.cut {
            0 => kept.to_owned(),
            cut => format!("{kept}… ({cut} bytes more were cut)"),
        }
    }

    fn search(&mut self, text: &str, reports: &mut Vec<Report>) {
        let mut found = Vec::new();
        for Pattern { metric, regex, value } in &self.patterns {
            for hit in regex.captures_iter(text) {
                let step = hit.name("step").and_then(|step| step.as_str().parse::<i64>().ok());
                let Some(value) = hit.get(*value) else { continue };
                found.push((metric.clone(), step, value.as_str().to_owned()));
            }
        }
        for (metric, step, text) in found {
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => {
                    let step = step.unwrap_or_else(|| self.count(&metric));
                    reports.push(self.point(step, vec![(metric, value)]));
                }
                _ => reports.push(refused(&metric, &text)),
            }
        }
    }

    /// None for what is no object that we know: it belongs to the log.
    fn object(&mut self, text: &str) -> Option<Vec<Report>> {
        if !text.starts_with('{') {
            return None;
        }
        let Value::Object(mut object) = parse(text)? else { return None };
        let step = match object.get("step") {
            None | Some(Value::Null) => None,
            Some(step) => Some(whole(step)?),
        };
        let mut reports = Vec::new();
        let mut known = false;
        if let Some(Value::Object(metrics)) = object.remove("metrics") {
            known = true;
            self.metrics(step, metrics, &mut reports);
        }
        if let Some(Value::Object(result)) = object.remove("result") {
            known = true;
            self.result.get_or_insert_default().extend(result);
        }
        if let Some(part) = object.get("progress").and_then(Value::as_f64) {
            known = true;
            reports.extend(self.progress(part));
        }
        if let Some(Value::Array(embeddings)) = object.remove("embeddings") {
            known = true;
            self.embeddings(embeddings, &mut reports);
        }
        known.then_some(reports)
    }

    fn metrics(&mut self, step: Option<i64>, metrics: Map<String, Value>, reports: &mut Vec<Report>) {
        // Those without a step are counted each for itself.
        let mut together = Vec::new();
        for (name, value) in metrics {
            match value.as_f64() {
                _ if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) => {
                    let name = first_characters(&name, 50).escape_default();
                    reports.push(Report::Log(format!("'{name}' is no name of a metric: left out")));
                }
                None => reports.push(refused(&name, &value.to_string())),
                Some(value) if step.is_some() => together.push((name, value)),
                Some(value) => {
                    let step = self.count(&name);
                    reports.push(self.point(step, vec![(name, value)]));
                }
            }
        }
        if let Some(step) = step
            && !together.is_empty()
        {
            reports.push(self.point(step, together));
        }
    }

    fn progress(&mut self, part: f64) -> Option<Report> {
        // In tens: it is a log.
        let percent = (part.clamp(0.0, 1.0) * 10.0) as u8 * 10;
        (self.progress.replace(percent) != Some(percent)).then(|| Report::Log(format!("{percent} % done")))
    }

    fn embeddings(&mut self, embeddings: Vec<Value>, reports: &mut Vec<Report>) {
        let mut records = Vec::new();
        for value in embeddings {
            match serde_json::from_value::<Embedding>(value) {
                Ok(record) => records.push(record),
                Err(error) => reports.push(Report::Log(format!("an embedding was left out: {error}"))),
            }
        }
        if !records.is_empty() {
            reports.push(Report::Embeddings(records));
        }
    }

    fn count(&mut self, metric: &str) -> i64 {
        let count = self.counted.entry(metric.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn point(&mut self, step: i64, metrics: Vec<(String, f64)>) -> Report {
        for (name, value) in &metrics {
            self.last.insert(name.clone(), (*value).into());
        }
        Report::Step { step, metrics }
    }
}

fn refused(metric: &str, value: &str) -> Report {
    let value = match value {
        "null" => "not a finite number",
        other => &format!("'{}', which is no finite number", first_characters(other, 50)),
    };
    Report::Log(format!("{metric} is {value}: left out"))
}

/// A step may be written as `3` or as `3.0`.
fn whole(step: &Value) -> Option<i64> {
    step.as_i64().or_else(|| {
        let step = step.as_f64()?;
        (step.fract() == 0.0 && step.abs() < 9e15).then_some(step as i64)
    })
}

/// JSON, and what Python writes of a NaN or an infinity, which is none: null in its place.
fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&without_nan(text)?).ok())
}

/// None when there is nothing to replace.
fn without_nan(text: &str) -> Option<String> {
    const NONE: [&str; 4] = ["NaN", "-Infinity", "Infinity", "-NaN"];
    let mut kept = String::with_capacity(text.len());
    let (mut rest, mut within, mut replaced) = (text, false, false);
    while let Some(first) = rest.chars().next() {
        let word = (!within).then(|| NONE.iter().find(|word| rest.starts_with(**word))).flatten();
        if let Some(word) = word {
            kept.push_str("null");
            rest = &rest[word.len()..];
            replaced = true;
            continue;
        }
        // A character behind a backslash ends no text.
        let taken = if within && first == '\\' {
            rest.chars().take(2).map(char::len_utf8).sum()
        } else {
            first.len_utf8()
        };
        within ^= first == '"';
        kept.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    replaced.then_some(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::process::ProcessKeys;

    fn reading(metrics: Value) -> Reading {
        let keys = ProcessKeys {
            command: Some(vec!["train".to_owned()]),
            metrics: metrics.as_object().cloned(),
            ..ProcessKeys::default()
        };
        Reading::new(&keys.check(&[]).unwrap()).unwrap()
    }

    fn hear(reading: &mut Reading, text: &str) -> Vec<Report> {
        reading.line(&Line { text: text.to_owned(), cut: 0 }, Stream::Out)
    }

    fn step(step: i64, metrics: &[(&str, f64)]) -> Report {
        Report::Step {
            step,
            metrics: metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        }
    }

    fn log(text: &str) -> Report {
        Report::Log(text.to_owned())
    }

    #[test]
    fn json_lines_are_points_and_results() {
        let mut reading = reading(Value::Null);
        let text = r#"{"step": 3, "metrics": {"accuracy": 0.81, "loss": 0.4}}"#;
        assert_eq!(hear(&mut reading, text), [step(3, &[("accuracy", 0.81), ("loss", 0.4)])]);
        assert_eq!(hear(&mut reading, r#"{"metrics": {"loss": 0.3}}"#), [step(1, &[("loss", 0.3)])]);
        assert_eq!(
            hear(&mut reading, r#"{"step": 4.0, "metrics": {"loss": 1}}"#),
            [step(4, &[("loss", 1.0)])]
        );
        assert_eq!(json!(reading.results()), json!({ "accuracy": 0.81, "loss": 1.0 }), "the last points");
        assert_eq!(hear(&mut reading, r#"{"progress": 0.404}"#), [log("40 % done")]);
        assert_eq!(hear(&mut reading, r#"{"progress": 0.405}"#), [], "told already");
        assert_eq!(hear(&mut reading, r#"{"result": {"accuracy": 0.9, "classes": ["a"]}}"#), []);
        assert_eq!(json!(reading.results()), json!({ "accuracy": 0.9, "classes": ["a"] }));
    }

    #[test]
    fn embeddings_are_records_and_bad_ones_are_told() {
        let mut reading = reading(Value::Null);
        let text = r#"{"embeddings": [{"id": "a", "document": "x", "embedding": [1, 2.5], "metadata": {"k": 1}}, {"id": 3}]}"#;
        let reports = hear(&mut reading, text);
        let [Report::Log(told), Report::Embeddings(records)] = reports.as_slice() else {
            panic!("{reports:?}")
        };
        assert!(told.starts_with("an embedding was left out"), "{told}");
        assert_eq!(
            (records[0].id.as_str(), records[0].embedding.as_deref()),
            ("a", Some([1.0, 2.5].as_slice()))
        );
    }

    #[test]
    fn what_is_no_number_goes_to_the_log() {
        let mut reading = reading(json!({ "acc": "acc=([^ ]+)" }));
        let text = r#"{"step": 1, "metrics": {"loss": NaN, "x\"NaN": -Infinity, "acc": 0.5, "name": "v"}}"#;
        assert_eq!(
            hear(&mut reading, text),
            [
                log("loss is not a finite number: left out"),
                log("x\"NaN is not a finite number: left out"),
                log("name is '\"v\"', which is no finite number: left out"),
                step(1, &[("acc", 0.5)]),
            ]
        );
        for value in ["nan", "inf", "many"] {
            let text = format!("acc={value}");
            let told = format!("acc is '{value}', which is no finite number: left out");
            assert_eq!(hear(&mut reading, &text), [log(&text), log(&told)]);
        }
        assert_eq!(json!(reading.results()), json!({ "acc": 0.5 }));
    }

    #[test]
    fn patterns_find_figures_in_lines_that_stay_in_the_log() {
        let mut reading = reading(
            json!({ "accuracy": "val_acc: ([0-9.]+)", "loss": "epoch (?P<step>[0-9]+).* loss=([0-9.]+)" }),
        );
        let text = "epoch 7 loss=0.5 val_acc: 0.8";
        assert_eq!(
            hear(&mut reading, text),
            [log(text), step(1, &[("accuracy", 0.8)]), step(7, &[("loss", 0.5)])]
        );
        let text = "val_acc: 0.81 val_acc: 0.82";
        assert_eq!(
            hear(&mut reading, text),
            [log(text), step(2, &[("accuracy", 0.81)]), step(3, &[("accuracy", 0.82)])]
        );
    }

    #[test]
    fn everything_else_is_log_and_the_last_of_it_tells_why() {
        let mut reading = reading(Value::Null);
        for text in [
            r#"{"step": 1, "metrics""#,
            r#"{"other": 1}"#,
            r#"{"step": "x", "metrics": {"a": 1}}"#,
            "[1]",
            "plain",
        ] {
            assert_eq!(hear(&mut reading, text), [log(text)]);
        }
        assert_eq!(reading.why().as_deref(), Some(r#"{"step": "x", "metrics": {"a": 1}} | [1] | plain"#));
        let long = Line { text: "é".repeat(5000), cut: 3 };
        let reports = reading.line(&long, Stream::Err);
        assert_eq!(reports, [log(&format!("{}… (2003 bytes more were cut)", "é".repeat(4000)))]);
        assert_eq!(reading.why().unwrap().chars().count(), 300, "what is said on stderr counts");
        let err = Line { text: r#"{"metrics": {"a": 1}}"#.to_owned(), cut: 0 };
        assert!(
            matches!(reading.line(&err, Stream::Err)[..], [Report::Log(_)]),
            "stdout alone is spoken to us"
        );
    }

    proptest! {
        /// No line is lost, none breaks it, and no figure that is stored is other than finite.
        #[test]
        fn any_line_is_heard(text in "\\PC{0,80}|\\{\"(metrics|step|result)\": ?[-a-zN0-9.{}\":, ]{0,60}\\}?") {
            let mut reading = reading(json!({ "n": "([0-9.eE+-]+)" }));
            for report in hear(&mut reading, &text) {
                if let Report::Step { metrics, .. } = report {
                    prop_assert!(metrics.iter().all(|(_, value)| value.is_finite()));
                }
            }
        }
    }
}
