//! What the environment says: `LABTOP__SECTION__KEY`, and where the servers are.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::layers::Layer;
use super::{ConfigError, database_url};

/// Environment variables by name; given from outside so that tests set none.
pub type Variables = BTreeMap<String, String>;

const PREFIX: &str = "LABTOP__";

/// In seconds.
const PGCONNECT_TIMEOUT: &str = "PGCONNECT_TIMEOUT";

/// The variables other programs use for the same thing, weakest first; `DATABASE_URL` comes between them and ours.
const FOREIGN: [(&str, &str); 17] = [
    ("PGHOST", "postgres.host"),
    ("PGPORT", "postgres.port"),
    ("PGDATABASE", "postgres.database"),
    ("PGUSER", "postgres.user"),
    ("PGPASSWORD", "postgres.password"),
    ("PGPASSFILE", "postgres.passfile"),
    ("PGSSLMODE", "postgres.sslmode"),
    ("PGSSLROOTCERT", "postgres.sslrootcert"),
    ("PGCHANNELBINDING", "postgres.channel_binding"),
    ("PGAPPNAME", "postgres.application_name"),
    (PGCONNECT_TIMEOUT, "postgres.connect_timeout_ms"),
    ("CHROMA_HOST", "chroma.url"),
    ("CHROMA_ENDPOINT", "chroma.url"),
    ("CHROMA_URL", "chroma.url"),
    ("CHROMA_TENANT", "chroma.tenant"),
    ("CHROMA_DATABASE", "chroma.database"),
    ("CHROMA_API_KEY", "chroma.token"),
];

/// All variables that are text; others cannot hold a setting.
pub fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// One layer for each variable that counts, so that an error names the variable. An empty variable is an unset one.
pub(super) fn layers(variables: &Variables, defaults: &Dict) -> Result<Vec<Layer>, ConfigError> {
    let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let mut layers = Vec::new();
    for (name, key) in FOREIGN {
        let Some(value) = set(name) else { continue };
        let value = match key {
            _ if name == PGCONNECT_TIMEOUT => database_url::milliseconds(value)
                .map_err(|problem| ConfigError(format!("environment {name}: {problem}")))?
                .to_string(),
            "chroma.url" => chroma_url(value),
            _ => value.to_owned(),
        };
        layers.push(layer(name, key, &value, defaults)?);
    }
    if let Some(url) = set("DATABASE_URL") {
        layers.push(database_url::layer(url)?);
    }
    for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let mut key = rest.to_lowercase().replace("__", ".");
            // No header has a name with an underscore, and no variable one with a hyphen.
            if let Some(header) = key.strip_prefix("chroma.headers.") {
                key = format!("chroma.headers.{}", header.replace('_', "-"));
            }
            layers.push(layer(name, &key, value, defaults)?);
        }
    }
    Ok(layers)
}

/// An address as Chroma's own clients take it: without a scheme it is a server of one's own where it is this machine or
/// names a port, and else the Cloud's.
fn chroma_url(text: &str) -> String {
    let text = text.trim();
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    if text.contains("://") {
        text.to_owned()
    } else if !port.is_empty() {
        format!("http://{text}")
    } else if host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok() {
        format!("http://{host}:8000")
    } else {
        format!("https://{host}")
    }
}

fn layer(name: &str, key: &str, text: &str, defaults: &Dict) -> Result<Layer, ConfigError> {
    let default = find(defaults, key);
    // A password of digits stays text: the default's type decides.
    let value = match default {
        Some(Value::Num(..)) => text
            .parse::<u64>()
            .map(Value::from)
            .map_err(|_| ConfigError(format!("environment {name}: '{text}' is not a whole number")))?,
        Some(Value::Bool(..)) => text
            .parse::<bool>()
            .map(Value::from)
            .map_err(|_| ConfigError(format!("environment {name}: '{text}' is not true or false")))?,
        Some(Value::Array(..)) => Value::from(text.split(',').map(str::trim).collect::<Vec<_>>()),
        _ => Value::from(text),
    };
    Ok(Layer { name: format!("environment {name}"), values: nested(key, value) })
}

fn nested(key: &str, value: Value) -> Dict {
    match key.split_once('.') {
        Some((head, rest)) => Dict::from([(head.to_owned(), Value::from(nested(rest, value)))]),
        None => Dict::from([(key.to_owned(), value)]),
    }
}

fn find<'a>(values: &'a Dict, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((head, rest)) => find(values.get(head)?.as_dict()?, rest),
        None => values.get(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chromas_own_way_of_naming_a_host_is_understood() {
        for (said, meant) in [
            ("api.trychroma.com", "https://api.trychroma.com"),
            ("localhost", "http://localhost:8000"),
            ("10.0.0.7", "http://10.0.0.7:8000"),
            ("chroma.internal:9000", "http://chroma.internal:9000"),
            ("https://lab.example.org/chroma", "https://lab.example.org/chroma"),
        ] {
            assert_eq!(chroma_url(said), meant);
        }
    }
}
