//! What goes over the wire: the request, the answer in its two forms, and what servers say instead.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// Characters of a server's own words that are shown.
const WORDS: usize = 300;

#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    embedding: Numbers,
    index: Option<usize>,
}

/// Null stands for what JSON cannot say: NaN.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Plain(Vec<Option<f32>>),
    /// Little-endian f32.
    Base64(String),
}

/// The vectors of an answer in the order of the texts, or what is wrong with it.
pub fn vectors(body: &[u8], expected: usize) -> Result<Vec<Vec<f32>>, String> {
    let reply: Reply =
        serde_json::from_slice(body).map_err(|error| match serde_json::from_slice::<Value>(body) {
            Ok(value) if value.get("error").is_some() => format!("the server says: {}", words(body)),
            Ok(_) => format!("the answer is not that of /v1/embeddings ({error})"),
            Err(_) => format!("the answer is no JSON: {}", words(body)),
        })?;
    let got = reply.data.len();
    if got != expected {
        return Err(format!("the server gave {got} vectors for {expected} texts"));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; expected];
    for (position, item) in reply.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(position);
        let place = vectors.get_mut(index).filter(|place| place.is_none());
        let place = place.ok_or_else(|| {
            format!("the server gave text {index} twice, or none of that number was asked for")
        })?;
        *place = Some(numbers(item.embedding)?);
    }
    // As many as were asked for, and none twice: each has one.
    Ok(vectors.into_iter().flatten().collect())
}

fn numbers(numbers: Numbers) -> Result<Vec<f32>, String> {
    let vector = match numbers {
        Numbers::Plain(values) => values.into_iter().collect::<Option<Vec<f32>>>(),
        Numbers::Base64(text) => {
            let bytes =
                BASE64_STANDARD.decode(text).map_err(|error| format!("a vector is no base64: {error}"))?;
            let (values, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err("a vector in base64 ends within a figure".to_owned());
            }
            Some(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
        }
    };
    let vector = vector.filter(|vector| vector.iter().all(|value| value.is_finite()));
    let vector = vector.ok_or("the server gave a vector with NaN or infinity in it")?;
    if vector.is_empty() { Err("the server gave an empty vector".to_owned()) } else { Ok(vector) }
}

/// What a server says in an answer that is none, on one line: of JSON the message, of a page the text.
pub fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = serde_json::from_slice::<Value>(body).ok().and_then(|value| {
        let error = value.get("error").unwrap_or(&value);
        let places = [error.get("message"), error.get("detail"), value.get("message"), Some(error)];
        places.into_iter().flatten().find_map(|said| said.as_str().map(ToOwned::to_owned))
    });
    let said = said.unwrap_or_else(|| without_tags(&text));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    match said.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None if said.is_empty() => "(nothing)".to_owned(),
        None => said,
    }
}

/// Whether a server says that it is the model it has something against.
pub fn blames_model(body: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return false };
    let error = value.get("error").unwrap_or(&value);
    error["code"] == "model_not_found" || error["param"] == "model"
}

/// A page of a proxy without its HTML.
fn without_tags(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut plain = String::new();
    let mut within = false;
    for character in text.chars() {
        match character {
            '<' => within = true,
            '>' => {
                within = false;
                plain.push(' ');
            }
            other if !within => plain.push(other),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_any_order_and_both_forms() {
        let bytes: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let body = format!(
            "{{\"data\":[{{\"index\":1,\"embedding\":[3,4]}},{{\"index\":0,\"embedding\":\"{}\"}}]}}",
            BASE64_STANDARD.encode(bytes)
        );
        assert_eq!(vectors(body.as_bytes(), 2).unwrap(), [[1.5, -2.0], [3.0, 4.0]]);
        let plain = b"{\"data\":[{\"embedding\":[1]},{\"embedding\":[2]}]}";
        assert_eq!(vectors(plain, 2).unwrap(), [[1.0], [2.0]]);
    }

    #[test]
    fn what_is_wrong_is_said_in_plain_words() {
        for (body, why) in [
            ("{\"data\":[{\"embedding\":[1]}]}", "1 vectors for 2 texts"),
            ("{\"data\":[{\"embedding\":[1],\"index\":0},{\"embedding\":[1],\"index\":0}]}", "text 0 twice"),
            ("{\"data\":[{\"embedding\":[1],\"index\":0},{\"embedding\":[1],\"index\":7}]}", "text 7"),
            ("{\"data\":[{\"embedding\":[null]},{\"embedding\":[1]}]}", "NaN or infinity"),
            ("{\"data\":[{\"embedding\":[]},{\"embedding\":[1]}]}", "empty vector"),
            ("{\"data\":[{\"embedding\":\"AAA=\"},{\"embedding\":[1]}]}", "ends within a figure"),
            ("{\"error\":{\"message\":\"model is loading\"}}", "the server says: model is loading"),
            ("{\"result\":1}", "not that of /v1/embeddings"),
            ("<html><b>Bad  Gateway</b></html>", "no JSON: Bad Gateway"),
        ] {
            let told = vectors(body.as_bytes(), 2).unwrap_err();
            assert!(told.contains(why), "{body}: {told}");
        }
        assert!(words("x".repeat(5000).as_bytes()).chars().count() <= WORDS + 1);
    }
}
