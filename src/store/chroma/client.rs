//! HTTP to a Chroma server: what is sent with every request, how long it may take, and when it is sent again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::config::{self, ChromaAuth};
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::error;

/// Connections are let go before most servers and proxies do, so that few requests meet one that is just being closed.
const KEEP: Duration = Duration::from_secs(20);

/// Heavy writes may take so many times the usual limit.
const PATIENT: u32 = 6;

/// How often a request is sent again that may have been carried out, when that does no harm.
const AGAIN: usize = 2;
/// How often one is sent again that was turned away before anything was done.
const TURNED_AWAY: usize = 6;

pub(super) struct Client {
    http: reqwest::Client,
    settings: config::Chroma,
}

/// One request.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    method: Verb,
    path: &'a str,
    body: Option<&'a Value>,
    repeatable: bool,
    patient: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Call { method: Verb::Get, path, body: None, repeatable: true, patient: false }
    }

    pub(super) fn post(path: &'a str, body: &'a Value) -> Self {
        Call { method: Verb::Post, path, body: Some(body), repeatable: false, patient: false }
    }

    pub(super) fn put(path: &'a str, body: &'a Value) -> Self {
        Call { method: Verb::Put, path, body: Some(body), repeatable: false, patient: false }
    }

    pub(super) fn delete(path: &'a str) -> Self {
        Call { method: Verb::Delete, path, body: None, repeatable: false, patient: false }
    }

    /// Doing it twice is doing it once.
    pub(super) fn repeatable(self) -> Self {
        Call { repeatable: true, ..self }
    }

    pub(super) fn patient(self) -> Self {
        Call { patient: true, ..self }
    }
}

/// What came back, whatever it is: not every answer is JSON, or has a body at all.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) html: bool,
    pub(super) text: String,
    /// How long the server wants us to wait.
    pub(super) wait: Option<Duration>,
    /// Where a redirection points to.
    pub(super) elsewhere: Option<String>,
}

impl Answer {
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }
}

/// Whether the same request may succeed in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    No,
    /// The answer was lost, and perhaps not the request.
    IfHarmless,
    /// Nothing was done; the server may have said how long to wait.
    Yes(Option<Duration>),
}

impl Client {
    pub(super) fn new(settings: &config::Chroma) -> Result<Self> {
        // An error says that one is installed already, by whoever came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let limit = Duration::from_millis(settings.timeout_ms);
        let http = reqwest::Client::builder()
            .user_agent(concat!("labtop/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(settings)?)
            // A token must not follow wherever a stranger points.
            .redirect(Policy::none())
            .connect_timeout(limit)
            .timeout(limit)
            .pool_idle_timeout(KEEP)
            .tcp_keepalive(KEEP)
            .build()
            .map_err(|problem| error::from_http(settings, "connecting", problem))?;
        Ok(Client { http, settings: settings.clone() })
    }

    /// The JSON that the server answers; null where it answers well and says nothing.
    pub(super) async fn call(&self, doing: &str, call: Call<'_>) -> Result<Value> {
        let request = self.request(doing, &call)?;
        let pauses = |times| {
            let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100));
            pauses.with_max_times(times).with_jitter().build()
        };
        let (mut harmless, mut turned_away) = (pauses(AGAIN), pauses(TURNED_AWAY));
        let longest = Duration::from_millis(self.settings.timeout_ms);
        let answer = loop {
            let (error, again) = match self.once(doing, &request).await {
                Ok(answer) => break answer,
                Err(refused) => refused,
            };
            let pause = match again {
                Again::No => None,
                Again::IfHarmless if call.repeatable => harmless.next(),
                Again::IfHarmless => None,
                Again::Yes(wait) => {
                    turned_away.next().map(|pause| wait.map_or(pause, |wait| wait.max(pause)))
                }
            };
            match pause {
                Some(pause) if pause <= longest => {
                    tracing::debug!(%error, ?pause, "asking Chroma again");
                    tokio::time::sleep(pause).await;
                }
                Some(pause) => {
                    return Err(error.remedy(format!("Try again in {} s: it says so.", pause.as_secs())));
                }
                None => return Err(error),
            }
        };
        if answer.text.trim().is_empty() {
            return Ok(Value::Null);
        }
        answer.json().ok_or_else(|| error::not_chroma(&self.settings, doing, &answer))
    }

    /// One attempt; an answer that refuses is an error.
    async fn once(&self, doing: &str, request: &Request) -> Result<Answer, (StoreError, Again)> {
        let answer = self.send(doing, request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        // Every version has this route, under one number or the other.
        if error::may_be_older(&answer) {
            let probe =
                self.request(doing, &Call::get("/api/v1/heartbeat")).map_err(|error| (error, Again::No))?;
            let older = match self.send(doing, &probe).await {
                Ok(probed) => probed.status == StatusCode::OK && probed.text.contains("nanosecond heartbeat"),
                Err(_) => false,
            };
            if older || answer.status == StatusCode::GONE {
                return Err((error::older(&self.settings, doing), Again::No));
            }
        }
        Err((error::from_answer(&self.settings, doing, &answer), error::again(&answer)))
    }

    fn request(&self, doing: &str, call: &Call<'_>) -> Result<Request> {
        let method = match call.method {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        };
        let url = format!("{}{}", self.settings.url.trim_end_matches('/'), call.path);
        let mut request = self.http.request(method, url);
        if call.patient {
            request = request.timeout(Duration::from_millis(self.settings.timeout_ms) * PATIENT);
        }
        if let Some(body) = call.body {
            let body = serde_json::to_vec(body).map_err(|source| {
                StoreError::new(ErrorKind::Invalid, Backend::Chroma, doing, source.to_string()).source(source)
            })?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request.build().map_err(|problem| error::from_http(&self.settings, doing, problem))
    }

    async fn send(&self, doing: &str, request: &Request) -> Result<Answer, (StoreError, Again)> {
        let failed = |problem: reqwest::Error| {
            // Nobody listens there; asking again at once hears the same.
            let no_use = problem.is_builder() || problem.is_connect() || problem.is_timeout();
            let again = if no_use { Again::No } else { Again::IfHarmless };
            (error::from_http(&self.settings, doing, problem), again)
        };
        // The body is shared, not copied. Only one that is a stream cannot be.
        let request = request.try_clone().ok_or_else(|| {
            let message = "the request cannot be sent again";
            (StoreError::new(ErrorKind::Backend, Backend::Chroma, doing, message), Again::No)
        })?;
        let response = self.http.execute(request).await.map_err(failed)?;
        let status = response.status();
        let text = |name: HeaderName| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
        };
        let html = text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let wait = text(RETRY_AFTER).and_then(|text| duration(&text, Timestamp::now()));
        let elsewhere = text(LOCATION);
        let text = response.text().await.map_err(failed)?;
        Ok(Answer { status, html, text, wait, elsewhere })
    }
}

/// What is sent with every request: the token, and what a proxy wants.
fn headers(settings: &config::Chroma) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let token = settings.token.expose_secret();
    if !token.is_empty() {
        let (name, value) = match settings.auth {
            ChromaAuth::XChromaToken => (HeaderName::from_static("x-chroma-token"), token.to_owned()),
            ChromaAuth::Bearer => (AUTHORIZATION, format!("Bearer {token}")),
            ChromaAuth::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(token))),
        };
        let value = secret(&value, "the token", "Check CHROMA_API_KEY for line breaks.")?;
        headers.insert(name, value);
    }
    for (name, value) in &settings.headers {
        let what = format!("the header '{name}'");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|source| {
            let message = format!("{what} has a name that no header may have");
            invalid(message, "Look at `chroma.headers` in the settings.").source(source)
        })?;
        let value: &SecretString = value;
        headers
            .insert(key, secret(value.expose_secret(), &what, "Look at `chroma.headers` in the settings.")?);
    }
    Ok(headers)
}

fn secret(value: &str, what: &str, remedy: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).map_err(|source| {
        invalid(format!("{what} holds characters that no header may have"), remedy).source(source)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn invalid(message: String, remedy: &str) -> StoreError {
    StoreError::new(ErrorKind::Invalid, Backend::Chroma, "connecting", message).remedy(remedy)
}

/// `Retry-After`: seconds, or a date.
fn duration(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_seconds_or_a_date() {
        let now: Timestamp = "2026-10-21T07:28:00Z".parse().unwrap();
        assert_eq!(duration(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(duration("Wed, 21 Oct 2026 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(duration("Wed, 21 Oct 2026 07:27:30 GMT", now), Some(Duration::ZERO));
        assert_eq!(duration("soon", now), None);
    }
}
