//! Connections: how the server is reached, the pool, and what each connection is told at its start.

use std::time::Duration;

use deadpool_postgres::{
    BuildError, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use secrecy::ExposeSecret;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config;

use super::error::Words;
use super::{passfile, tls};

/// How the server is reached: found out once, at the first connection.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
    /// What stood in the way of the password file, as a sentence.
    pub(super) unheard: Option<String>,
}

impl Way {
    /// Reads the password file and the certificates, where they are asked for.
    pub(super) fn find(settings: &config::Postgres) -> Result<Self, Words> {
        let tls = tls::connector(settings)?;
        let mut config = config(settings);
        let mut unheard = None;
        if settings.password.expose_secret().is_empty() {
            let found = passfile::look_up(settings);
            if let Some(password) = found.password {
                config.password(password.expose_secret());
            }
            if let Some(problem) = &found.problem {
                tracing::warn!("{problem}");
            }
            unheard = found.problem;
        }
        Ok(Way { config, tls, unheard })
    }
}

/// All that the settings say by themselves.
pub(super) fn config(settings: &config::Postgres) -> tokio_postgres::Config {
    let password = match settings.password.expose_secret() {
        "" => config::PUBLISHED_PASSWORD,
        password => password,
    };
    let mode = match settings.sslmode {
        // A socket never leaves the machine, and no host is there whose certificate it could be.
        _ if settings.is_local_socket() => SslMode::Disable,
        config::SslMode::Disable => SslMode::Disable,
        config::SslMode::Prefer => SslMode::Prefer,
        config::SslMode::Require | config::SslMode::VerifyCa | config::SslMode::VerifyFull => {
            SslMode::Require
        }
    };
    let binding = match settings.channel_binding {
        config::ChannelBinding::Disable => ChannelBinding::Disable,
        config::ChannelBinding::Prefer => ChannelBinding::Prefer,
        config::ChannelBinding::Require => ChannelBinding::Require,
    };
    let mut config = tokio_postgres::Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .dbname(&settings.database)
        .user(&settings.user)
        .password(password)
        .application_name(&settings.application_name)
        .ssl_mode(mode)
        .channel_binding(binding)
        .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
        // A server that vanished without a word is noticed within half a minute.
        .keepalives_idle(Duration::from_secs(15))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(20));
    config
}

/// The pool; it connects when it is first asked for a connection.
pub(super) fn pool(way: &Way, settings: &config::Postgres, read_only: bool) -> Result<Pool, BuildError> {
    let limit = Duration::from_millis(settings.connect_timeout_ms);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(way.config.clone(), way.tls.clone(), recycling);
    // By SET and not as a start-up option: poolers between us and the server refuse options they do not know.
    let mut greeting = format!("SET statement_timeout = {}", settings.statement_timeout_ms);
    if read_only {
        greeting.push_str("; SET default_transaction_read_only = on");
    }
    let builder = Pool::builder(manager)
        .max_size(settings.pool_size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(limit))
        .create_timeout(Some(limit))
        .recycle_timeout(Some(limit));
    let builder = match settings.pooler {
        config::Pooler::None => builder.post_create(Hook::async_fn(move |client, _| {
            let greeting = greeting.clone();
            Box::pin(async move { client.batch_execute(&greeting).await.map_err(HookError::Backend) })
        })),
        // What a session is told there, another client's statements would obey.
        config::Pooler::Transaction => builder,
    };
    builder.build()
}
