//! HTTP to a Chroma server: what is sent with every request, how long it may take, and when it is sent again.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::config;
use crate::store::{Backend, ErrorKind, Result, StoreError};

use super::error;

/// Connections are let go before most servers and proxies do, so that few requests meet one that is just being closed.
const KEEP: Duration = Duration::from_secs(20);

/// Heavy writes may take so many times the usual limit.
const PATIENT: u32 = 6;

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
    Delete,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Call { method: Verb::Get, path, body: None, repeatable: true, patient: false }
    }

    pub(super) fn post(path: &'a str, body: &'a Value) -> Self {
        Call { method: Verb::Post, path, body: Some(body), repeatable: false, patient: false }
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
}

impl Answer {
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }
}

impl Client {
    pub(super) fn new(settings: &config::Chroma) -> Result<Self> {
        // An error says that one is installed already, by whoever came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let limit = Duration::from_millis(settings.timeout_ms);
        let mut headers = HeaderMap::new();
        let token = settings.token.expose_secret();
        if !token.is_empty() {
            let mut value = HeaderValue::from_str(token).map_err(|source| {
                let message = "the token holds characters that no header may have";
                StoreError::new(ErrorKind::Invalid, Backend::Chroma, "connecting", message)
                    .remedy("Check CHROMA_API_KEY for line breaks.")
                    .source(source)
            })?;
            value.set_sensitive(true);
            headers.insert("x-chroma-token", value);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("labtop/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
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
        let body = match call.body {
            None => None,
            Some(body) => Some(serde_json::to_vec(body).map_err(|source| {
                StoreError::new(ErrorKind::Invalid, Backend::Chroma, doing, source.to_string()).source(source)
            })?),
        };
        let retries = if call.repeatable { 2 } else { 0 };
        let again = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(retries)
            .with_jitter();
        let answer = (|| self.once(doing, &call, body.as_deref()))
            .retry(again)
            .when(error::is_passing)
            .notify(|error, pause| tracing::debug!(%error, ?pause, "asking Chroma again"))
            .await?;
        if answer.text.trim().is_empty() {
            return Ok(Value::Null);
        }
        answer.json().ok_or_else(|| error::not_chroma(&self.settings, doing, &answer))
    }

    /// One attempt; an answer that refuses is an error.
    async fn once(&self, doing: &str, call: &Call<'_>, body: Option<&[u8]>) -> Result<Answer> {
        let answer = self.send(doing, call, body).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        // Every version has this route, under one number or the other.
        if error::may_be_older(&answer) {
            let probe = Call::get("/api/v1/heartbeat");
            let older = match self.send(doing, &probe, None).await {
                Ok(probed) => probed.status == StatusCode::OK && probed.text.contains("nanosecond heartbeat"),
                Err(_) => false,
            };
            if older || answer.status == StatusCode::GONE {
                return Err(error::older(&self.settings, doing));
            }
        }
        Err(error::from_answer(&self.settings, doing, &answer))
    }

    async fn send(&self, doing: &str, call: &Call<'_>, body: Option<&[u8]>) -> Result<Answer> {
        let method = match call.method {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Delete => Method::DELETE,
        };
        let url = format!("{}{}", self.settings.url.trim_end_matches('/'), call.path);
        let mut request = self.http.request(method, url);
        if call.patient {
            request = request.timeout(Duration::from_millis(self.settings.timeout_ms) * PATIENT);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let failed = |problem| error::from_http(&self.settings, doing, problem);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let html = kind.is_some_and(|kind| kind.starts_with("text/html"));
        let text = response.text().await.map_err(failed)?;
        Ok(Answer { status, html, text })
    }
}
