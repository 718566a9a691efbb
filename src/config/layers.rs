//! The layers a setting may come from, and one error message for whatever is wrong in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use figment::providers::Format;
use figment::value::{Dict, Map as FigmentMap, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::environment::{self, Variables};
use super::{ConfigError, Settings};

/// What errors call the values of `config/default.toml`.
pub(super) const DEFAULTS_NAME: &str = "the built-in defaults";
const DEFAULTS: &str = include_str!("../../config/default.toml");
const SERVERS: &str = include_str!("../../config/servers.toml");
/// The table of a file that holds profiles; not a setting itself.
const PROFILES: &str = "profiles";

/// Tables of names that are the user's own.
const FREE: [&str; 2] = ["chroma.headers.", "embed.models."];

/// What the command line says about settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub profile: Option<String>,
    pub store: Option<PathBuf>,
    pub read_only: bool,
}

/// Where files are looked for; given from outside so that tests need no home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub user: Option<PathBuf>,
    pub project: Option<PathBuf>,
}

impl Places {
    /// `~/.config/labtop/config.toml` (or its equivalent) and `./labtop.toml`.
    pub fn usual() -> Self {
        use etcetera::BaseStrategy;
        let user = etcetera::choose_base_strategy()
            .ok()
            .map(|folders| folders.config_dir().join("labtop").join("config.toml"));
        Places { user, project: Some(PathBuf::from("labtop.toml")) }
    }
}

/// Settings from every layer.
pub fn load(flags: &Flags, places: &Places, variables: &Variables) -> Result<Settings, ConfigError> {
    let mut settings: Settings =
        stack(flags, places, variables)?.figment.extract().map_err(|error| ConfigError(describe(error)))?;
    settings.validate()?;
    settings.embed.take_keys(variables);
    Ok(settings)
}

/// All layers over each other.
pub(super) struct Stack {
    pub(super) figment: Figment,
    /// Every key there is.
    pub(super) known: BTreeSet<String>,
}

pub(super) fn stack(flags: &Flags, places: &Places, variables: &Variables) -> Result<Stack, ConfigError> {
    let defaults = Layer::parse(DEFAULTS_NAME, DEFAULTS)?;
    let known = known_keys(&defaults.values);
    let mut layers = vec![defaults];
    for path in [&places.user, &places.project].into_iter().flatten().filter(|path| path.exists()) {
        layers.push(Layer::read(path)?);
    }
    if let Some(path) = &flags.config {
        layers.push(Layer::read(path)?);
    }
    let environment = environment::layers(variables, &layers[0].values)?;
    let mut problems: Vec<String> = layers.iter().flat_map(|layer| layer.unknown_keys(&known)).collect();

    let mut figment = Figment::new();
    for layer in &layers {
        figment = figment.merge(layer.without_profiles());
    }
    let (profile, chosen_by) = chosen_profile(flags, &environment, &figment)?;
    for overlay in profile_layers(&profile, &layers)? {
        problems.extend(overlay.unknown_keys(&known));
        figment = figment.merge(overlay);
    }
    for layer in environment {
        problems.extend(layer.unknown_keys(&known));
        figment = figment.merge(layer);
    }
    if !problems.is_empty() {
        return Err(ConfigError(problems.join("\n")));
    }
    figment = figment.merge(Layer::of_one(&chosen_by, "profile", Value::from(profile)));
    if let Some(store) = &flags.store {
        let path = Value::serialize(store).map_err(|error| ConfigError(format!("--store: {error}")))?;
        figment = figment.merge(Layer::of_one("--store", "duckdb.path", path));
    }
    if flags.read_only {
        figment = figment.merge(Layer::of_one("--read-only", "read_only", Value::from(true)));
    }
    Ok(Stack { figment, known })
}

/// The built-in defaults with one layer over them.
pub(super) fn defaults_under(layer: Layer) -> Result<Settings, ConfigError> {
    let figment = Figment::new().merge(Layer::parse("the built-in defaults", DEFAULTS)?).merge(layer);
    figment.extract().map_err(|error| ConfigError(describe(error)))
}

/// One source of settings with the name that errors give it.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) values: Dict,
}

impl Layer {
    fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let values = Toml::from_str(text).map_err(|error| ConfigError(format!("{name}: {error}")))?;
        Ok(Layer { name: name.to_owned(), values })
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("{}: cannot be read: {error}", path.display())))?;
        Layer::parse(&path.display().to_string(), &text)
    }

    fn of_one(name: &str, key: &str, value: Value) -> Self {
        Layer { name: name.to_owned(), values: environment::nested(key, value) }
    }

    fn without_profiles(&self) -> Layer {
        let mut values = self.values.clone();
        values.remove(PROFILES);
        Layer { name: self.name.clone(), values }
    }

    fn unknown_keys(&self, known: &BTreeSet<String>) -> Vec<String> {
        let mut keys = BTreeSet::new();
        let mut values = self.values.clone();
        if let Some(Value::Dict(_, profiles)) = values.remove(PROFILES) {
            for profile in profiles.values().filter_map(Value::as_dict) {
                collect_keys("", profile, &mut keys);
            }
        }
        collect_keys("", &values, &mut keys);
        keys.iter()
            .filter(|key| !known.contains(*key) && !is_section(key, known) && !is_free(key))
            .map(|key| format!("{}: unknown key `{key}` ({})", self.name, accepted_beside(key, known)))
            .collect()
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<FigmentMap<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// TOML by the crate we already have; figment's own feature would bring an older one.
struct Toml;

impl Format for Toml {
    type Error = toml::de::Error;
    const NAME: &'static str = "TOML";

    fn from_str<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Self::Error> {
        toml::from_str(text)
    }
}

fn known_keys(defaults: &Dict) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    collect_keys("", defaults, &mut keys);
    keys
}

fn collect_keys(prefix: &str, values: &Dict, keys: &mut BTreeSet<String>) {
    for (name, value) in values {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => collect_keys(&key, inner, keys),
            _ => {
                keys.insert(key);
            }
        }
    }
}

fn is_section(key: &str, known: &BTreeSet<String>) -> bool {
    let prefix = format!("{key}.");
    known.iter().any(|other| other.starts_with(&prefix))
}

/// Whether the names in its table are the user's own.
fn is_free(key: &str) -> bool {
    FREE.iter().any(|table| key.starts_with(table))
}

fn accepted_beside(key: &str, known: &BTreeSet<String>) -> String {
    let section = key.rsplit_once('.').map_or("", |(section, _)| section);
    let beside: BTreeSet<&str> = known
        .iter()
        .filter_map(|other| match section {
            "" => other.split('.').next(),
            _ => other.strip_prefix(section)?.strip_prefix('.'),
        })
        .collect();
    if beside.is_empty() {
        let sections: BTreeSet<&str> =
            known.iter().filter_map(|other| Some(other.split_once('.')?.0)).collect();
        return format!("sections: {}", sections.into_iter().collect::<Vec<_>>().join(", "));
    }
    format!("known here: {}", beside.into_iter().collect::<Vec<_>>().join(", "))
}

/// The name of the profile, and what chose it.
fn chosen_profile(
    flags: &Flags,
    environment: &[Layer],
    files: &Figment,
) -> Result<(String, String), ConfigError> {
    if let Some(name) = &flags.profile {
        return Ok((name.clone(), "--profile".to_owned()));
    }
    let from_environment =
        environment.iter().rev().find_map(|layer| Some((layer.values.get("profile")?.as_str()?, layer)));
    if let Some((name, layer)) = from_environment {
        return Ok((name.to_owned(), layer.name.clone()));
    }
    let name = files.extract_inner("profile").map_err(|error| ConfigError(describe(error)))?;
    let chosen_by = files.find_metadata("profile").map_or(DEFAULTS_NAME, |metadata| metadata.name.as_ref());
    Ok((name, chosen_by.to_owned()))
}

/// The overlay of a profile: the built-in one, then each file's own table of that name.
fn profile_layers(profile: &str, layers: &[Layer]) -> Result<Vec<Layer>, ConfigError> {
    let mut overlays = Vec::new();
    let mut names = BTreeSet::from(["embedded".to_owned(), "servers".to_owned()]);
    if profile == "servers" {
        overlays.push(Layer::parse("the built-in profile servers", SERVERS)?);
    }
    for layer in layers {
        let Some(Value::Dict(_, profiles)) = layer.values.get(PROFILES) else { continue };
        names.extend(profiles.keys().cloned());
        if let Some(Value::Dict(_, values)) = profiles.get(profile) {
            overlays
                .push(Layer { name: format!("{} [profiles.{profile}]", layer.name), values: values.clone() });
        }
    }
    if names.contains(profile) {
        return Ok(overlays);
    }
    let known = names.into_iter().collect::<Vec<_>>().join(", ");
    Err(ConfigError(format!("unknown profile '{profile}' (known: {known})")))
}

/// figment's error with file and key first.
pub(super) fn describe(error: figment::Error) -> String {
    error
        .into_iter()
        .map(|error| {
            let place = error.metadata.as_ref().map_or("settings", |metadata| metadata.name.as_ref());
            let key = error.path.join(".");
            format!("{place}: `{key}`: {}", error.kind)
        })
        .collect::<Vec<_>>()
        .join("\n")
}
