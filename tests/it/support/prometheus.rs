//! A strict reader of Prometheus' text format, version 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// One line of figures.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

/// A page that is valid throughout.
#[derive(Clone, Debug)]
pub struct Page {
    pub samples: Vec<Sample>,
    kinds: BTreeMap<String, String>,
}

impl Page {
    /// Reads a page; panics with the line where it breaks a rule of the format.
    pub fn read(text: &str) -> Self {
        assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
        let (mut page, mut helped) = (Page { samples: Vec::new(), kinds: BTreeMap::new() }, BTreeSet::new());
        let mut family = String::new();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name) && !words.is_empty(), "{line}");
                assert!(helped.insert(name.to_owned()), "helped twice: {line}");
                name.clone_into(&mut family);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert_eq!(name, family, "the type follows the help: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "typed twice: {line}");
            } else {
                let sample = sample(line);
                let base = page.base(&sample.name);
                assert_eq!(base, family, "outside of its family: {line}");
                assert!(page.kinds.contains_key(&base), "no type: {line}");
                assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
                page.samples.push(sample);
            }
        }
        page.check_histograms();
        page
    }

    /// The family that a sample belongs to.
    fn base(&self, name: &str) -> String {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        match histogram {
            Some(base) if self.kinds.get(base).is_some_and(|kind| kind == "histogram") => base.to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Every histogram has buckets that only grow, the last without a bound and as large as its count, and a sum.
    fn check_histograms(&self) {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let counts = self.all(&format!("{name}_count"));
            assert!(!counts.is_empty(), "{name} counts nothing");
            for count in counts {
                assert!(self.value(&format!("{name}_sum"), &pairs(&count.labels)).is_some());
                let mut buckets: Vec<(f64, f64)> = Vec::new();
                for bucket in self.all(&format!("{name}_bucket")) {
                    let mut labels = bucket.labels.clone();
                    let bound = labels.remove("le").unwrap_or_else(|| panic!("{bucket:?}"));
                    if labels == count.labels {
                        buckets.push((number(&bound), bucket.value));
                    }
                }
                assert!(
                    buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1),
                    "{buckets:?}"
                );
                assert_eq!(buckets.last(), Some(&(f64::INFINITY, count.value)), "{count:?}");
            }
        }
    }

    pub fn all(&self, name: &str) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name == name).collect()
    }

    /// The one sample that has exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: Labels =
            labels.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
        self.all(name).into_iter().find(|sample| sample.labels == wanted).map(|sample| sample.value)
    }
}

fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().map(|(label, text)| (label.as_str(), text.as_str())).collect()
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let name = &line[..end];
    assert!(is_name(name), "{line}");
    let (labels, value) = match line[end..].strip_prefix('{') {
        Some(rest) => labels(rest, line),
        None => (Labels::new(), &line[end..]),
    };
    let value = value.strip_prefix(' ').unwrap_or_else(|| panic!("no blank before the value: {line}"));
    Sample { name: name.to_owned(), labels, value: number(value) }
}

/// Labels up to the brace, and what follows it.
fn labels<'a>(mut rest: &'a str, line: &str) -> (Labels, &'a str) {
    let mut labels = Labels::new();
    loop {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(is_name(name) && !name.contains(':'), "{line}");
        let (mut text, mut characters) = (String::new(), value.char_indices());
        let after = loop {
            match characters.next().unwrap_or_else(|| panic!("a label does not end: {line}")) {
                (at, '"') => break at + 1,
                (_, '\\') => text.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, escaped @ ('\\' | '"'))) => escaped,
                    other => panic!("{other:?} is no escape: {line}"),
                }),
                (_, other) => text.push(other),
            }
        };
        assert!(labels.insert(name.to_owned(), text).is_none(), "a label twice: {line}");
        rest = &value[after..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => {
                let end = rest.strip_prefix('}').unwrap_or_else(|| panic!("labels do not end: {line}"));
                return (labels, end);
            }
        }
    }
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "NaN" => f64::NAN,
        text => text.parse().unwrap_or_else(|_| panic!("no number: {text:?}")),
    }
}

fn is_name(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == ':');
    first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}
