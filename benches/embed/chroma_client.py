"""What Chroma's own Python client takes to upsert the same documents with the same vectors: one number, in seconds.

    chroma_client.py DOCUMENTS VECTORS DIMENSION COLLECTION

DOCUMENTS holds a JSON object a line (id, text, and metadata), VECTORS as many rows of DIMENSION little-endian float32. CHROMA_URL
says where. Batches of 1,000, as labtop's lots; the vectors are made before the clock starts. `benches/setup` installs what this
needs.
"""

import json
import os
import sys
import time
from urllib.parse import urlsplit

import chromadb
import numpy

BATCH = 1000


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    vectors = numpy.fromfile(sys.argv[2], dtype="<f4").reshape(len(rows), int(sys.argv[3]))
    url = urlsplit(os.environ["CHROMA_URL"])
    client = chromadb.HttpClient(host=url.hostname, port=url.port)
    begun = time.perf_counter()
    collection = client.create_collection(sys.argv[4], configuration={"hnsw": {"space": "cosine"}}, embedding_function=None)
    for start in range(0, len(rows), BATCH):
        lot = rows[start : start + BATCH]
        collection.upsert(
            ids=[row["id"] for row in lot],
            embeddings=vectors[start : start + BATCH],
            documents=[row["text"] for row in lot],
            metadatas=[{key: value for key, value in row.items() if key not in ("id", "text")} for row in lot],
        )
    print(time.perf_counter() - begun)
    client.delete_collection(sys.argv[4])


main()
