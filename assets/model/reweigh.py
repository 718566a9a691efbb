"""Weigh the rows of the distilled table anew, and even out its directions.

usage: python3 reweigh.py distilled.npz vocab.txt static-256.npz

The distillation weighs a piece by 1e-3 / (1e-3 + p), with p the Zipf probability of its line in the vocabulary. BERT's vocabulary
begins with 1,996 pieces that are not words (unused ones, special ones, single characters); the words follow by frequency, from
`the`. Counted from the first line, `the` weighs 0.96 of a rare word; counted from the first word, 0.01. And some directions of the
256 are forty times as wide as others and drown them: each is divided by the root of its standard deviation.

Needs numpy only. The same input always gives the same bytes.
"""

import sys

import numpy as np

FIRST_WORD = "the"
SIF = 1e-3


def zipf(rank, count):
    return 1 / (rank * (np.log(count) + np.euler_gamma))


def main(table_path, vocabulary_path, out_path):
    table = np.load(table_path)
    with open(vocabulary_path, encoding="utf-8", newline="\n") as file:
        pieces = file.read().removesuffix("\n").split("\n")
    rows = table["q"].astype(np.float64) * table["sc"].astype(np.float64) / 127
    line, count, first = np.arange(len(pieces)), len(pieces), pieces.index(FIRST_WORD)
    # What is not a word stands behind the words' frequent ones.
    rank = np.where(line >= first, line - first + 1, line + 3000)
    rows /= (SIF / (SIF + zipf(line + 1, count)))[:, None]

    used = np.array([not piece.startswith("[unused") for piece in pieces])
    variance, directions = np.linalg.eigh(np.cov(rows[used].T))
    # The sign of a direction means nothing, and differs between libraries.
    directions *= np.sign(directions[np.abs(directions).argmax(0), np.arange(len(variance))])
    rows = rows @ directions / variance**0.25
    rows *= (SIF / (SIF + zipf(rank, count)))[:, None]

    scale = np.abs(rows).max(1, keepdims=True).astype(np.float32)
    scale[scale == 0] = 1
    np.savez(out_path, q=np.round(rows / scale * 127).astype(np.int8), sc=scale)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
