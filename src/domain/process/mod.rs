//! A command that trains: its placeholders, its environment, and how its output is read.

mod allow;
mod template;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::experiment::Parameters;

pub use allow::{Allowed, Within};
pub use template::Template;

/// Name of the runner that runs commands.
pub const RUNNER: &str = "process";

/// In the environment of every process of a run: by it those are found that left their group, or outlived labtop.
pub const MARK: &str = "LABTOP_RUN_KEY";

/// What placeholders name beside the parameters; no parameter may be called so.
const GIVEN: [&str; 3] = ["dataset", "seed", "key"];

/// How often a failed run is tried again, at most: beyond that a slip of the finger is more likely.
const MOST_RETRIES: u32 = 100;

/// A year: longer than that a slip of the finger is more likely.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The keys of a batch file that belong to the runner `process`, as they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessKeys {
    pub command: Option<Vec<String>>,
    pub cwd: Option<String>,
    pub timeout: Option<String>,
    pub retries: Option<u32>,
    pub env: Option<Vec<String>>,
    pub metrics: Option<Map<String, Value>>,
}

/// A checked command and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSpec {
    /// The program and its arguments, with `{name}` placeholders in the arguments.
    pub command: Vec<String>,
    /// Where it runs; labtop's own folder when none.
    pub cwd: Option<PathBuf>,
    pub timeout: Option<Duration>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// Names of the variables it inherits, `*` at the end for all that begin so; all but labtop's own when none.
    pub env: Option<Vec<String>>,
    /// Names of metrics, and where they are found in what the command prints.
    pub metrics: Vec<(String, String)>,
}

/// What the placeholders of one run stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub model: &'a str,
    pub dataset: &'a str,
    pub seed: u64,
    pub key: Uuid,
    pub parameters: &'a Parameters,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "model" => Some(self.model.to_owned()),
            "dataset" => Some(self.dataset.to_owned()),
            "seed" => Some(self.seed.to_string()),
            "key" => Some(self.key.to_string()),
            parameter => self.parameters.get(parameter).map(plain),
        }
    }
}

/// A value as an argument or in the environment: text without quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl ProcessKeys {
    /// The first of the keys that is there.
    pub fn named(&self) -> Option<&'static str> {
        [
            ("command", self.command.is_some()),
            ("cwd", self.cwd.is_some()),
            ("timeout", self.timeout.is_some()),
            ("retries", self.retries.is_some()),
            ("env", self.env.is_some()),
            ("metrics", self.metrics.is_some()),
        ]
        .into_iter()
        .find_map(|(key, there)| there.then_some(key))
    }

    /// Checks everything that can be wrong; `parameters` are the names of the parameters that every run has.
    pub fn check(self, parameters: &[&str]) -> Result<ProcessSpec, String> {
        let Some(command) = self.command else {
            return Err(
                "`command` is missing: the runner 'process' needs one, as in [\"python3\", \"train.py\"]"
                    .to_owned(),
            );
        };
        let timeout = self.timeout.as_deref().map(duration).transpose()?;
        let retries = self.retries.unwrap_or(0);
        if retries > MOST_RETRIES {
            return Err(format!("`retries` must be at most {MOST_RETRIES}"));
        }
        if self.cwd.as_ref().is_some_and(|cwd| cwd.is_empty() || cwd.contains('\0')) {
            return Err("`cwd` must be the path of a folder".to_owned());
        }
        let spec = ProcessSpec {
            command,
            cwd: self.cwd.map(PathBuf::from),
            timeout,
            retries,
            env: self.env,
            metrics: self.metrics.map_or_else(|| Ok(Vec::new()), patterns)?,
        };
        spec.check_command(parameters)?;
        if let Some(env) = &spec.env {
            check_inherited(env)?;
        }
        check_variables(parameters)?;
        Ok(spec)
    }
}

impl ProcessSpec {
    /// As it is written in a batch file, so that it can be read back.
    pub fn keys(&self) -> ProcessKeys {
        let timeout = self.timeout.and_then(|timeout| SignedDuration::try_from(timeout).ok());
        let metrics = self.metrics.iter().map(|(name, pattern)| (name.clone(), pattern.clone().into()));
        ProcessKeys {
            command: Some(self.command.clone()),
            cwd: self.cwd.as_ref().map(|cwd| cwd.display().to_string()),
            timeout: timeout.map(|timeout| format!("{timeout:#}")),
            retries: (self.retries > 0).then_some(self.retries),
            env: self.env.clone(),
            metrics: (!self.metrics.is_empty()).then(|| metrics.collect()),
        }
    }

    /// Where a batch file is, its folder is where a relative `cwd` begins, and where the command runs that names none.
    pub fn settle(&mut self, folder: &Path) {
        self.cwd = Some(match &self.cwd {
            Some(cwd) => tidy(&folder.join(cwd)),
            None => tidy(folder),
        });
    }

    fn check_command(&self, parameters: &[&str]) -> Result<(), String> {
        let Some(program) = self.command.first().filter(|program| !program.trim().is_empty()) else {
            return Err("`command` must begin with a program".to_owned());
        };
        if self.command.iter().any(|text| text.contains('\0')) {
            return Err("`command`: it holds a NUL, which no argument can".to_owned());
        }
        for (index, text) in self.command.iter().enumerate() {
            let template = Template::parse(text).map_err(|problem| format!("`command`: {problem}"))?;
            if index == 0 && template.is_open() {
                return Err(format!(
                    "`command`: the program itself ('{program}') takes no placeholder; its arguments do"
                ));
            }
            let known = |name: &&str| parameters.contains(name) || *name == "model" || GIVEN.contains(name);
            if let Some(unknown) = template.names().find(|name| !known(name)) {
                let mut names: Vec<&str> = parameters.to_vec();
                names.extend(["model"].iter().chain(&GIVEN).filter(|name| !parameters.contains(name)));
                return Err(format!(
                    "`command`: there is no parameter '{unknown}' for '{text}' (known: {}; a brace of its own is doubled)",
                    names.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Program and arguments of one run.
    pub fn expand(&self, values: &Values<'_>) -> Result<Vec<String>, String> {
        self.command
            .iter()
            .map(|text| {
                let filled = Template::parse(text)?.fill(|name| values.get(name))?;
                if filled.contains('\0') {
                    return Err(format!("the value for '{text}' holds a NUL, which no argument can"));
                }
                Ok(filled)
            })
            .collect()
    }

    /// What is said to the command in its environment, beside what it inherits.
    pub fn variables(values: &Values<'_>) -> Result<Vec<(String, String)>, String> {
        let mut variables = vec![
            (MARK.to_owned(), values.key.to_string()),
            ("LABTOP_SEED".to_owned(), values.seed.to_string()),
            ("LABTOP_MODEL".to_owned(), values.model.to_owned()),
            ("LABTOP_DATASET".to_owned(), values.dataset.to_owned()),
        ];
        check_variables(&values.parameters.keys().map(String::as_str).collect::<Vec<_>>())?;
        variables.extend(values.parameters.iter().map(|(name, value)| (variable(name), plain(value))));
        if let Some((name, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
            return Err(format!("the value of {name} holds a NUL, which no environment can"));
        }
        Ok(variables)
    }

    /// Whether a variable of labtop's own environment is handed on.
    pub fn inherits(&self, name: &str) -> bool {
        !is_own(name)
            && self.env.as_ref().is_none_or(|names| {
                names.iter().any(|known| match known.strip_suffix('*') {
                    Some(beginning) => name.starts_with(beginning),
                    None => known == name,
                })
            })
    }
}

/// Where labtop keeps its passwords and tokens, and what it says to its own runs.
fn is_own(name: &str) -> bool {
    name == "DATABASE_URL" || ["PG", "CHROMA_", "LABTOP_"].iter().any(|beginning| name.starts_with(beginning))
}

/// `LABTOP_PARAM_` and the name in capitals; what is neither letter nor digit becomes `_`.
fn variable(parameter: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("LABTOP_PARAM_{}", parameter.chars().map(letter).collect::<String>())
}

fn check_variables(parameters: &[&str]) -> Result<(), String> {
    for (index, name) in parameters.iter().enumerate() {
        if GIVEN.contains(name) {
            return Err(format!(
                "`params.{name}`: the command has {{{name}}} already, which is not a parameter: call the parameter otherwise"
            ));
        }
        if let Some(other) = parameters[..index].iter().find(|other| variable(other) == variable(name)) {
            return Err(format!(
                "`params.{name}`: it would be {} in the environment, as `params.{other}` is",
                variable(name)
            ));
        }
    }
    Ok(())
}

fn check_inherited(env: &[String]) -> Result<(), String> {
    for name in env {
        let bare = name.strip_suffix('*').unwrap_or(name);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if bare.is_empty() || !bare.chars().all(fits) {
            return Err(format!(
                "`env`: '{name}' is no name of a variable (as in \"PATH\", or \"CUDA_*\" for all that begin so)"
            ));
        }
        if is_own(bare) {
            return Err(format!(
                "`env`: {name} is not handed on: DATABASE_URL, PG*, CHROMA_* and LABTOP_* are labtop's own"
            ));
        }
    }
    Ok(())
}

fn patterns(metrics: Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    metrics
        .into_iter()
        .map(|(name, pattern)| {
            let wrong = |problem: &str| Err(format!("`metrics.{name}`: {problem}"));
            let Value::String(pattern) = pattern else {
                return wrong("a regular expression is expected, as in \"val_acc: ([0-9.]+)\"");
            };
            let regex = match Regex::new(&pattern) {
                Ok(regex) => regex,
                Err(error) => return wrong(&error.to_string()),
            };
            if value_group(&regex).is_none() {
                return wrong("it needs a group (...) around the value");
            }
            Ok((name, pattern))
        })
        .collect()
}

/// The group that holds the value: the first that is not called `step`.
pub fn value_group(regex: &Regex) -> Option<usize> {
    regex.capture_names().enumerate().skip(1).find(|(_, name)| *name != Some("step")).map(|(index, _)| index)
}

/// As in "90s", "30m", "1h 30m".
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    match parsed {
        Some(span) if span > Duration::ZERO && span <= LONGEST => Ok(span),
        Some(_) => Err("`timeout` must be above zero, and a year at most".to_owned()),
        None => Err(format!("`timeout`: '{text}' is no length of time (as in \"90s\", \"30m\", \"1h 30m\")")),
    }
}

/// Without `.` and, as far as names go, without `..`.
pub fn tidy(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidied.components().next_back(), Some(Component::Normal(_))) => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

/// Words as a shell would take them.
pub fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%{}".contains(c);
    let word = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
