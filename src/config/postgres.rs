//! Where PostgreSQL is and how to speak with it.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::{ConfigError, database_url, layers};

/// What the published example's server is given; for whoever sets no password and has none in the password file.
pub const PUBLISHED_PASSWORD: &str = "ml_pass123";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// A name, an address, or the folder of a Unix socket.
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    /// Empty: the one in the password file, else [`PUBLISHED_PASSWORD`].
    pub password: SecretString,
    /// As psql reads it; `~/.pgpass` when empty.
    pub passfile: PathBuf,
    pub sslmode: SslMode,
    /// Certificates of the authorities that are trusted; the system's when empty or `system`.
    pub sslrootcert: PathBuf,
    pub channel_binding: ChannelBinding,
    /// As the server's own lists of connections show us.
    pub application_name: String,
    pub pooler: Pooler,
    /// Connections in the pool.
    pub pool_size: usize,
    pub connect_timeout_ms: u64,
    /// Longest a statement may take, milliseconds.
    pub statement_timeout_ms: u64,
    /// Candidates kept while a search goes along an HNSW index.
    pub ef_search: u32,
    /// Most memory that the server may take for building an index.
    pub index_memory_mb: u64,
}

/// Whether TLS is spoken and how far the server is believed, as psql calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    Disable,
    /// TLS where the server offers it.
    Prefer,
    /// TLS or nothing; whoever the server is.
    Require,
    /// And its certificate comes from an authority that is trusted.
    VerifyCa,
    /// And it is made out to the host that was asked for.
    VerifyFull,
}

impl SslMode {
    pub fn as_str(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }
}

/// Whether the password exchange is tied to the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// What stands between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooler {
    /// Nothing, or a pooler that gives each client a connection of its own.
    None,
    /// One that gives a connection for one transaction only: nothing that outlives a transaction is used.
    Transaction,
}

impl Postgres {
    /// The defaults with what `DATABASE_URL` would say laid over them.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        Ok(layers::defaults_under(database_url::layer(url)?)?.postgres)
    }

    /// Whether `host` is the folder of a Unix socket.
    pub fn is_local_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}
