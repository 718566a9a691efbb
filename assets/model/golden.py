"""Write the reference answers that the tests of `src/embed/` compare with: pieces by the `tokenizers` package,
vectors by numpy from the original table.

usage: python3 golden.py static-256.npz vocab.txt ../../src/embed/golden.json

Needs numpy and tokenizers (made with 0.23.3). A vector is 256 little-endian float32 in base64, or null where a text
has no known piece.
"""

import base64
import json
import sys

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

TEXTS = [
    # Plain and technical English
    "hello world",
    "The learning rate was too high, so the loss diverged after 3 epochs.",
    "XGBoost on sentiment_analysis_v3: accuracy 0.8812, training 182s, inference 11.9ms",
    "Great product! Works exactly as described; would buy again.",
    "unaffable antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "UPPER lower MiXeD CamelCase snake_case kebab-case",
    "don't can't it's rock'n'roll",
    '{"learning_rate": 2e-5, "batch_size": 16, "warmup_steps": 500}',
    "https://example.org/a/b?c=d&e=f#g user@example.org C:\\data\\run.csv",
    "1,234.56 0x1F 1e-3 -7d 50% $9.99 €20 £5 ¥100",
    "a",
    "z9",
    "...",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "##ing ##s # ## ###",
    "[UNK] [CLS] [SEP] [MASK] [PAD] [unused5]",
    # Nothing, or nothing known
    "",
    "   \t\r\n ",
    "\u0000\u0001\u200b\ufeff",
    "🎉🎉🎉",
    "\u0301\u0302",
    "\ufb01\ufb02",
    # Accents, in one character or two
    "café naïve résumé São Paulo Ångström Łódź",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "Việt Nam phở Đà Nẵng",
    "ÀÉÎÕÜ ÇÑŠŽ ðþæœø ßẞ",
    "a\u0315\u0300\u05ae\u0300\u0062",
    # Case that is not one to one
    "İstanbul ISPARTA ısırık İİ",
    "ΟΔΥΣΣΕΥΣ Σίσυφος ΜΆΪΟΣ",
    "DŽ Dž dž ﬁne ﬂow oﬀice ŉ ǰ",
    "K Å Ω \u212a\u212b\u2126",
    # Scripts
    "Привет, мир! Ёлка и йод",
    "Καλημέρα κόσμε",
    "שָׁלוֹם עולם",
    "مَرْحَبًا بالعالم",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "機械学習のモデル",
    "深度学习 model 训练",
    "中文,English。混合!",
    "한국어 기계 학습",
    "ガギグ パピプ カ\u3099",
    "\U00020000\U0002a700 \uf900\ufa0e \U0002f800",
    "ქართული ᏣᎳᎩ հայերեն",
    # Emoji and symbols
    "good 👍🏽 bad 👎 family 👨‍👩‍👧 flag 🇩🇪",
    "x² + y³ ≤ ½ ≠ ∞ √2 → ← ™ © ® ° µ",
    "𝓗𝓮𝓵𝓵𝓸 Ｆｕｌｌ ｗｉｄｔｈ Ⅳ ①",
    # Punctuation beyond ASCII
    "“quoted” ‘single’ «guillemets» — dash – en… ¿qué? ¡sí! § ¶ † ‡ • ‰",
    "、。「」『』【】〜・！？",
    "a\u037eb \u1fef \u00b4 \u02dc",
    # Space and control
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u0085g\u000bh\u000ci",
    "so\u00adft zero\u200bwidth \ufeffbom word\u2060joiner \u202ertl\u202c",
    "nul\u0000l bell\u0007 esc\u001b[31mred\u001b[0m del\u007f repl\ufffdace priv\ue000ate",
    "tab\tnew\nline\r\nend",
    # Length of a word
    "a" * 100,
    "a" * 101,
    "é" * 100 + " " + "é" * 101,
    "ok " + "x" * 5000 + " fine",
    "中" * 150,
    "-" * 120,
    "to be or not to be " * 40,
]


def main(table_path, vocabulary_path, out_path):
    table = np.load(table_path)
    vectors = table["q"].astype(np.float64) * table["sc"].astype(np.float64) / 127
    with open(vocabulary_path, encoding="utf-8", newline="\n") as file:
        ids = {piece: i for i, piece in enumerate(file.read().removesuffix("\n").split("\n"))}
    # Without the special tokens of `BertWordPieceTokenizer`: "[MASK]" in a text is five letters and two brackets.
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    cases = []
    for text in TEXTS:
        pieces = tokenizer.encode(text, add_special_tokens=False).tokens
        known = [ids[piece] for piece in pieces if piece != "[UNK]"]
        vector = None
        if known:
            mean = vectors[known].mean(0)
            unit = (mean / np.linalg.norm(mean)).astype("<f4")
            vector = base64.b64encode(unit.tobytes()).decode()
        cases.append({"text": text, "pieces": " ".join(pieces), "vector": vector})
    with open(out_path, "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
