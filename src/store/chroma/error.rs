//! What Chroma, a proxy before it, or the way to it say, in plain words with a remedy.

use std::error::Error as _;

use reqwest::StatusCode;
use serde_json::Value;

use crate::config;
use crate::domain::text::one_line;
use crate::store::{Backend, ErrorKind, StoreError};

use super::client::{Again, Answer};

const START: &str = "Start Chroma there, or set CHROMA_URL to where it runs.";

/// The URL without a user's name and password, should there be any.
pub(super) fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

fn made(kind: ErrorKind, doing: &str, message: impl Into<String>) -> StoreError {
    StoreError::new(kind, Backend::Chroma, doing, message)
}

/// No answer: refused, silent, or closed.
pub(super) fn from_http(settings: &config::Chroma, doing: &str, problem: reqwest::Error) -> StoreError {
    let url = shown(&settings.url);
    let limit = settings.timeout_ms;
    let error = if problem.is_builder() {
        made(ErrorKind::Invalid, doing, format!("'{url}' is no address of a server"))
            .remedy("Set CHROMA_URL to something like http://localhost:8000.")
    } else if problem.is_connect() {
        let why = root(&problem);
        let message = if problem.is_timeout() {
            format!("Chroma at {url} does not answer within {limit} ms")
        } else {
            format!("Chroma at {url} does not answer ({why})")
        };
        made(ErrorKind::Unavailable, doing, message).remedy(START)
    } else if problem.is_timeout() {
        made(ErrorKind::Timeout, doing, format!("Chroma at {url} did not answer in time"))
            .remedy("Try again, or raise `chroma.timeout_ms`.")
    } else {
        let message = format!("Chroma at {url} closed the connection without an answer");
        made(ErrorKind::Unavailable, doing, message).remedy("Look at the server's log, then try again.")
    };
    error.source(problem.without_url())
}

/// The innermost cause, which is the one that means something to a person.
fn root(problem: &reqwest::Error) -> String {
    let mut cause = problem.source();
    let mut text = problem.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// Whether the same may succeed in a moment.
pub(super) fn again(answer: &Answer) -> Again {
    let busy = || class(answer).is_some_and(|(_, message)| message.contains("database is locked"));
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => Again::Yes(answer.wait),
        StatusCode::SERVICE_UNAVAILABLE if answer.wait.is_some() => Again::Yes(answer.wait),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Again::IfHarmless
        }
        // Rolled back, by Chroma's own SQLite file.
        status if status.is_server_error() && busy() => Again::Yes(None),
        _ => Again::No,
    }
}

const TOO_LARGE: &str = "Raise the server's max_payload_size_bytes, or that of the proxy before it.";

/// The request has more bytes than the server, or a proxy before it, takes at once.
pub(super) fn is_too_large(error: &StoreError) -> bool {
    error.remedy.as_deref() == Some(TOO_LARGE)
}

const NOT_CHROMA: &str = "Set CHROMA_URL to the address of a Chroma server: scheme, host and port.";

/// The answer is none of Chroma's.
pub(super) fn not_chroma(settings: &config::Chroma, doing: &str, answer: &Answer) -> StoreError {
    let what = if answer.html { "a web page" } else { "something else" };
    let message = format!("what answers at {} is not Chroma but {what}", shown(&settings.url));
    made(ErrorKind::Unavailable, doing, message).remedy(NOT_CHROMA)
}

/// The route is not there, and Chroma did not say so: it may know version 1 only.
pub(super) fn may_be_older(answer: &Answer) -> bool {
    let missing = [StatusCode::NOT_FOUND, StatusCode::GONE, StatusCode::METHOD_NOT_ALLOWED];
    missing.contains(&answer.status) && class(answer).is_none_or(|(class, _)| class == "Unimplemented")
}

pub(super) fn older(settings: &config::Chroma, doing: &str) -> StoreError {
    let message = format!("Chroma at {} is older than 0.5.16", shown(&settings.url));
    made(ErrorKind::Unavailable, doing, message)
        .remedy("Update the server; labtop needs its interface of version 2.")
}

/// The `error` and `message` of Chroma's own refusals.
fn class(answer: &Answer) -> Option<(String, String)> {
    let Some(Value::Object(body)) = answer.json() else { return None };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    Some((text("error")?, text("message").unwrap_or_default()))
}

pub(super) fn from_answer(settings: &config::Chroma, doing: &str, answer: &Answer) -> StoreError {
    let url = shown(&settings.url);
    let status = answer.status;
    let said = class(answer);
    let message = said.as_ref().map(|(_, message)| plain(message));
    let name = said.as_ref().map(|(class, _)| class.as_str());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => made(
            ErrorKind::Unavailable,
            doing,
            format!("Chroma at {url} does not let us in"),
        )
        .remedy(
            "Set CHROMA_API_KEY, CHROMA_TENANT and CHROMA_DATABASE; `chroma.auth` says how the key is sent.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            made(ErrorKind::Invalid, doing, "it is more than the server takes at once").remedy(TOO_LARGE)
        }
        StatusCode::TOO_MANY_REQUESTS => {
            made(ErrorKind::Unavailable, doing, format!("Chroma at {url} has enough requests for now"))
                .remedy("Try again in a moment.")
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            let message = format!("a proxy at {url} finds no Chroma behind it ({status})");
            made(ErrorKind::Unavailable, doing, message).remedy("Look at the server, then try again.")
        }
        StatusCode::NOT_FOUND if name.is_some() => {
            made(ErrorKind::NotFound, doing, message.unwrap_or_default())
        }
        StatusCode::CONFLICT => {
            made(ErrorKind::Conflict, doing, message.unwrap_or_else(|| "it exists already".to_owned()))
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            made(ErrorKind::Invalid, doing, message.unwrap_or_else(|| excerpt(answer)))
        }
        _ if said.as_ref().is_some_and(|(_, message)| message.contains("compactor")) => {
            let message = format!("Chroma at {url} has lost a part of itself and takes no more writes");
            made(ErrorKind::Unavailable, doing, message)
                .remedy("Restart the Chroma server; nothing it keeps is lost.")
        }
        // Of its own SQLite file, when much is written at once.
        _ if said.as_ref().is_some_and(|(_, message)| message.contains("database is locked")) => {
            made(ErrorKind::Unavailable, doing, format!("Chroma at {url} is busy with other writes"))
                .remedy("Try again in a moment.")
        }
        _ if status.is_server_error() => {
            let message = message.unwrap_or_else(|| excerpt(answer));
            made(ErrorKind::Backend, doing, format!("Chroma failed ({status}): {message}"))
                .remedy("Look at the server's log.")
        }
        _ if status.is_redirection() => {
            let elsewhere = answer.elsewhere.as_deref().map(shown).unwrap_or_default();
            let message = format!("{url} sends us elsewhere: {}", one_line(&elsewhere, 200));
            made(ErrorKind::Unavailable, doing, message)
                .remedy("Set CHROMA_URL to that address, if it is yours.")
        }
        _ => not_chroma(settings, doing, answer),
    }
}

/// A refusal without the words that are for programmers.
fn plain(message: &str) -> String {
    let message = message
        .trim_start_matches("Failed to deserialize the JSON body into the target type: ")
        .trim_start_matches("Validation error: ");
    let end = message.find(" at line 1 column ").unwrap_or(message.len());
    one_line(&message[..end], 500)
}

fn excerpt(answer: &Answer) -> String {
    if answer.html { "a web page".to_owned() } else { one_line(&answer.text, 200) }
}
