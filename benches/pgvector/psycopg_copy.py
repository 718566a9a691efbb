"""What psycopg 3's binary COPY takes for the same vectors: one number, in seconds, from the first row to the commit.

    psycopg_copy.py VECTORS COUNT DIMENSION

VECTORS holds COUNT x DIMENSION little-endian float32. The table has labtop's columns, partitions, primary key, storage and check,
and none of its triggers. DATABASE_URL says where. `benches/setup` installs what this needs.
"""

import hashlib
import os
import sys
import time

import numpy
import psycopg
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

TABLE = """
CREATE SCHEMA IF NOT EXISTS plain;
CREATE TABLE IF NOT EXISTS plain.document_embeddings (
    document_id  text NOT NULL,
    content_hash text NOT NULL,
    embedding    vector NOT NULL,
    model_name   text NOT NULL,
    metadata     jsonb DEFAULT '{}',
    content      text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_name, document_id)
) PARTITION BY LIST (model_name);
DO $$ BEGIN
    IF to_regclass('plain.of_bench') IS NULL THEN
        CREATE TABLE plain.of_bench PARTITION OF plain.document_embeddings FOR VALUES IN ('bench');
        ALTER TABLE plain.of_bench ALTER COLUMN embedding SET STORAGE PLAIN,
            ADD CONSTRAINT dimension_of_the_model CHECK (vector_dims(embedding) = %d);
    END IF;
END $$;
TRUNCATE plain.document_embeddings;
"""

COPY = """COPY plain.document_embeddings (document_id, content_hash, embedding, model_name, metadata, content)
    FROM STDIN (FORMAT BINARY)"""


def main():
    count, dimension = int(sys.argv[2]), int(sys.argv[3])
    vectors = numpy.fromfile(sys.argv[1], dtype="<f4").reshape(count, dimension)
    contents = [f"text of document {number}" for number in range(count)]
    hashes = [hashlib.sha256(content.encode()).hexdigest() for content in contents]
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(TABLE % dimension)
        register_vector(connection)
        begun = time.perf_counter()
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.set_types(["text", "text", "vector", "text", "jsonb", "text"])
            for number in range(count):
                metadata = Jsonb({"number": number, "kind": number % 100})
                copy.write_row((f"d{number}", hashes[number], vectors[number], "bench", metadata, contents[number]))
        print(time.perf_counter() - begun)


main()
