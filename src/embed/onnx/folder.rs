//! What the files beside a model say of it, as sentence-transformers lays them out.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Places of the model within the folder; the second is that of repositories which hold it in several formats.
const MODELS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];
const TOKENIZER: &str = "tokenizer.json";
/// Pieces of a text where no file says it: what BERT has places for.
const USUAL_LONGEST: u64 = 512;
/// The beginning, a piece, the end.
const LEAST: u64 = 3;

/// How the vectors of a text's pieces become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the first, which stands for the whole text.
    First,
}

/// See the module.
#[derive(Debug)]
pub struct Files {
    pub model: PathBuf,
    pub tokenizer: PathBuf,
    pub tokens: Value,
    pub pooling: Pooling,
    /// Pieces that a text may have, beginning and end among them. What is beyond them is cut off.
    pub longest: usize,
    /// The piece that fills up shorter texts, where the configuration names it.
    pub padding: Option<u64>,
}

impl Files {
    /// Reads everything but the model itself.
    pub fn read(folder: &Path) -> Result<Self, String> {
        if !folder.is_dir() {
            return Err(format!(
                "{} is no folder: name the one that holds model.onnx and {TOKENIZER}",
                folder.display()
            ));
        }
        let model = MODELS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let model = model.ok_or_else(|| {
            format!(
                "{} holds neither {} nor {}: export the model to ONNX (optimum-cli export onnx), and put it there",
                folder.display(),
                MODELS[0],
                MODELS[1]
            )
        })?;
        let tokenizer = folder.join(TOKENIZER);
        let tokens = json(&tokenizer)?.ok_or_else(|| {
            format!(
                "{} holds no {TOKENIZER}: put there the one that the model was published with",
                folder.display()
            )
        })?;
        let config = json(&folder.join("config.json"))?.unwrap_or_default();
        Ok(Files {
            model,
            pooling: pooling(folder)?,
            longest: longest(folder, &config, &tokens, &tokenizer)?,
            padding: config["pad_token_id"].as_u64(),
            tokens,
            tokenizer,
        })
    }
}

/// A file's JSON; none when it is not there.
fn json(path: &Path) -> Result<Option<Value>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let value = serde_json::from_str(&text);
    value.map(Some).map_err(|error| format!("{} is no JSON ({error}): download it again", path.display()))
}

fn pooling(folder: &Path) -> Result<Pooling, String> {
    if let Some(modules) = json(&folder.join("modules.json"))? {
        let types = modules.as_array().into_iter().flatten().filter_map(|module| module["type"].as_str());
        if types.into_iter().any(|kind| kind.ends_with(".Dense")) {
            return Err(format!(
                "{} names a dense layer behind the model, which labtop does not run: take a model without one",
                folder.join("modules.json").display()
            ));
        }
    }
    let path = folder.join("1_Pooling").join("config.json");
    let Some(said) = json(&path)? else { return Ok(Pooling::Mean) };
    let set = |key: &str| said[key].as_bool().unwrap_or_default();
    let flags = said.as_object().into_iter().flatten();
    let modes: Vec<&str> = match said["pooling_mode"].as_str() {
        Some(mode) => vec![mode],
        None => flags
            .map(|(key, _)| key.as_str())
            .filter(|key| key.starts_with("pooling_mode_") && set(key))
            .collect(),
    };
    match modes.as_slice() {
        [] | ["mean" | "pooling_mode_mean_tokens"] => Ok(Pooling::Mean),
        // The root of the length makes it longer or shorter; all vectors are brought to length 1.
        ["mean_sqrt_len_tokens" | "pooling_mode_mean_sqrt_len_tokens"] => Ok(Pooling::Mean),
        ["cls" | "pooling_mode_cls_token"] => Ok(Pooling::First),
        modes => Err(format!(
            "{} asks for {}, where labtop knows the mean (pooling_mode_mean_tokens) and the first piece (pooling_mode_cls_token) \
             only: take another model",
            path.display(),
            modes.join(" with ")
        )),
    }
}

fn longest(folder: &Path, config: &Value, tokens: &Value, tokenizer: &Path) -> Result<usize, String> {
    let sentence = json(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
    let of_tokenizer = json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
    let said = sentence["max_seq_length"]
        .as_u64()
        .or_else(|| tokens["truncation"]["max_length"].as_u64())
        // As a number beyond all sense where there is no limit.
        .or_else(|| of_tokenizer["model_max_length"].as_u64())
        .unwrap_or(USUAL_LONGEST);
    let longest = said.min(config["max_position_embeddings"].as_u64().unwrap_or(said));
    if longest < LEAST {
        return Err(format!(
            "the model takes {longest} pieces of a text at most, says {} or a file beside it: at least {LEAST} are needed",
            tokenizer.display()
        ));
    }
    usize::try_from(longest).map_err(|_| format!("{longest} pieces of a text are too many"))
}
