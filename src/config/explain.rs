//! Settings one by one: what is in force, and which layer said so.

use serde_json::Value;

use super::layers::{DEFAULTS_NAME, describe, stack};
use super::{ConfigError, Flags, Places, Settings, Variables};

/// Shown in place of what nobody else should read.
const HIDDEN: &str = "***";

/// Words in the last part of a key by which a secret is known. `Settings` hides the same ones, and a test compares.
const SECRETS: [&str; 6] = ["password", "token", "secret", "credential", "header", "api_key"];

/// One setting in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As in "postgres.host".
    pub key: String,
    /// Secrets are hidden.
    pub value: Value,
    /// The layer that set it, as errors name it: a file, a variable, a flag.
    pub origin: String,
    pub is_default: bool,
}

/// Every setting, in the order of their keys.
pub fn explain(flags: &Flags, places: &Places, variables: &Variables) -> Result<Vec<Setting>, ConfigError> {
    let stack = stack(flags, places, variables)?;
    let wrong = |error| ConfigError(describe(error));
    // What cannot be in force is not shown as if it were.
    let settings: Settings = stack.figment.extract().map_err(wrong)?;
    settings.validate()?;
    let mut all = Vec::new();
    for key in &stack.known {
        let value = stack.figment.find_value(key).map_err(wrong)?;
        let origin =
            stack.figment.get_metadata(value.tag()).map_or(DEFAULTS_NAME, |layer| layer.name.as_ref());
        let plain = serde_json::to_value(&value).map_err(|error| ConfigError(format!("`{key}`: {error}")))?;
        all.push(Setting {
            key: key.clone(),
            value: shown(key, plain),
            origin: origin.to_owned(),
            is_default: origin == DEFAULTS_NAME,
        });
    }
    Ok(all)
}

/// The value as anybody may see it; in a table of the user's own, name by name.
fn shown(key: &str, value: Value) -> Value {
    match value {
        value if is_secret(key) => hidden(&value),
        Value::Object(table) => {
            table.into_iter().map(|(name, value)| (name.clone(), shown(&name, value))).collect()
        }
        value => without_password(value),
    }
}

fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// That nothing is set is no secret.
fn hidden(value: &Value) -> Value {
    let is_empty = match value {
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    };
    if is_empty { value.clone() } else { HIDDEN.into() }
}

/// An address may hold a password, as in `http://me:secret@host`, and a key in its query.
fn without_password(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let Some((scheme, rest)) = text.split_once("://") else { return value };
    let (place, query) =
        rest.split_once('?').map_or((rest, String::new()), |(place, _)| (place, format!("?{HIDDEN}")));
    let authority = place.split('/').next().unwrap_or(place);
    let (user, host) = authority
        .rsplit_once('@')
        .map_or((String::new(), authority), |(_, host)| (format!("{HIDDEN}@"), host));
    format!("{scheme}://{user}{host}{}{query}", &place[authority.len()..]).into()
}
