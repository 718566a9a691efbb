//! What PostgreSQL, its driver and the pool say, in plain words with a remedy.

use std::error::Error as _;
use std::io;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::config;
use crate::store::{Backend, ErrorKind, StoreError};

use super::tls;

const WHERE: &str = "Set PGHOST and PGPORT (or DATABASE_URL) to where it runs, or start it there.";
const WAY: &str = "Look whether the host is up and whether a firewall lets port and host through; PGHOST and PGPORT say where.";
const WHO: &str = "Set PGUSER and PGPASSWORD (or DATABASE_URL, or a line in ~/.pgpass).";
const ENCRYPT: &str = "Set `postgres.sslmode` (PGSSLMODE) to require.";

/// Older servers lack functions whose body is parsed when they are made.
pub(super) const OLDEST: i32 = 14;

/// Kind, message and remedy; the message is the whole story for the user.
#[derive(Debug)]
pub(super) struct Words {
    kind: ErrorKind,
    message: String,
    remedy: Option<String>,
}

pub(super) fn words(kind: ErrorKind, message: impl Into<String>, remedy: impl Into<String>) -> Words {
    Words { kind, message: message.into(), remedy: Some(remedy.into()) }
}

/// The server took the connection or the statement and then said nothing.
pub(super) fn silent(settings: &config::Postgres, doing: &str) -> StoreError {
    let message = format!("PostgreSQL at {} stopped answering", server(settings));
    StoreError::new(ErrorKind::Timeout, Backend::Postgres, doing, message)
        .remedy("Look at the server, then try again.")
}

/// The number as the server counts: 150004 is 15.4.
pub(super) fn too_old(settings: &config::Postgres, version: i32) -> Option<Words> {
    (version / 10_000 < OLDEST).then(|| {
        let (major, minor) = (version / 10_000, version % 10_000);
        let message = format!(
            "PostgreSQL at {} is of version {major}.{minor}, and labtop needs {OLDEST} or newer",
            server(settings)
        );
        words(ErrorKind::Unavailable, message, "Update the server, or use another one.")
    })
}

/// Of a pool; `unheard` is what stood in the way of the password file.
pub(super) fn pool(
    settings: &config::Postgres,
    doing: &str,
    error: PoolError,
    unheard: Option<&str>,
) -> StoreError {
    let milliseconds = settings.connect_timeout_ms;
    let words = match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            let wrong_password = error.code().is_some_and(|code| {
                [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code)
            });
            let told = told(settings, doing, error);
            return match unheard.filter(|_| wrong_password) {
                Some(problem) => told.remedy(format!("{problem} {WHO}")),
                None => told,
            };
        }
        PoolError::Timeout(TimeoutType::Wait) => words(
            ErrorKind::Timeout,
            format!("all {} connections to PostgreSQL stayed busy for {milliseconds} ms", settings.pool_size),
            "Raise `postgres.pool_size`, or run less at once.",
        ),
        PoolError::Timeout(_) => words(
            ErrorKind::Unavailable,
            format!("PostgreSQL at {} does not answer within {milliseconds} ms", server(settings)),
            WAY,
        ),
        other => Words { kind: ErrorKind::Backend, message: other.to_string(), remedy: None },
    };
    finish(doing, words)
}

/// An error of the driver: refused, silent, or an answer of the server.
pub(super) fn told(settings: &config::Postgres, doing: &str, error: Error) -> StoreError {
    let words = match error.as_db_error() {
        Some(answer) => from_server(settings, answer),
        None => tls::told(settings, &error).unwrap_or_else(|| from_driver(settings, &error)),
    };
    finish(doing, words).source(error)
}

pub(super) fn finish(doing: &str, words: Words) -> StoreError {
    let error = StoreError::new(words.kind, Backend::Postgres, doing, words.message);
    match words.remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

pub(super) fn server(settings: &config::Postgres) -> String {
    format!("{}:{}", settings.host, settings.port)
}

fn from_driver(settings: &config::Postgres, error: &Error) -> Words {
    let place = server(settings);
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let input_output = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(problem) = input_output {
        let (message, remedy) = match problem.kind() {
            io::ErrorKind::ConnectionRefused => {
                (format!("PostgreSQL does not answer: nothing listens at {place}"), WHERE)
            }
            io::ErrorKind::NotFound if settings.is_local_socket() => (
                format!(
                    "PostgreSQL does not answer: {} has no socket of port {}",
                    settings.host, settings.port
                ),
                WHERE,
            ),
            io::ErrorKind::TimedOut => (format!("PostgreSQL at {place} does not answer"), WAY),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                (format!("there is no way to {place}: {cause}"), WAY)
            }
            _ if cause.contains("bytes remaining on stream") => {
                (format!("what answers at {place} does not speak PostgreSQL's protocol"), WHERE)
            }
            _ if cause.contains("lookup address") => (
                format!("the host name '{}' is not known", settings.host),
                "Look for a slip in PGHOST (or DATABASE_URL).",
            ),
            _ => (format!("the connection to PostgreSQL at {place} was lost ({cause})"), WHERE),
        };
        return words(ErrorKind::Unavailable, message, remedy);
    }
    if error.is_closed() {
        let message = format!("the connection to PostgreSQL at {place} was lost");
        return words(ErrorKind::Unavailable, message, "Try again; labtop connects anew.");
    }
    let said = error.to_string();
    match said.as_str() {
        "timeout waiting for server" => {
            words(ErrorKind::Unavailable, format!("PostgreSQL at {place} does not answer"), WAY)
        }
        "authentication error" => words(
            ErrorKind::Unavailable,
            format!("PostgreSQL at {place} and labtop do not agree on how to log in: {cause}"),
            "Look at `postgres.channel_binding` (PGCHANNELBINDING), and at the method in pg_hba.conf.",
        ),
        "invalid configuration" if cause.contains("password") => {
            words(ErrorKind::Unavailable, format!("PostgreSQL at {place} asks for a password"), WHO)
        }
        "unexpected message from server" | "error parsing response from server" => words(
            ErrorKind::Unavailable,
            format!("what answers at {place} does not speak PostgreSQL's protocol"),
            WHERE,
        ),
        _ if cause.is_empty() => Words { kind: ErrorKind::Backend, message: said, remedy: None },
        _ => Words { kind: ErrorKind::Backend, message: format!("{said}: {cause}"), remedy: None },
    }
}

fn from_server(settings: &config::Postgres, answer: &DbError) -> Words {
    refused(settings, answer)
        .or_else(|| interrupted(settings, answer))
        .or_else(|| lacking(settings, answer))
        .unwrap_or_else(|| other(answer))
}

/// The server does not let us in.
fn refused(settings: &config::Postgres, answer: &DbError) -> Option<Words> {
    let place = server(settings);
    let config::Postgres { user, database, .. } = settings;
    let said = answer.message();
    let code = answer.code();
    let (message, remedy) = if *code == SqlState::INVALID_PASSWORD {
        (format!("PostgreSQL at {place} does not accept the password of user '{user}'"), WHO.to_owned())
    } else if said.contains("client certificate") {
        (
            format!("PostgreSQL at {place} demands a certificate of its clients, and labtop has none"),
            format!("Let user '{user}' in by a password in pg_hba.conf."),
        )
    } else if ["SSL required", "SSL connection is required", "sslmode"]
        .iter()
        .any(|words| said.contains(words))
    {
        (format!("PostgreSQL at {place} demands TLS"), ENCRYPT.to_owned())
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION && said.contains("no encryption") {
        // Said by servers that want TLS, and by those that do not want this host or user.
        let who = format!("user '{user}' in from here without TLS");
        let remedy = match settings.sslmode {
            config::SslMode::Disable => ENCRYPT,
            _ => {
                "Add a line for this user, database and host to the server's pg_hba.conf, or switch TLS on there."
            }
        };
        (format!("PostgreSQL at {place} does not let {who}: {said}"), remedy.to_owned())
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        (format!("PostgreSQL at {place} does not let user '{user}' in: {said}"), WHO.to_owned())
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        (
            format!("PostgreSQL at {place} has no database '{database}'"),
            format!("Create it (createdb {database}), or set PGDATABASE."),
        )
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        (
            format!("PostgreSQL at {place} has no connection left: {said}"),
            "Lower `postgres.pool_size`, or raise max_connections on the server.".to_owned(),
        )
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        (
            format!("PostgreSQL at {place} is read-only (a standby?)"),
            "Connect to the primary server.".to_owned(),
        )
    } else {
        return None;
    };
    Some(words(ErrorKind::Unavailable, message, remedy))
}

/// The server stopped, or was told to stop, what it did for us.
fn interrupted(settings: &config::Postgres, answer: &DbError) -> Option<Words> {
    let place = server(settings);
    let said = answer.message();
    let code = answer.code();
    if *code == SqlState::QUERY_CANCELED {
        if said.contains("statement timeout") {
            let limit = settings.statement_timeout_ms;
            return Some(words(
                ErrorKind::Timeout,
                format!("PostgreSQL needed more than {limit} ms"),
                "Raise `postgres.statement_timeout_ms`, or ask for less.",
            ));
        }
        return Some(words(ErrorKind::Cancelled, "it was cancelled", "Try again."));
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE {
        let message = "another session holds a lock on it for too long";
        return Some(words(ErrorKind::Timeout, message, "Try again when that session is done."));
    }
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) {
        return Some(words(ErrorKind::Conflict, "another session was faster", "Try again."));
    }
    let (what, remedy) = if said.contains("recovery") || said.contains("consistent") {
        ("is coming back after a crash or as a standby", "Try again when it has caught up.")
    } else if said.contains("starting up") || said.contains("not yet accepting") {
        ("is starting", "Try again in a moment.")
    } else {
        ("is stopping", "Try again when it is back.")
    };
    let stopping = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::CONNECTION_FAILURE,
        SqlState::CONNECTION_EXCEPTION,
    ];
    stopping
        .contains(code)
        .then(|| words(ErrorKind::Unavailable, format!("PostgreSQL at {place} {what}: {said}"), remedy))
}

/// Something is missing: rights, the extension, room, our tables.
fn lacking(settings: &config::Postgres, answer: &DbError) -> Option<Words> {
    let config::Postgres { user, database, .. } = settings;
    let said = answer.message();
    let code = answer.code();
    if lacks_vector(answer) {
        return Some(words(
            ErrorKind::Unavailable,
            format!("database '{database}' has no vector extension, which documents need"),
            "Install pgvector on the server, then CREATE EXTENSION vector as one who may. Experiments work without.",
        ));
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        let remedy = granting(settings, said);
        return Some(words(ErrorKind::Unavailable, format!("user '{user}' may not: {said}"), remedy));
    }
    if [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY, SqlState::INSUFFICIENT_RESOURCES].contains(code) {
        let message = format!("PostgreSQL is out of room: {said}");
        return Some(words(ErrorKind::Unavailable, message, "Make room on the server, then try again."));
    }
    if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME].contains(code) {
        return Some(words(ErrorKind::Backend, said, "Look at `labtop doctor`, then run `labtop migrate`."));
    }
    None
}

/// What the owner of a thing says to let the user at it.
fn granting(settings: &config::Postgres, said: &str) -> String {
    let config::Postgres { user, database, .. } = settings;
    let grant = if said.contains("for database") {
        format!("GRANT CREATE ON DATABASE \"{database}\" TO \"{user}\"")
    } else if said.contains("for schema ml_schema") {
        format!("GRANT USAGE, CREATE ON SCHEMA ml_schema TO \"{user}\"")
    } else if said.contains("for table") || said.contains("for sequence") {
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ml_schema TO \"{user}\"; GRANT USAGE, SELECT ON \
             ALL SEQUENCES IN SCHEMA ml_schema TO \"{user}\""
        )
    } else if said.contains("must be owner") {
        return "Run `labtop migrate` as the user who owns the tables.".to_owned();
    } else {
        return format!("Grant '{user}' the right, or connect as one who has it.");
    };
    format!("Have its owner say: {grant}")
}

/// The extension is not there and could not be made.
pub(super) fn lacks_vector(answer: &DbError) -> bool {
    let said = answer.message();
    let code = answer.code();
    (*code == SqlState::FEATURE_NOT_SUPPORTED && said.contains("extension \"vector\""))
        || (*code == SqlState::UNDEFINED_FILE && said.contains("extension"))
        || (*code == SqlState::INSUFFICIENT_PRIVILEGE && said.contains("create extension"))
        || (*code == SqlState::UNDEFINED_OBJECT && said.contains("type \"vector\""))
}

fn other(answer: &DbError) -> Words {
    let kind = match answer.code().code() {
        "23505" => ErrorKind::Conflict,
        // Integrity, data, programme limits: the request itself is wrong.
        code if ["22", "23", "54"].contains(&&code[..2]) => ErrorKind::Invalid,
        _ => ErrorKind::Backend,
    };
    let detail = answer.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    Words {
        kind,
        message: format!("{}{detail}", answer.message()),
        remedy: answer.hint().map(ToOwned::to_owned),
    }
}
