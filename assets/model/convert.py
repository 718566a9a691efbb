"""Pack the distilled table and its vocabulary into the one file that labtop includes (layout: README.md here).

usage: python3 convert.py static-256.npz vocab.txt static-256.bin

Needs numpy only. The same input always gives the same bytes.
"""

import struct
import sys

import numpy as np

MAGIC, VERSION = b"LTSTATIC", 1
TAIL = "##"
# Brackets are punctuation, so the tokenizer splits such names before it looks them up: no text reaches these rows.
SPECIAL = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def reachable(piece):
    return piece not in SPECIAL and not piece.startswith("[unused")


def main(table_path, vocabulary_path, out_path):
    table = np.load(table_path)
    rows, scales = table["q"], table["sc"][:, 0]
    with open(vocabulary_path, encoding="utf-8", newline="\n") as file:
        pieces = file.read().removesuffix("\n").split("\n")
    if len(pieces) != len(rows) or len(set(pieces)) != len(pieces):
        sys.exit(f"{vocabulary_path} has {len(pieces)} pieces (or twins), {table_path} has {len(rows)} rows")
    if rows.dtype != np.int8 or scales.dtype != np.float32:
        sys.exit(f"{table_path}: q must be int8 and sc float32")

    kept = [i for i, piece in enumerate(pieces) if reachable(piece)]
    heads = sorted((pieces[i].encode(), i) for i in kept if not pieces[i].startswith(TAIL))
    tails = sorted((pieces[i].removeprefix(TAIL).encode(), i) for i in kept if pieces[i].startswith(TAIL))
    texts = [text for text, _ in heads + tails]
    order = np.array([i for _, i in heads + tails])
    ends = np.cumsum([len(text) for text in texts])

    with open(out_path, "wb") as out:
        out.write(MAGIC)
        out.write(struct.pack("<5I", VERSION, rows.shape[1], len(heads), len(tails), ends[-1]))
        out.write(ends.astype("<u4").tobytes())
        out.write(scales[order].astype("<f4").tobytes())
        out.write(rows[order].tobytes())
        out.write(b"".join(texts))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
