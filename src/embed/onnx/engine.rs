//! The model itself, run by rten: numbers of pieces in, one vector a text out.

use std::path::{Path, PathBuf};

use rten::{Model, NodeId, Value, ValueOrView};
use rten_tensor::{Layout, NdTensorView};
use tokio_util::sync::CancellationToken;

use super::super::EmbedError;
use super::folder::{Files, Pooling};
use super::tokens::Tokens;

/// Pieces in one run, those that fill up among them: what attention holds in memory grows with them.
const ROOM: usize = 4096;
/// What a model may ask for.
const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];
/// Answers that are taken before all others: a text's vector, and those of its pieces.
const OUTPUTS: [&str; 3] = ["sentence_embedding", "last_hidden_state", "token_embeddings"];
/// The operation by which numbers are rounded to a scale of the whole run.
const ROUNDING: &[u8] = b"DynamicQuantize";

/// See the module.
pub struct Engine {
    name: String,
    file: PathBuf,
    model: Model,
    tokens: Tokens,
    pooling: Pooling,
    inputs: [Option<NodeId>; 3],
    output: NodeId,
    /// Whether texts may be run together: without a mask what fills up would count, and where numbers are rounded to a scale of
    /// the whole run, a text's vector would depend on its neighbours.
    together: bool,
}

/// Texts of one run, by their indices.
type Lot<'a> = &'a [(usize, Vec<i32>)];

impl Engine {
    /// Blocks.
    pub fn load(name: &str, folder: &Path) -> Result<Self, EmbedError> {
        Self::read(name, folder).map_err(|why| EmbedError::Failed { model: name.to_owned(), why })
    }

    fn read(name: &str, folder: &Path) -> Result<Self, String> {
        let files = Files::read(folder)?;
        let tokens = Tokens::of(&files)?;
        let shown = files.model.display();
        let bytes =
            std::fs::read(&files.model).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        let rounds = bytes.windows(ROUNDING.len()).any(|window| window == ROUNDING);
        drop(bytes);
        // From the path, as large models keep their weights in another file beside it.
        let model = Model::load_file(&files.model).map_err(|error| {
            format!("{shown} is no model that can be run here ({error}): export it to ONNX again (optimum-cli export onnx)")
        })?;
        let inputs =
            inputs(&model).map_err(|why| format!("{shown} is no sentence model of BERT's kind: {why}"))?;
        let named = OUTPUTS
            .iter()
            .find_map(|name| model.find_node(name).filter(|node| model.output_ids().contains(node)));
        let output = named.or_else(|| model.output_ids().first().copied());
        let output = output.ok_or_else(|| format!("{shown} has no output: export it again"))?;
        let together = inputs[1].is_some() && !rounds;
        let (pooling, file) = (files.pooling, files.model);
        Ok(Engine { name: name.to_owned(), file, model, tokens, pooling, inputs, output, together })
    }

    /// One vector a text, in their order, each of length 1. Blocks; ends early when stopped.
    pub fn embed(
        &self,
        texts: &[String],
        batch: usize,
        stop: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut numbers = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let own = self.tokens.numbers(text);
            numbers.push((index, own.ok_or_else(|| EmbedError::Empty { index, model: self.name.clone() })?));
        }
        // Texts of a length together: there is little to fill up.
        numbers.sort_by_key(|(_, own)| own.len());
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut rest = numbers.as_slice();
        while !rest.is_empty() {
            if stop.is_cancelled() {
                return Err(self.failed("nobody waits for it any more"));
            }
            let (lot, later) = rest.split_at(self.lot(rest, batch));
            for ((index, _), vector) in lot.iter().zip(self.run(lot)?) {
                vectors[*index] = vector;
            }
            rest = later;
        }
        Ok(vectors)
    }

    /// How many of the texts, the shortest first, go into the next run.
    fn lot(&self, rest: Lot<'_>, batch: usize) -> usize {
        if !self.together {
            return 1;
        }
        let fits = |(count, (_, own)): &(usize, &(usize, Vec<i32>))| (count + 1) * own.len() <= ROOM;
        rest.iter().enumerate().take(batch).take_while(fits).count().max(1)
    }

    fn run(&self, lot: Lot<'_>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let length = lot.iter().map(|(_, own)| own.len()).max().unwrap_or_default();
        let rows = |fill: i32, of: &dyn Fn(i32) -> i32| -> Vec<i32> {
            let row = |own: &[i32]| {
                let filled = std::iter::repeat_n(fill, length - own.len());
                own.iter().map(|number| of(*number)).chain(filled).collect::<Vec<_>>()
            };
            lot.iter().flat_map(|(_, own)| row(own)).collect()
        };
        let contents = [rows(self.tokens.padding, &|number| number), rows(0, &|_| 1), rows(0, &|_| 0)];
        let mut feed: Vec<(NodeId, ValueOrView<'_>)> = Vec::with_capacity(INPUTS.len());
        for (node, content) in self.inputs.into_iter().zip(contents) {
            let Some(node) = node else { continue };
            let value = Value::from_shape([lot.len(), length], content);
            feed.push((node, value.map_err(|error| self.failed(error.to_string()))?.into()));
        }
        let made = self.model.run_n(feed, [self.output], None);
        let [made] =
            made.map_err(|error| self.failed(format!("{} cannot be run: {error}", self.file.display())))?;
        self.pooled(&made, lot, length)
    }

    fn pooled(&self, made: &Value, lot: Lot<'_>, length: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (shape, count) = (made.shape().to_vec(), lot.len());
        let odd = || {
            let why = "where a row for each piece, or one for each text, is expected";
            self.failed(format!(
                "{} answers {shape:?} for {count} texts of {length} pieces, {why}",
                self.file.display()
            ))
        };
        if made.ndim() == 2 {
            let view = NdTensorView::<f32, 2>::try_from(made).map_err(|_| odd())?;
            if view.size(0) != count {
                return Err(odd());
            }
            return (0..count)
                .map(|text| self.unit(view.slice(text).iter().map(|value| f64::from(*value))))
                .collect();
        }
        let view = NdTensorView::<f32, 3>::try_from(made).map_err(|_| odd())?;
        if view.size(0) != count || view.size(1) != length {
            return Err(odd());
        }
        let pool = |(text, (_, own)): (usize, &(usize, Vec<i32>))| {
            let pieces = match self.pooling {
                Pooling::Mean => own.len(),
                Pooling::First => 1,
            };
            // The sum stands for the mean: all are brought to length 1.
            let mut sum = vec![0.0; view.size(2)];
            for piece in 0..pieces {
                let row = view.slice((text, piece));
                sum.iter_mut().zip(row.iter()).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            self.unit(sum.into_iter())
        };
        lot.iter().enumerate().map(pool).collect()
    }

    fn unit(&self, values: impl Iterator<Item = f64> + Clone) -> Result<Vec<f32>, EmbedError> {
        let length = values.clone().map(|value| value * value).sum::<f64>().sqrt();
        if length > 0.0 && length.is_finite() {
            return Ok(values.map(|value| (value / length) as f32).collect());
        }
        let file = self.file.display();
        Err(self.failed(format!(
            "{file} makes a vector of zeros, or one with NaN or infinity in it: export it again"
        )))
    }

    fn failed(&self, why: impl Into<String>) -> EmbedError {
        EmbedError::Failed { model: self.name.clone(), why: why.into() }
    }
}

/// The model's inputs in the order of [`INPUTS`].
fn inputs(model: &Model) -> Result<[Option<NodeId>; 3], String> {
    let mut found = [None; 3];
    for node in model.input_ids() {
        let info = model.node_info(*node);
        let name = info.as_ref().and_then(|info| info.name()).unwrap_or("without a name");
        let place = INPUTS.iter().position(|known| *known == name).ok_or_else(|| {
            format!(
                "it wants an input {name}, where labtop gives input_ids, attention_mask and token_type_ids"
            )
        })?;
        found[place] = Some(*node);
    }
    if found[0].is_none() {
        return Err("it has no input input_ids".to_owned());
    }
    Ok(found)
}
