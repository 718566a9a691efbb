//! `[embed]`: what documents are embedded by, and models behind a server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::Variables;

/// The model inside labtop, as `embed::BuiltIn` calls it; a test compares.
pub const BUILT_IN: &str = "labtop-static-256-2";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// What new documents are embedded by.
    pub model: String,
    /// Folder of the vectors that servers made; the usual one when empty, none when "off".
    pub cache: PathBuf,
    /// Of one model.
    pub cache_mb: u64,
    /// By the name that their documents are stored under.
    pub models: BTreeMap<String, EmbedModel>,
}

/// A model behind an OpenAI-compatible endpoint, or one in a folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedModel {
    #[serde(default)]
    pub url: Option<String>,
    /// The folder that holds model.onnx and tokenizer.json. Of the keys below, only `dimension` and `batch` are for it.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// What the server calls it; as we do when none.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub dimension: Option<usize>,
    #[serde(default)]
    pub api_key: Option<SecretString>,
    /// The environment variable that holds the key.
    #[serde(default)]
    pub api_key_env: Option<String>,
    #[serde(default = "batch")]
    pub batch: usize,
    #[serde(default = "batch_chars")]
    pub batch_chars: usize,
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    #[serde(default = "retries")]
    pub retries: usize,
}

fn batch() -> usize {
    64
}

fn batch_chars() -> usize {
    100_000
}

fn concurrency() -> usize {
    4
}

fn timeout_ms() -> u64 {
    60_000
}

fn retries() -> usize {
    6
}

impl EmbedModel {
    fn check_place(&self, wrong: &mut impl FnMut(&str, &str)) {
        match (&self.url, &self.path) {
            (Some(url), None) => {
                let host = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
                if host.is_none_or(|host| host.trim_start_matches('/').is_empty()) {
                    wrong("url", "must begin with http:// or https:// and name a host");
                }
            }
            (None, Some(_)) if !cfg!(feature = "embed-onnx") => wrong(
                "path",
                "this labtop is built without models from folders: build it with --features embed-onnx, or give the url of a server",
            ),
            (None, Some(path)) => {
                if path.as_os_str().is_empty() {
                    wrong("path", "must name the folder that holds model.onnx and tokenizer.json");
                }
                let of_servers = [
                    ("model", self.model.is_some()),
                    ("api_key", self.api_key.is_some()),
                    ("api_key_env", self.api_key_env.is_some()),
                    ("batch_chars", self.batch_chars != batch_chars()),
                    ("concurrency", self.concurrency != concurrency()),
                    ("timeout_ms", self.timeout_ms != timeout_ms()),
                    ("retries", self.retries != retries()),
                ];
                for (key, _) in of_servers.iter().filter(|(_, given)| *given) {
                    wrong(key, "is for a server: leave it out beside a path");
                }
            }
            (Some(_), Some(_)) => wrong("path", "is given beside a url: leave out one of the two"),
            (None, None) => wrong(
                "url",
                "is missing: give the url of a server, or the path of a folder with an ONNX model",
            ),
        }
    }
}

impl Embed {
    /// What serde cannot say about single values.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.model != BUILT_IN && !self.models.contains_key(&self.model) {
            let known: Vec<&str> =
                [BUILT_IN].into_iter().chain(self.models.keys().map(String::as_str)).collect();
            problems.push(format!(
                "`embed.model`: '{}' is not configured: set [embed.models.{}] with its url or path, or choose one of {}",
                self.model,
                self.model,
                known.join(", ")
            ));
        }
        if !(1..=100_000).contains(&self.cache_mb) {
            problems.push("`embed.cache_mb`: must be 1 to 100000".to_owned());
        }
        for (name, model) in &self.models {
            let mut wrong =
                |key: &str, why: &str| problems.push(format!("`embed.models.{name}.{key}`: {why}"));
            if name == BUILT_IN {
                wrong("url", "this is the name of the model inside labtop: choose another");
            }
            model.check_place(&mut wrong);
            if !(1..=2048).contains(&model.batch) {
                wrong("batch", "must be 1 to 2048");
            }
            if model.batch_chars == 0 {
                wrong("batch_chars", "must be at least 1");
            }
            if !(1..=64).contains(&model.concurrency) {
                wrong("concurrency", "must be 1 to 64");
            }
            if model.timeout_ms == 0 {
                wrong("timeout_ms", "must be at least 1");
            }
            if model.retries > 20 {
                wrong("retries", "must be at most 20");
            }
            if model.dimension == Some(0) {
                wrong("dimension", "must be at least 1");
            }
        }
        problems
    }

    /// Takes keys from the variables that the models name. One that is not set is left to the server to ask for.
    pub(super) fn take_keys(&mut self, variables: &Variables) {
        for model in self.models.values_mut().filter(|model| model.api_key.is_none()) {
            let key = model.api_key_env.as_ref().and_then(|name| variables.get(name));
            model.api_key = key.filter(|key| !key.is_empty()).map(|key| SecretString::from(key.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Places, explain, load};

    fn settings(text: &str, variables: &[(&str, &str)]) -> (Result<Embed, String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("labtop.toml");
        std::fs::write(&file, text).unwrap();
        let places = Places { user: None, project: Some(file) };
        let variables: Variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Flags::default(), &places, &variables).map(|settings| settings.embed);
        let told = explain(&Flags::default(), &places, &variables).map(|all| format!("{all:?}"));
        (loaded.map_err(|error| error.to_string()), told.unwrap_or_default())
    }

    #[test]
    fn the_built_in_model_has_the_name_that_embed_gives_it() {
        assert_eq!(BUILT_IN, crate::embed::BuiltIn::MODEL_NAME);
        assert_eq!(settings("", &[]).0.unwrap().model, BUILT_IN);
    }

    #[test]
    fn models_are_the_users_own_and_their_keys_are_hidden() {
        use secrecy::ExposeSecret;
        let text = "[embed]\nmodel = 'nomic'\n[embed.models.nomic]\nurl = 'http://me:p4ss@localhost:1/v1'\napi_key = 's3cret-a'\n\
                    [embed.models.ada]\nurl = 'https://x'\napi_key_env = 'ADA_KEY'";
        let (loaded, told) = settings(text, &[("ADA_KEY", "s3cret-b")]);
        let loaded = loaded.unwrap();
        assert_eq!((loaded.model.as_str(), loaded.models["nomic"].batch), ("nomic", 64));
        assert_eq!(loaded.models["ada"].api_key.as_ref().unwrap().expose_secret(), "s3cret-b");
        for text in [format!("{loaded:?}"), told.clone()] {
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert!(told.contains("localhost:1") && !told.contains("p4ss"), "{told}");
    }

    #[test]
    #[cfg(feature = "embed-onnx")]
    fn a_folder_wants_none_of_a_servers_keys() {
        let loaded =
            settings("[embed]\nmodel = 'a'\n[embed.models.a]\npath = 'models/a'\nbatch = 8", &[]).0.unwrap();
        assert_eq!(
            (loaded.models["a"].path.as_deref(), loaded.models["a"].batch),
            (Some("models/a".as_ref()), 8)
        );
        for (text, words) in [
            ("path = ''", "`embed.models.a.path`: must name the folder"),
            ("path = 'x'\napi_key = 'x'", "`embed.models.a.api_key`: is for a server"),
            ("path = 'x'\nretries = 0", "`embed.models.a.retries`: is for a server"),
        ] {
            let error = settings(&format!("[embed.models.a]\n{text}"), &[]).0.unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    #[cfg(not(feature = "embed-onnx"))]
    fn a_folder_wants_the_feature() {
        let error = settings("[embed.models.a]\npath = 'x'", &[]).0.unwrap_err();
        assert!(
            error.contains("`embed.models.a.path`: this labtop is built without models from folders"),
            "{error}"
        );
        assert!(error.contains("--features embed-onnx"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, words) in [
            ("[embed]\nmodel = 'ada'", "set [embed.models.ada] with its url or path"),
            ("[embed.models.a]\nurl = 'ftp://x'", "`embed.models.a.url`: must begin with http://"),
            ("[embed.models.a]\nurl = 'http://x'\nbatch = 0", "`embed.models.a.batch`: must be 1 to 2048"),
            ("[embed.models.a]\nurl = 'http://x'\nkey = 'x'", "unknown field"),
            (
                "[embed.models.a]\nmodel = 'x'",
                "`embed.models.a.url`: is missing: give the url of a server, or the path",
            ),
            (
                "[embed.models.a]\nurl = 'http://x'\npath = 'x'",
                "`embed.models.a.path`: is given beside a url",
            ),
        ] {
            let error = settings(text, &[]).0.unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
