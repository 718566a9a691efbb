"""Makes the sentence models of the tests, as small as they can be, and the answers that a reference gives.

usage: python3 make.py

Writes model.onnx, int8.onnx, tokenizer.json and golden.json beside itself. The model is of BERT's kind: embeddings of pieces and
places, one layer of attention under the mask, one dense layer. Needs numpy, onnx, onnxruntime and tokenizers. The texts are run one by
one, without padding. The same versions give the same bytes.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).parent
WIDTH, LONGEST = 16, 12
PIECES = """[PAD] [UNK] [CLS] [SEP] a an the cat dog sat ran on mat stock price ##s fell learn ##ing rate too high model train ##ed
un ##aff ##able . , ! - 中 国 cafe 1 2 ##3 gradient boost""".split()
TEXTS = [
    "a cat sat on the mat",
    "The DOG ran!",
    "stock prices fell",
    "learning rate too high",
    "Café, 中国",
    "unaffable trained models",
    "xylophone cat",
    "123 - 23",
    "gradient boosting " * 20,
    "cat",
]


def tokenizer():
    made = Tokenizer(models.WordPiece({piece: row for row, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = [("[CLS]", PIECES.index("[CLS]")), ("[SEP]", PIECES.index("[SEP]"))]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=specials)
    made.enable_truncation(LONGEST)
    return made


def model():
    random = np.random.default_rng(7)
    weight = lambda name, *shape: numpy_helper.from_array(random.normal(0, 0.5, shape).astype(np.float32), name)
    constant = lambda name, value: numpy_helper.from_array(np.array(value), name)
    node = helper.make_node
    nodes = [
        node("Gather", ["pieces", "input_ids"], ["piece"]),
        node("Gather", ["kinds", "token_type_ids"], ["kind"]),
        node("Shape", ["input_ids"], ["shape"]),
        node("Gather", ["shape", "one"], ["length"]),
        node("Range", ["zero", "length", "step"], ["range"]),
        node("Gather", ["places", "range"], ["place"]),
        node("Add", ["piece", "place"], ["both"]),
        node("Add", ["both", "kind"], ["embedded"]),
        node("Transpose", ["embedded"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["embedded", "turned"], ["scores"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Sub", ["whole", "mask"], ["masked"]),
        node("Mul", ["masked", "low"], ["hidden"]),
        node("Unsqueeze", ["hidden", "axes"], ["bias"]),
        node("Add", ["scores", "bias"], ["biased"]),
        node("Softmax", ["biased"], ["shares"], axis=-1),
        node("MatMul", ["shares", "embedded"], ["mixed"]),
        node("Add", ["mixed", "embedded"], ["summed"]),
        node("MatMul", ["summed", "dense"], ["wide"]),
        node("Tanh", ["wide"], ["last_hidden_state"]),
    ]
    values = [
        weight("pieces", len(PIECES), WIDTH),
        weight("kinds", 2, WIDTH),
        weight("places", LONGEST, WIDTH),
        weight("dense", WIDTH, WIDTH),
        constant("zero", np.int64(0)),
        constant("one", np.int64(1)),
        constant("step", np.int64(1)),
        constant("whole", np.float32(1)),
        constant("low", np.float32(-10_000)),
        constant("axes", np.array([1], np.int64)),
    ]
    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.INT64, ["texts", "length"]) for name in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [value("last_hidden_state", TensorProto.FLOAT, ["texts", "length", WIDTH])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, values)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def answers(path, tokens):
    session = onnxruntime.InferenceSession(str(path))
    made = []
    for text in TEXTS:
        told = tokens.encode(text)
        feed = {"input_ids": told.ids, "attention_mask": told.attention_mask, "token_type_ids": told.type_ids}
        rows = session.run(None, {name: np.array([values], np.int64) for name, values in feed.items()})[0][0]
        unit = lambda vector: [round(float(value), 7) for value in vector / np.linalg.norm(vector)]
        made.append({"mean": unit(rows.mean(0)), "cls": unit(rows[0])})
    return made


def main():
    tokens = tokenizer()
    tokens.save(str(HERE / "tokenizer.json"))
    plain, small = HERE / "model.onnx", HERE / "int8.onnx"
    onnx.save(model(), plain)
    # Of 7 bits: products of 8 overflow in the instructions of older processors, and answers would depend on the machine.
    quantize_dynamic(plain, small, weight_type=QuantType.QInt8, reduce_range=True, op_types_to_quantize=["MatMul"])
    golden = [
        {"text": text, "ids": tokens.encode(text).ids, "f32": one, "int8": other}
        for text, one, other in zip(TEXTS, answers(plain, tokens), answers(small, tokens))
    ]
    (HERE / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
