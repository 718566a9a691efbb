//! Settings and their layers: defaults < user < project < chosen profile < environment < flags.

mod database_url;
mod embed;
mod environment;
mod explain;
mod layers;
mod postgres;
mod size;
#[cfg(test)]
mod tests;
pub mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::domain::filter::{Field, FilterError};
use crate::domain::process::Allowed;
use crate::domain::worker::check_labels;

pub use embed::{Embed, EmbedModel};
pub use environment::{Variables, variables};
pub use explain::{Setting, explain};
pub use layers::{Flags, Places, load};
pub use postgres::{ChannelBinding, PUBLISHED_PASSWORD, Pooler, Postgres, SslMode};
pub use size::Size;

/// What is wrong with the settings: one line each, naming file, key and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Every setting, after all layers. `config/default.toml` documents each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the profile in force.
    pub profile: String,
    /// Nothing is written, migrated, run or created.
    pub read_only: bool,
    pub roles: Roles,
    pub duckdb: DuckDb,
    pub postgres: Postgres,
    pub chroma: Chroma,
    pub embed: Embed,
    pub search: Search,
    pub simulate: Simulate,
    pub log: Log,
    pub metrics: Metrics,
    pub worker: Worker,
    pub ui: Ui,
    /// Folder where the batch picker looks for `*.toml`.
    pub batches: PathBuf,
}

/// Which backend plays each role.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    pub experiments: TableBackend,
    pub documents: TableBackend,
    pub collections: CollectionBackend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableBackend {
    DuckDb,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectionBackend {
    DuckDb,
    Chroma,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuckDb {
    /// The one file; its folder is made when missing.
    pub path: PathBuf,
    /// How long to wait for a file that another program holds, milliseconds.
    pub wait_ms: u64,
    /// Let go of the file after this much idleness, milliseconds.
    pub idle_ms: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// What embedded vectors may take of memory; with none every search reads the file.
    pub memory: Size,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chroma {
    /// With scheme and port, and a path where a proxy wants one.
    pub url: String,
    pub tenant: String,
    pub database: String,
    /// Sent as `auth` says, when not empty.
    pub token: SecretString,
    pub auth: ChromaAuth,
    /// Sent with every request, for a proxy; their values are secrets.
    pub headers: BTreeMap<String, SecretString>,
    pub timeout_ms: u64,
    /// Records in one write, and in one answer.
    pub batch_records: usize,
    pub page_records: usize,
}

/// How the token is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChromaAuth {
    /// As Chroma Cloud wants it.
    #[default]
    XChromaToken,
    Bearer,
    /// The token is `user:password`.
    Basic,
}

impl Default for Chroma {
    /// As in `config/default.toml`.
    fn default() -> Self {
        Chroma {
            url: "http://localhost:8000".to_owned(),
            tenant: "default_tenant".to_owned(),
            database: "default_database".to_owned(),
            token: SecretString::from(""),
            auth: ChromaAuth::default(),
            headers: BTreeMap::new(),
            timeout_ms: 10_000,
            batch_records: 1000,
            page_records: 1000,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulate {
    /// Points on a learning curve.
    pub steps: u32,
    /// Pause after each step, milliseconds, for runs that do not say otherwise.
    pub delay_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// What is logged, module by module, in the words of `LABTOP_LOG`.
    pub level: String,
    /// None when empty.
    pub file: PathBuf,
    pub format: LogFormat,
    /// Size beyond which the file is put aside, megabytes.
    pub max_mb: u64,
    /// Files put aside that are kept.
    pub keep: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Host and port, or a port; none when empty.
    pub addr: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// What this machine has: its workers take batches that ask for it.
    pub labels: Vec<String>,
    /// What its workers may run of the runner `process`.
    pub commands: Vec<Allowed>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ui {
    /// Name of a theme in `assets/themes/`, `auto`, or the path of a theme file.
    pub theme: String,
    pub mouse: bool,
    /// Columns of the experiments until the user chooses others.
    #[serde(deserialize_with = "fields")]
    pub columns: Vec<Field>,
    /// Whether the arrangement of the dashboard is kept between sessions.
    pub remember: bool,
    /// File of key bindings laid over `config/keymap.toml`; none when empty.
    pub keymap: PathBuf,
}

/// Names of the filter language.
fn fields<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Field>, D::Error> {
    let names = Vec::<String>::deserialize(source)?;
    let field = |name: &String| {
        let wrong = |error: FilterError| D::Error::custom(format!("'{name}': {}", error.message));
        Field::parse(name).map_err(wrong)
    };
    names.iter().map(field).collect()
}

impl Settings {
    /// What serde cannot say about single values.
    fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if !self.chroma.url.starts_with("http://") && !self.chroma.url.starts_with("https://") {
            let url = &self.chroma.url;
            problems.push(format!("`chroma.url`: '{url}' must begin with http:// or https://"));
        } else if self
            .chroma
            .url
            .split("//")
            .nth(1)
            .is_none_or(|host| host.trim_start_matches('/').is_empty())
        {
            problems.push(format!("`chroma.url`: '{}' names no host", self.chroma.url));
        }
        if self.chroma.url.contains(['?', '#']) {
            problems.push("`chroma.url`: must end before any '?' or '#'".to_owned());
        }
        for (key, records, most) in [
            ("batch_records", self.chroma.batch_records, 10_000),
            ("page_records", self.chroma.page_records, 1000),
        ] {
            if !(1..=most).contains(&records) {
                problems.push(format!("`chroma.{key}`: must be 1 to {most}"));
            }
        }
        if self.postgres.port == 0 {
            problems.push("`postgres.port`: must be 1 to 65535".to_owned());
        }
        if self.postgres.host.is_empty() {
            problems.push("`postgres.host`: must name a host, or the folder of a Unix socket".to_owned());
        }
        if self.postgres.connect_timeout_ms == 0 {
            problems.push("`postgres.connect_timeout_ms`: must be at least 1".to_owned());
        }
        if !(1..=100).contains(&self.postgres.pool_size) {
            problems.push("`postgres.pool_size`: must be 1 to 100".to_owned());
        }
        if !(1..=1000).contains(&self.postgres.ef_search) {
            problems.push("`postgres.ef_search`: must be 1 to 1000".to_owned());
        }
        if !(1..=1_048_576).contains(&self.postgres.index_memory_mb) {
            problems.push("`postgres.index_memory_mb`: must be 1 to 1048576 (a terabyte)".to_owned());
        }
        if !(1..=100_000).contains(&self.simulate.steps) {
            problems.push("`simulate.steps`: must be 1 to 100000".to_owned());
        }
        if self.simulate.delay_ms > 3_600_000 {
            problems.push("`simulate.delay_ms`: must be at most 3600000 (an hour)".to_owned());
        }
        if !(1..=10_000).contains(&self.log.max_mb) {
            problems.push("`log.max_mb`: must be 1 to 10000".to_owned());
        }
        if self.log.keep > 100 {
            problems.push("`log.keep`: must be at most 100".to_owned());
        }
        problems.extend(self.embed.problems());
        if let Err(problem) = check_labels(&self.worker.labels) {
            problems.push(format!("`worker.labels`: {problem}"));
        }
        for problem in self.worker.commands.iter().filter_map(Allowed::problem) {
            problems.push(format!("`worker.commands`: {problem}"));
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems.join("\n"))) }
    }
}
