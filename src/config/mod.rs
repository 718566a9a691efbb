//! Settings and their layers: defaults < user < project < chosen profile < environment < flags.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// Every setting, after all layers. `config/default.toml` documents each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the profile in force.
    pub profile: String,
    pub roles: Roles,
    pub duckdb: DuckDb,
    pub postgres: Postgres,
    pub chroma: Chroma,
    pub simulate: Simulate,
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: SecretString,
    /// Connections in the pool.
    pub pool_size: usize,
    pub connect_timeout_ms: u64,
    /// Longest a statement may take, milliseconds.
    pub statement_timeout_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chroma {
    /// With scheme and port, without a path.
    pub url: String,
    pub tenant: String,
    pub database: String,
    /// Sent as `x-chroma-token` when not empty.
    pub token: SecretString,
    pub timeout_ms: u64,
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
pub struct Ui {
    /// Name of a theme in `assets/themes/`.
    pub theme: String,
    pub mouse: bool,
    /// File of key bindings laid over `config/keymap.toml`; none when empty.
    pub keymap: PathBuf,
}
