//! What the environment says: `LABTOP__SECTION__KEY`, and where the servers are.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::ConfigError;
use super::layers::Layer;

/// Environment variables by name; given from outside so that tests set none.
pub type Variables = BTreeMap<String, String>;

const PREFIX: &str = "LABTOP__";

/// The variables other programs use for the same thing, weakest first; `DATABASE_URL` comes between them and ours.
const FOREIGN: [(&str, &str); 9] = [
    ("PGHOST", "postgres.host"),
    ("PGPORT", "postgres.port"),
    ("PGDATABASE", "postgres.database"),
    ("PGUSER", "postgres.user"),
    ("PGPASSWORD", "postgres.password"),
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
        if let Some(value) = set(name) {
            layers.push(layer(name, key, value, defaults)?);
        }
    }
    if let Some(url) = set("DATABASE_URL") {
        layers.push(database_url(url)?);
    }
    for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let key = rest.to_lowercase().replace("__", ".");
            layers.push(layer(name, &key, value, defaults)?);
        }
    }
    Ok(layers)
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

pub(super) fn nested(key: &str, value: Value) -> Dict {
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

/// `postgres://user:password@host:port/database`; what it leaves out keeps its value.
fn database_url(url: &str) -> Result<Layer, ConfigError> {
    use tokio_postgres::config::{Host, SslMode};
    let parsed: tokio_postgres::Config = url.parse().map_err(|error| {
        ConfigError(format!(
            "environment DATABASE_URL: {error} (expected postgres://user:password@host:port/database)"
        ))
    })?;
    if parsed.get_ssl_mode() == SslMode::Require {
        return Err(ConfigError(
            "environment DATABASE_URL: sslmode=require is not available in this version: use sslmode=prefer or \
             disable on a trusted network"
                .to_owned(),
        ));
    }
    let mut values = Dict::new();
    if let Some(host) = parsed.get_hosts().first() {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        values.insert("host".to_owned(), Value::from(host));
    }
    if let Some(port) = parsed.get_ports().first() {
        values.insert("port".to_owned(), Value::from(*port));
    }
    if let Some(database) = parsed.get_dbname() {
        values.insert("database".to_owned(), Value::from(database));
    }
    if let Some(user) = parsed.get_user() {
        values.insert("user".to_owned(), Value::from(user));
    }
    if let Some(password) = parsed.get_password() {
        let password = String::from_utf8_lossy(password).into_owned();
        values.insert("password".to_owned(), Value::from(password));
    }
    let values = Dict::from([("postgres".to_owned(), Value::from(values))]);
    Ok(Layer { name: "environment DATABASE_URL".to_owned(), values })
}
