//! What PostgreSQL, its driver and the pool say, in plain words with a remedy.

use std::error::Error as _;
use std::io;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::config;
use crate::store::{Backend, ErrorKind, StoreError};

const WHERE: &str = "Set PGHOST and PGPORT (or DATABASE_URL) to where it runs, or start it there.";
const WHO: &str = "Set PGUSER and PGPASSWORD (or DATABASE_URL).";
const PLAIN: &str = "Allow unencrypted connections from this host in pg_hba.conf, or use a tunnel.";

/// Kind, message and remedy; the message is the whole story for the user.
struct Words {
    kind: ErrorKind,
    message: String,
    remedy: Option<String>,
}

fn words(kind: ErrorKind, message: impl Into<String>, remedy: impl Into<String>) -> Words {
    Words { kind, message: message.into(), remedy: Some(remedy.into()) }
}

/// The server took the connection or the statement and then said nothing.
pub(super) fn silent(settings: &config::Postgres, doing: &str) -> StoreError {
    let message = format!("PostgreSQL at {} stopped answering", server(settings));
    StoreError::new(ErrorKind::Timeout, Backend::Postgres, doing, message)
        .remedy("Look at the server, then try again.")
}

pub(super) fn pool(settings: &config::Postgres, doing: &str, error: PoolError) -> StoreError {
    let milliseconds = settings.connect_timeout_ms;
    let words = match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            return told(settings, doing, error);
        }
        PoolError::Timeout(TimeoutType::Wait) => words(
            ErrorKind::Timeout,
            format!("all {} connections to PostgreSQL stayed busy for {milliseconds} ms", settings.pool_size),
            "Raise `postgres.pool_size`, or run less at once.",
        ),
        PoolError::Timeout(_) => words(
            ErrorKind::Unavailable,
            format!("PostgreSQL at {} does not answer within {milliseconds} ms", server(settings)),
            WHERE,
        ),
        other => Words { kind: ErrorKind::Backend, message: other.to_string(), remedy: None },
    };
    finish(doing, words)
}

/// An error of the driver: refused, silent, or an answer of the server.
pub(super) fn told(settings: &config::Postgres, doing: &str, error: Error) -> StoreError {
    let words = match error.as_db_error() {
        Some(answer) => from_server(settings, answer),
        None => from_driver(settings, &error),
    };
    finish(doing, words).source(error)
}

fn finish(doing: &str, words: Words) -> StoreError {
    let error = StoreError::new(words.kind, Backend::Postgres, doing, words.message);
    match words.remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

fn server(settings: &config::Postgres) -> String {
    format!("{}:{}", settings.host, settings.port)
}

fn from_driver(settings: &config::Postgres, error: &Error) -> Words {
    let place = server(settings);
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let input_output = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(problem) = input_output {
        let message = match problem.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("PostgreSQL does not answer: nothing listens at {place}")
            }
            io::ErrorKind::TimedOut => format!("PostgreSQL at {place} does not answer"),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("there is no way to {place}: {cause}")
            }
            _ if cause.contains("bytes remaining on stream") => {
                format!("what answers at {place} does not speak PostgreSQL's protocol")
            }
            _ if cause.contains("lookup address") => {
                format!("the host name '{}' is not known", settings.host)
            }
            _ => format!("the connection to PostgreSQL at {place} was lost ({cause})"),
        };
        return words(ErrorKind::Unavailable, message, WHERE);
    }
    if error.is_closed() {
        let message = format!("the connection to PostgreSQL at {place} was lost");
        return words(ErrorKind::Unavailable, message, "Try again; labtop connects anew.");
    }
    let said = error.to_string();
    match said.as_str() {
        "timeout waiting for server" => {
            words(ErrorKind::Unavailable, format!("PostgreSQL at {place} does not answer"), WHERE)
        }
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
    } else if ["SSL required", "SSL connection is required", "sslmode"]
        .iter()
        .any(|words| said.contains(words))
    {
        (
            format!("PostgreSQL at {place} demands TLS, which this version of labtop does not speak"),
            PLAIN.to_owned(),
        )
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION && said.contains("no encryption") {
        // Said by servers that want TLS, and by those that do not want this host or user.
        let who = format!("user '{user}' in from here without TLS");
        (format!("PostgreSQL at {place} does not let {who}: {said}"), PLAIN.to_owned())
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        (format!("PostgreSQL at {place} does not let user '{user}' in: {said}"), WHO.to_owned())
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        (
            format!("PostgreSQL at {place} has no database '{database}'"),
            format!("Create it (createdb {database}), or set PGDATABASE."),
        )
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        (
            format!("PostgreSQL at {place} has no connection left"),
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
    let code = answer.code();
    if *code == SqlState::QUERY_CANCELED {
        if answer.message().contains("statement timeout") {
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
    let stopping = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::CONNECTION_FAILURE,
        SqlState::CONNECTION_EXCEPTION,
    ];
    stopping.contains(code).then(|| {
        let message = format!("PostgreSQL at {place} is starting or stopping: {}", answer.message());
        words(ErrorKind::Unavailable, message, "Try again in a moment.")
    })
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
        let remedy = format!("Grant '{user}' the right, or connect as one who has it.");
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
