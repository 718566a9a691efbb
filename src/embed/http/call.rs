//! One request to an embedding server: what is sent, when it is sent again, and what a refusal means.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::super::EmbedError;
use super::{Endpoint, wire};

/// Longest that a server may make us wait before it is asked again.
const LONGEST: Duration = Duration::from_secs(120);

/// Why there are no vectors.
pub enum Refusal {
    /// The server does not take these texts.
    Input(String),
    Told(EmbedError),
}

/// Whether the same request may succeed in a moment.
enum Again {
    No,
    /// The server may have said how long to wait.
    Yes(Option<Duration>),
}

pub struct Client {
    http: reqwest::Client,
    url: String,
    name: String,
    model: String,
    key: Option<SecretString>,
    retries: usize,
    timeout: Duration,
}

impl Client {
    pub fn new(endpoint: &Endpoint) -> Result<Self, EmbedError> {
        // An error says that one is installed already, by whoever came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |why: String| EmbedError::Failed { model: endpoint.name.clone(), why };
        let mut headers = HeaderMap::new();
        if let Some(key) = &endpoint.api_key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret().trim()))
                .map_err(|_| failed("the API key holds characters that cannot be sent".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("labtop/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // A key must not follow wherever a stranger points.
            .redirect(Policy::none())
            .connect_timeout(endpoint.timeout.min(Duration::from_secs(10)))
            .timeout(endpoint.timeout)
            .build()
            .map_err(|problem| failed(plainly(&problem)))?;
        Ok(Client {
            http,
            url: address(&endpoint.url),
            name: endpoint.name.clone(),
            model: endpoint.model.clone(),
            key: endpoint.api_key.clone(),
            retries: endpoint.retries,
            timeout: endpoint.timeout,
        })
    }

    /// The vectors of these texts, in their order.
    pub async fn ask(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Refusal> {
        let body = json!({ "model": self.model, "input": texts }).to_string();
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(20))
            .with_max_times(self.retries)
            .with_jitter()
            .build();
        loop {
            let (refusal, again) = match self.once(&body, texts.len()).await {
                Ok(vectors) => return Ok(vectors),
                Err(refused) => refused,
            };
            let Again::Yes(wait) = again else { return Err(refusal) };
            let Some(pause) = pauses.next() else { return Err(refusal) };
            let pause = wait.map_or(pause, |wait| wait.max(pause));
            if pause > LONGEST {
                let seconds = pause.as_secs();
                return Err(
                    self.unavailable(format!("it wants to be left alone for {seconds} s: try again then"))
                );
            }
            tracing::debug!(model = self.name, ?pause, "asking the embedding server again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, body: &str, expected: usize) -> Result<Vec<Vec<f32>>, (Refusal, Again)> {
        let request =
            self.http.post(&self.url).header("content-type", "application/json").body(body.to_owned());
        let response = request.send().await.map_err(|problem| self.broken(&problem))?;
        let (status, wait) = (response.status(), retry_after(&response));
        let answer = response.bytes().await.map_err(|problem| self.broken(&problem))?;
        if status.is_success() {
            return wire::vectors(&answer, expected).map_err(|why| (self.failed(why), Again::No));
        }
        let said = self.hushed(wire::words(&answer));
        let (refusal, again) = match status {
            StatusCode::TOO_MANY_REQUESTS => {
                let why = format!("it turns us away for asking too much (429): {said}");
                (self.unavailable(why), Again::Yes(wait))
            }
            StatusCode::REQUEST_TIMEOUT => (self.unavailable(format!("{status}: {said}")), Again::Yes(wait)),
            status if status.is_server_error() => {
                (self.unavailable(format!("it answers {status}: {said}")), Again::Yes(wait))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let name = &self.name;
                let why = match self.key {
                    Some(_) => format!("it refuses the API key ({status}): {said}"),
                    None => format!(
                        "it wants an API key ({status}): set embed.models.{name}.api_key, or name the variable that holds it in \
                         api_key_env"
                    ),
                };
                (self.failed(why), Again::No)
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if wire::blames_model(&answer) => {
                let (url, model) = (shown(&self.url), &self.model);
                (
                    self.failed(format!("{url} does not know the model '{model}' ({status}): {said}")),
                    Again::No,
                )
            }
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                (Refusal::Input(said), Again::No)
            }
            StatusCode::NOT_FOUND => {
                let (url, model) = (shown(&self.url), &self.model);
                let why = format!(
                    "{url} does not know it (404): is the address right, and the model '{model}' there? {said}"
                );
                (self.failed(why), Again::No)
            }
            status if status.is_redirection() => (
                self.failed(format!("{} points elsewhere ({status}): give that address", shown(&self.url))),
                Again::No,
            ),
            status => (self.failed(format!("it answers {status}: {said}")), Again::No),
        };
        Err((refusal, again))
    }

    /// No whole answer came.
    fn broken(&self, problem: &reqwest::Error) -> (Refusal, Again) {
        let url = shown(&self.url);
        if problem.is_timeout() {
            let seconds = self.timeout.as_secs_f64();
            let why =
                format!("{url} gave no answer within {seconds} s (embed.models.{}.timeout_ms)", self.name);
            return (self.unavailable(why), Again::No);
        }
        // Nobody listens there; asking again at once hears the same.
        let again = if problem.is_connect() || problem.is_builder() { Again::No } else { Again::Yes(None) };
        (self.unavailable(format!("{url} cannot be reached: {}", plainly(problem))), again)
    }

    fn failed(&self, why: String) -> Refusal {
        Refusal::Told(EmbedError::Failed { model: self.name.clone(), why })
    }

    fn unavailable(&self, why: String) -> Refusal {
        Refusal::Told(EmbedError::Unavailable { model: self.name.clone(), why })
    }

    /// A server may repeat the key it was given.
    fn hushed(&self, text: String) -> String {
        match self.key.as_ref().map(|key| key.expose_secret().trim()).filter(|key| !key.is_empty()) {
            Some(key) => text.replace(key, "***"),
            None => text,
        }
    }
}

/// The address of the endpoint, from its own or that of the API around it.
fn address(url: &str) -> String {
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (url, String::new()),
    };
    let path = path.trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let whole = match last {
        "embeddings" => path.to_owned(),
        _ if last.starts_with('v') && last[1..].parse::<u32>().is_ok() => format!("{path}/embeddings"),
        _ => format!("{path}/v1/embeddings"),
    };
    whole + &query
}

/// An address as anybody may see it: without password and query, which may hold a key.
fn shown(url: &str) -> String {
    let plain = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return plain.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The innermost reason, which is the one that says something.
fn plainly(problem: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = problem;
    while let Some(source) = reason.source() {
        reason = source;
    }
    // The outermost one would name the address with all that is in it.
    if std::ptr::addr_eq(reason, problem) { "the request broke off".to_owned() } else { reason.to_string() }
}

/// `Retry-After`: seconds or a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed() {
        for (said, meant) in [
            ("http://localhost:11434", "http://localhost:11434/v1/embeddings"),
            ("http://localhost:11434/v1/", "http://localhost:11434/v1/embeddings"),
            ("https://api.openai.com/v1/embeddings", "https://api.openai.com/v1/embeddings"),
            (
                "https://x/deployments/ada/embeddings?api-version=1",
                "https://x/deployments/ada/embeddings?api-version=1",
            ),
            ("https://x/v", "https://x/v/v1/embeddings"),
        ] {
            assert_eq!(address(said), meant);
        }
        assert_eq!(shown("https://me:key@x/v1/embeddings?key=s3cret"), "https://x/v1/embeddings");
    }
}
