//! Models from folders against the answers of onnxruntime and tokenizers (`tiny/make.py`), and everything that may be wrong in one.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{EmbedError, Embedder};
use super::folder::Files;
use super::tokens::Tokens;
use super::{Onnx, Place};

const MODEL: &[u8] = include_bytes!("tiny/model.onnx");
const INT8: &[u8] = include_bytes!("tiny/int8.onnx");
const TOKENIZER: &str = include_str!("tiny/tokenizer.json");

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<i32>,
    f32: Vectors,
    int8: Vectors,
}

#[derive(Deserialize)]
struct Vectors {
    mean: Vec<f32>,
    cls: Vec<f32>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("tiny/golden.json")).unwrap()
}

fn texts() -> Vec<String> {
    golden().into_iter().map(|case| case.text).collect()
}

/// A folder with a model, its tokenizer, and whatever else.
fn folder(model: &[u8], others: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.onnx"), model).unwrap();
    fs::write(folder.path().join("tokenizer.json"), TOKENIZER).unwrap();
    for (name, content) in others {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.to_string()).unwrap();
    }
    folder
}

fn embedder(folder: &Path) -> Onnx {
    batched(folder, 4)
}

fn batched(folder: &Path, batch: usize) -> Onnx {
    Onnx::new(Place { name: "tiny".to_owned(), folder: folder.to_owned(), dimension: None, batch })
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn close(got: &[Vec<f32>], expected: &[Vec<f32>], within: f32) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((cosine(got, got) - 1.0).abs() < 1e-5);
        let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < within, "{worst}: {got:?} for {expected:?}");
    }
}

#[test]
fn pieces_are_those_of_the_reference_tokenizer() {
    let folder = folder(MODEL, &[]);
    let tokens = Tokens::of(&Files::read(folder.path()).unwrap()).unwrap();
    for case in golden() {
        assert_eq!(tokens.numbers(&case.text).unwrap(), case.ids, "{:?}", case.text);
    }
    assert_eq!(
        tokens.numbers("gradient ".repeat(1000).as_str()).unwrap().len(),
        12,
        "cut to the model's room"
    );
}

#[tokio::test]
async fn vectors_are_those_of_the_reference_whatever_is_run_together() {
    let plain = folder(MODEL, &[]);
    let expected: Vec<Vec<f32>> = golden().into_iter().map(|case| case.f32.mean).collect();
    for batch in [1, 2, 3, 64] {
        let made = batched(plain.path(), batch).embed(&texts()).await.unwrap();
        close(&made, &expected, 1e-5);
    }
}

#[tokio::test]
async fn the_first_piece_stands_for_the_text_where_the_folder_says_so() {
    let config = json!({ "word_embedding_dimension": 16, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false });
    let first = folder(MODEL, &[("1_Pooling/config.json", config)]);
    let expected: Vec<Vec<f32>> = golden().into_iter().map(|case| case.f32.cls).collect();
    close(&embedder(first.path()).embed(&texts()).await.unwrap(), &expected, 1e-5);
}

#[tokio::test]
async fn what_is_rounded_to_a_scale_of_the_run_is_run_alone() {
    let small = folder(INT8, &[]);
    let embedder = batched(small.path(), 64);
    let made = embedder.embed(&texts()).await.unwrap();
    for (case, vector) in golden().iter().zip(&made) {
        let own = cosine(vector, &case.int8.mean);
        assert!(own > 0.9999, "{:?}: {own}", case.text);
        assert_ne!(case.int8.mean, case.f32.mean);
        let alone = embedder.embed(std::slice::from_ref(&case.text)).await.unwrap();
        assert_eq!(alone[0], *vector, "{:?}", case.text);
    }
}

#[tokio::test]
async fn a_folder_says_how_long_a_text_may_be() {
    let short = folder(MODEL, &[("sentence_bert_config.json", json!({ "max_seq_length": 4 }))]);
    let cut: Vec<String> = ["a cat sat on the mat", "a cat"].map(str::to_owned).to_vec();
    let made = embedder(short.path()).embed(&cut).await.unwrap();
    assert_eq!(made[0], made[1]);
    let config = json!({ "max_position_embeddings": 3 });
    let shorter = folder(
        MODEL,
        &[("config.json", config), ("sentence_bert_config.json", json!({ "max_seq_length": 99 }))],
    );
    let made = embedder(shorter.path()).embed(&["a cat", "a"].map(str::to_owned)).await.unwrap();
    assert_eq!(made[0], made[1]);
}

#[tokio::test]
async fn the_model_may_lie_where_repositories_put_it() {
    let there = folder(MODEL, &[]);
    fs::create_dir(there.path().join("onnx")).unwrap();
    fs::rename(there.path().join("model.onnx"), there.path().join("onnx/model.onnx")).unwrap();
    let embedder = embedder(there.path());
    assert_eq!(embedder.dimension(), None);
    assert!(embedder.embed(&[]).await.unwrap().is_empty());
    assert_eq!(embedder.embed(&["cat".to_owned()]).await.unwrap()[0].len(), 16);
    assert_eq!(embedder.dimension(), Some(16));
}

#[tokio::test]
async fn the_first_text_without_a_known_word_is_named() {
    let plain = folder(MODEL, &[]);
    let asked = ["cat", " \n", "xylophone"].map(str::to_owned);
    let embedder = embedder(plain.path());
    assert_eq!(embedder.embed(&asked).await, Err(EmbedError::Empty { index: 1, model: "tiny".to_owned() }));
    let unknown = [asked[0].clone(), asked[2].clone()];
    assert_eq!(embedder.embed(&unknown).await, Err(EmbedError::Empty { index: 1, model: "tiny".to_owned() }));
}

async fn refused(folder: &Path) -> String {
    embedder(folder).embed(&["cat".to_owned()]).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_wrong_names_the_file_and_what_to_do() {
    let renamed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = MODEL.to_vec();
        let places: Vec<usize> =
            (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from.as_bytes())).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
        bytes
    };
    let pooling = json!({ "pooling_mode_max_tokens": true });
    let dense = json!([{ "type": "sentence_transformers.models.Transformer" }, { "type": "sentence_transformers.models.Dense" }]);
    let unigram = TOKENIZER.replace("\"WordPiece\"", "\"Unigram\"");
    let unigram: Value = serde_json::from_str(&unigram).unwrap();
    let short = json!({ "max_seq_length": 2 });
    for (model, others, words) in [
        (renamed("attention_mask", "attention_musk"), vec![], ["model.onnx", "an input attention_musk"]),
        (renamed("input_ids", "input_odd"), vec![], ["model.onnx", "an input input_odd"]),
        (b"no model".to_vec(), vec![], ["model.onnx", "export it to ONNX again"]),
        (
            MODEL.to_vec(),
            vec![("1_Pooling/config.json", pooling)],
            ["1_Pooling/config.json", "pooling_mode_max_tokens"],
        ),
        (MODEL.to_vec(), vec![("modules.json", dense)], ["modules.json", "dense layer"]),
        (MODEL.to_vec(), vec![("tokenizer.json", unigram)], ["tokenizer.json", "its model is Unigram"]),
        (MODEL.to_vec(), vec![("sentence_bert_config.json", short)], ["2 pieces", "at least 3"]),
        (MODEL.to_vec(), vec![("tokenizer.json", json!("x"))], ["tokenizer.json", "its model is nothing"]),
    ] {
        let folder = folder(&model, &others);
        let told = refused(folder.path()).await;
        assert!(told.starts_with("the embedding model tiny cannot be used: "), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
    }
    let told = refused(Path::new("/nowhere/at/all")).await;
    assert!(told.contains("/nowhere/at/all is no folder"), "{told}");
}

#[tokio::test]
async fn files_that_are_missing_are_named_and_read_once_they_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = embedder(folder.path());
    let asked = ["cat".to_owned()];
    let told = embedder.embed(&asked).await.unwrap_err().to_string();
    assert!(told.contains("neither model.onnx nor onnx/model.onnx"), "{told}");
    fs::write(folder.path().join("model.onnx"), MODEL).unwrap();
    let told = embedder.embed(&asked).await.unwrap_err().to_string();
    assert!(told.contains("no tokenizer.json"), "{told}");
    fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    let told = embedder.embed(&asked).await.unwrap_err().to_string();
    assert!(told.contains("tokenizer.json is no JSON"), "{told}");
    fs::write(folder.path().join("tokenizer.json"), TOKENIZER).unwrap();
    assert_eq!(embedder.embed(&asked).await.unwrap().len(), 1);
    // It is in memory now.
    fs::remove_file(folder.path().join("model.onnx")).unwrap();
    assert_eq!(embedder.embed(&asked).await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_dimension_than_the_settings_say_is_refused() {
    let plain = folder(MODEL, &[]);
    let place =
        Place { name: "tiny".to_owned(), folder: plain.path().to_owned(), dimension: Some(384), batch: 4 };
    let told = Onnx::new(place).embed(&["cat".to_owned()]).await.unwrap_err().to_string();
    assert!(
        told.contains("16 dimensions, where 384 are expected: correct embed.models.tiny.dimension"),
        "{told}"
    );
}
