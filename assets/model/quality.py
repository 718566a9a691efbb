"""How well the table finds texts by meaning, beside the full model it stands for and beside words alone.

usage: python3 quality.py static-256.bin tokenizer.json model.onnx [Translation-en]

The data are the packages installed on this Debian, each with a one-line description and a long one. The first paragraph of the long
one, without the package's name, has to find its own line among all. With a Translation-en (the file of apt's that holds every
package's long description), they are 2,000 packages that are NOT installed, and share no text with those that are: data that nothing
was chosen on. The same is asked of paraphrases.tsv: the first text of a line has to find the second. Needs numpy, tokenizers,
onnxruntime, and dpkg; the tokenizer and the model are those of all-MiniLM-L6-v2.
"""

import collections
import hashlib
import math
import pathlib
import re
import struct
import subprocess
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

LEAST_WORDS = 8
HELD_OUT = 2000
PARAPHRASES = pathlib.Path(__file__).parent / "paraphrases.tsv"


def installed():
    asked = ["dpkg-query", "-W", "-f=${Package}\x01${Description}\x02"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return [part.split("\x01", 1) for part in told.split("\x02") if "\x01" in part]


def others(path):
    """The packages of a Translation-en that are not installed, in an order that says nothing of them."""
    with open(path, encoding="utf-8") as file:
        parts = re.findall(r"^Package: (\S+)\nDescription-md5: \S+\nDescription-en: ((?:.*\n)(?: .*\n)*)", file.read(), re.M)
    there = {name for name, _ in installed()}
    digest = lambda part: hashlib.sha256(part[0].encode()).hexdigest()
    return sorted((part for part in parts if part[0] not in there), key=digest)


def pairs_of(packages, seen):
    """A one-line description and the first long paragraph of each, where both are new."""
    pairs = []
    for name, text in packages:
        short, *rest = text.split("\n")
        paragraphs = "\n".join("" if line.strip() == "." else line.strip() for line in rest).strip().split("\n\n")
        # The name would give it away.
        long = re.sub(rf"(?i)\b{re.escape(name)}\b", "", paragraphs[0].replace("\n", " "))
        if len(long.split()) < LEAST_WORDS or short.lower() in seen or long.lower() in seen:
            continue
        seen |= {short.lower(), long.lower()}
        pairs.append((short, long))
    return pairs


def unit(vector):
    return vector / np.linalg.norm(vector)


class Static:
    def __init__(self, path, tokenizer):
        file = open(path, "rb").read()
        _, dimension, heads, tails, _ = struct.unpack("<5I", file[8:28])
        count = heads + tails
        ends = np.frombuffer(file, "<u4", count, 28)
        scales = np.frombuffer(file, "<f4", count, 28 + 4 * count)
        rows = np.frombuffer(file, "i1", count * dimension, 28 + 8 * count).reshape(count, dimension)
        text = file[28 + 8 * count + count * dimension :]
        begins = np.concatenate([[0], ends[:-1]])
        pieces = [text[begin:end].decode() for begin, end in zip(begins, ends)]
        self.places = {("##" if row >= heads else "") + piece: row for row, piece in enumerate(pieces)}
        self.rows = rows * scales[:, None].astype(np.float64) / 127
        self.tokenizer = tokenizer

    def __call__(self, texts):
        pieces = [self.tokenizer.encode(text, add_special_tokens=False).tokens for text in texts]
        return np.array([unit(self.rows[[self.places[piece] for piece in own if piece in self.places]].sum(0)) for own in pieces])


class Full:
    def __init__(self, path, tokenizer):
        self.session, self.tokenizer = onnxruntime.InferenceSession(path), tokenizer

    def one(self, text):
        told = self.tokenizer.encode(text)
        all_of = {"input_ids": told.ids, "attention_mask": told.attention_mask, "token_type_ids": told.type_ids}
        feed = {one.name: np.array([all_of[one.name]], np.int64) for one in self.session.get_inputs()}
        answer = self.session.run(None, feed)[0]
        return unit(answer[0].mean(0) if answer.ndim == 3 else answer[0])

    def __call__(self, texts):
        return np.array([self.one(text) for text in texts])


def bm25(pairs):
    words = lambda text: re.findall(r"\w+", text.lower())
    texts = [collections.Counter(words(short)) for short, _ in pairs]
    holding = collections.Counter(word for text in texts for word in text)
    lengths = np.array([text.total() for text in texts])
    long = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    scores = np.zeros((len(pairs), len(pairs)))
    for query, (_, text) in enumerate(pairs):
        for word in set(words(text)) & holding.keys():
            weight = math.log(1 + (len(pairs) - holding[word] + 0.5) / (holding[word] + 0.5))
            count = np.array([text[word] for text in texts])
            scores[query] += weight * count * 2.2 / (count + long)
    return scores


def say(name, scores):
    rank = (scores > np.diag(scores)[:, None]).sum(1) + 1
    figures = f"first {np.mean(rank == 1):.3f}, among ten {np.mean(rank <= 10):.3f}, reciprocal rank {np.mean(1 / rank):.3f}"
    print(f"{name:<12} {figures}")


def ranks(values):
    return np.argsort(np.argsort(values))


def main(table, tokenizer, model, translation=None):
    tokenizer = Tokenizer.from_file(tokenizer)
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    seen = set()
    pairs = pairs_of(installed(), seen)
    if translation:
        pairs = pairs_of(others(translation), seen)[:HELD_OUT]
    models = [("this table", Static(table, tokenizer)), ("full model", Full(model, tokenizer))]
    compare(f"{len(pairs)} packages", models, pairs)
    say("words, BM25", bm25(pairs))
    with open(PARAPHRASES, encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t")[::-1] for line in file]
    compare(f"{len(pairs)} pairs of paraphrases", models, pairs)


def compare(what, models, pairs):
    print(what)
    shorts, longs = zip(*pairs)
    cosines = []
    for name, embed in models:
        short, long = embed(shorts), embed(longs)
        say(name, long @ short.T)
        both = np.vstack([short, long])
        cosines.append((both @ both.T)[np.triu_indices(2 * len(pairs), 1)])
    print(f"Spearman of the cosines of all texts: {np.corrcoef(ranks(cosines[0]), ranks(cosines[1]))[0, 1]:.3f}")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
